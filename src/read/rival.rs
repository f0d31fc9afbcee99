//! Find the instance that holds the lock of the caller's state folder. It may serve any port, so no look at a port
//! sees it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::ancestry::{Lines, stat};
use super::facts::facts;
use super::lock::{LIMIT, LockText, real};
use super::pinned::Pinned;
use crate::model::{Error, Process, ProcessId, Seen, Service, StateFolder};

/// The process that a lock names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: ProcessId,
    pub(crate) port: u16,
}

/// The living process that the lock of the caller's state folder names. Where there is no lock, this costs one refused
/// open(2). A copy of a folder has a lock, too, and that names the original.
pub(crate) fn rival(service: &Service) -> Option<Named> {
    let state = service.state.as_ref()?;
    let uid = nix::unistd::geteuid().as_raw();
    let folder = state_folder(state)?;
    let file = OpenOptions::new()
        .read(true)
        // A FIFO or a link in its place is no lock.
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(folder.join("tmp").join(format!("{}-{uid}", state.lock.folder)).join(state.lock.file()))
        .ok()?;
    let LockText { pid, start_ticks, port, state_dir } = LockText::parse(&text(file, uid)?, &state.lock)?;
    // Without a start it may be any later process with the pid.
    let id = ProcessId { pid, start_ticks: start_ticks? };
    let lives = stat(id.pid).ok().flatten().is_some_and(|place| place.id == id);
    (lives && state_dir? == real(folder)).then_some(Named { id, port: port? })
}

/// The caller's state folder, without links.
pub(super) fn callers_folder(service: &Service) -> Option<PathBuf> {
    state_folder(service.state.as_ref()?).map(real)
}

/// The process, with its facts and ancestors. `None`: it has ended.
pub(crate) fn process(id: ProcessId, service: &Service) -> Result<Option<Process>, Error> {
    let Some(pinned) = Pinned::again(id)? else { return Ok(None) };
    let Some(facts) = facts(&pinned, service)?.filter(|facts| facts.exe != Seen::Gone) else { return Ok(None) };
    let ancestry = Lines::default().ancestry(&facts, service)?;
    Ok(Some(Process { facts, inodes: Vec::new(), ports: Vec::new(), ancestry }))
}

/// As the service itself finds it, from the caller's variables.
fn state_folder(state: &StateFolder) -> Option<PathBuf> {
    let variable = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty());
    let home = || variable(&state.home_key).or_else(|| variable("HOME")).map(PathBuf::from);
    match variable(&state.key).map(PathBuf::from) {
        Some(folder) => match folder.strip_prefix("~") {
            Ok(rest) => Some(home()?.join(rest)),
            Err(_) => Some(folder),
        },
        None => Some(home()?.join(&state.name)),
    }
}

fn text(file: File, uid: u32) -> Option<Vec<u8>> {
    let about = file.metadata().ok()?;
    let mut text = Vec::new();
    let is_own = about.is_file() && about.uid() == uid;
    (is_own && file.take(LIMIT).read_to_end(&mut text).is_ok()).then_some(text)
}
