//! Find the instance that holds the lock of the caller's state folder. It may serve any port, so no look at a port
//! sees it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use serde_json::Value;

use super::ancestry::{Lines, stat};
use super::facts::facts;
use super::pinned::Pinned;
use crate::model::{Error, Process, ProcessId, Seen, Service, StateFolder};

/// A lock is a line of text. A far longer file is none.
const LIMIT: u64 = 64 << 10;

/// The process that a lock names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: ProcessId,
    pub(crate) port: Option<u16>,
}

/// The living process that the lock of the caller's state folder names. Where there is no lock, this costs one refused
/// open(2).
pub(crate) fn rival(service: &Service) -> Option<Named> {
    let state = service.state.as_ref()?;
    let uid = nix::unistd::geteuid().as_raw();
    let file = OpenOptions::new()
        .read(true)
        // A FIFO or a link in its place is no lock.
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(folder(state)?.join("tmp").join(format!("{}-{uid}", state.lock.folder)).join(state.lock.file()))
        .ok()?;
    let named = parse(&text(file, uid)?, &state.lock.kind)?;
    let lives = |id: ProcessId| stat(id.pid).ok().flatten().is_some_and(|place| place.id == id);
    Some(named).filter(|named| lives(named.id))
}

/// The process, with its facts and ancestors. `None`: it has ended.
pub(crate) fn process(id: ProcessId, service: &Service) -> Result<Option<Process>, Error> {
    let Some(pinned) = Pinned::again(id)? else { return Ok(None) };
    let Some(facts) = facts(&pinned, service)?.filter(|facts| facts.exe != Seen::Gone) else { return Ok(None) };
    let ancestry = Lines::default().ancestry(&facts, service)?;
    Ok(Some(Process { facts, inodes: Vec::new(), ports: Vec::new(), ancestry }))
}

/// As the service itself finds it, from the caller's variables.
fn folder(state: &StateFolder) -> Option<PathBuf> {
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

/// A lock without a start time does not tell its process from a later one with the same pid.
fn parse(text: &[u8], kind: &str) -> Option<Named> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let pid = u32::try_from(value.get("pid")?.as_u64()?).ok()?;
    let start_ticks = value.get("startTime")?.as_u64()?;
    let is_of_kind = value.get("role").is_none_or(|role| role == kind);
    let port = value.get("port").and_then(Value::as_u64).and_then(|port| port.try_into().ok());
    is_of_kind.then_some(Named { id: ProcessId { pid, start_ticks }, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_a_process_by_its_pid_and_its_start() {
        let named = |port| Some(Named { id: ProcessId { pid: 42, start_ticks: 7 }, port });
        let table = [
            (r#"{"pid":42,"startTime":7,"port":18789}"#, named(Some(18789))),
            ("{\"pid\":42,\"startTime\":7,\"role\":\"gateway\"}\t  ", named(None)),
            (r#"{"pid":42,"startTime":7,"role":"agent-embedded"}"#, None),
            (r#"{"pid":42,"port":18789}"#, None),
            (r#"{"pid":-1,"startTime":7}"#, None),
            (r#"{"pid":4294967296,"startTime":7}"#, None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text.as_bytes(), "gateway"), expected, "{text}");
        }
    }
}
