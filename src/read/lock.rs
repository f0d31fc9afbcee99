//! Read the lock that a process keeps open, through its own descriptor. Whatever has come to the path since, the
//! descriptor is the file that the process has opened.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{OFlags, readlinkat};
use serde_json::Value;

use super::descriptors::{numbers, open_dir};
use super::parse;
use super::pinned::Pinned;
use super::proc::read;
use crate::model::{Error, Facts, Lock, LockName, Seen, Service};

/// A lock is a line of text. A far longer file is none.
pub(super) const LIMIT: u64 = 64 << 10;

/// The kernel rounds a start down to whole ticks, usually of 10 ms, and a file's time to its own ticks of up to 10 ms.
const CLOCK_SLACK: Duration = Duration::from_millis(20);

/// The service's lock that the process wrote itself. `inner_pid`: its pid in its own pid namespace. Anything else about
/// such a file is no evidence, and no reason to stop.
pub(super) fn lock(pinned: &Pinned, facts: &Facts, inner_pid: u32, service: &Service) -> Result<Option<Lock>, Error> {
    let (Seen::Value(uid), Some(directory)) = (&facts.uid, pinned.directory()?) else { return Ok(None) };
    let Ok(fds) = open_dir(&directory, "fd") else { return Ok(None) };
    for fd in numbers(&fds).unwrap_or_default() {
        let Ok(link) = readlinkat(&fds, fd.to_string(), Vec::new()) else { continue };
        let link = OsStr::from_bytes(link.to_bytes());
        // The service may have removed the file since.
        let path = link.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map_or(Path::new(link), Path::new);
        let Some(name) = service.locks.iter().find(|name| name.is(path, *uid)) else { continue };
        let written = Written { path, name, pid: inner_pid, start_ticks: facts.id.start_ticks };
        let lock =
            content(pinned, fd, *uid).and_then(|Content { text, about }| written.parse(&text, is_new(&about, facts)));
        if lock.is_some() {
            return Ok(lock);
        }
    }
    Ok(None)
}

/// The service's pid file that names the process. A file of an earlier process with the same pid is older than it.
pub(super) fn pid_file(facts: &Facts, service: &Service) -> Option<PathBuf> {
    let names_it = |path: &&PathBuf| {
        // Do not block on a FIFO.
        let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else { return false };
        let is_of = |about: &Metadata| {
            about.is_file() && (about.uid() == 0 || Some(&about.uid()) == facts.uid.value()) && is_new(about, facts)
        };
        let mut text = String::new();
        file.metadata().is_ok_and(|about| is_of(&about))
            && file.take(LIMIT).read_to_string(&mut text).is_ok()
            && text.split_whitespace().next().is_some_and(|pid| pid.parse() == Ok(facts.id.pid))
    };
    service.pid_files.iter().find(names_it).cloned()
}

/// The file was written since the process started, and not in the future.
fn is_new(about: &Metadata, facts: &Facts) -> bool {
    let (Ok(written), Some(started)) = (about.modified(), facts.started) else { return false };
    written + CLOCK_SLACK >= started && written <= SystemTime::now() + CLOCK_SLACK
}

/// The text of a lock of this user. `None`: it is no file that the process opened for writing.
fn content(pinned: &Pinned, fd: u32, uid: u32) -> Option<Content> {
    let info = read(&pinned.root, &format!("fdinfo/{fd}"), pinned.pid).ok()?;
    if !parse::opened_for_writing(&info) {
        return None;
    }
    // O_PATH touches no content, so no FIFO and no device is opened.
    let path = format!("fd/{fd}");
    let file = pinned.root.open_relative_flags(&path, OFlags::PATH | OFlags::CLOEXEC).ok()?;
    let is_own = |about: &Metadata| about.is_file() && about.uid() == uid && about.nlink() <= 1;
    file.metadata().ok().filter(is_own)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: File = pinned.root.open_relative_flags(&path, flags).ok()?;
    // The descriptor may be another file since.
    let about = file.metadata().ok().filter(is_own)?;
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).ok()?;
    Some(Content { text, about })
}

/// The text of a lock, and what is known of its file.
struct Content {
    text: Vec<u8>,
    about: Metadata,
}

/// A lock, and who must have written it.
struct Written<'a> {
    path: &'a Path,
    name: &'a LockName,
    pid: u32,
    start_ticks: u64,
}

impl Written<'_> {
    /// `is_new`: the file is not older than the process.
    fn parse(&self, text: &[u8], is_new: bool) -> Option<Lock> {
        let content = LockText::parse(text, self.name)?;
        let is_of_now = content.start_ticks.map_or(is_new, |start| start == self.start_ticks);
        let lock = Lock { path: self.path.to_owned(), port: content.port, state_dir: content.state_dir };
        (content.pid == self.pid && is_of_now).then_some(lock)
    }
}

/// What a lock says.
pub(super) struct LockText {
    pub(super) pid: u32,
    pub(super) start_ticks: Option<u64>,
    pub(super) port: Option<u16>,
    pub(super) state_dir: Option<PathBuf>,
}

impl LockText {
    /// `None`: it is no lock, or one of another role.
    pub(super) fn parse(text: &[u8], name: &LockName) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        if value.get("role").is_some_and(|role| *role != *name.kind) {
            return None;
        }
        let number = |key: &str| value.get(key).map(|number| number.as_u64().ok_or(())).transpose().ok();
        let port = match number("port")? {
            Some(port) => Some(port.try_into().ok()?),
            None => None,
        };
        let folder = value.get("stateDir").and_then(Value::as_str).map(PathBuf::from);
        Some(Self {
            pid: number("pid")??.try_into().ok()?,
            start_ticks: number("startTime")?,
            port,
            state_dir: folder.map(real),
        })
    }
}

/// The same folder has the same name, whatever links lead to it.
pub(super) fn real(folder: PathBuf) -> PathBuf {
    folder.canonicalize().unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_process_and_its_start() {
        let name = LockName { folder: "openclaw".to_owned(), kind: "gateway".to_owned() };
        let path = Path::new("/tmp/openclaw-0/gateway.state.lock");
        let written = Written { path, name: &name, pid: 42, start_ticks: 1234 };
        // text, the file is not older than the process → port
        let table = [
            (r#"{"pid":42,"startTime":1234,"port":18789,"stateDir":"/s"}"#, false, Some(Some(18789))),
            ("{\"pid\":42,\"startTime\":1234,\"port\":18789}\t\t  \n  ", false, Some(Some(18789))),
            (r#"{"pid":42,"startTime":1234}"#, false, Some(None)),
            (r#"{"pid":42}"#, true, Some(None)),
            (r#"{"pid":42}"#, false, None),
            (r#"{"pid":43,"startTime":1234}"#, true, None),
            (r#"{"pid":42,"startTime":1235}"#, true, None),
            (r#"{"pid":42,"startTime":null}"#, true, None),
            (r#"{"pid":42,"startTime":"1234"}"#, true, None),
            (r#"{"pid":"42","startTime":1234}"#, true, None),
            (r#"{"pid":42,"startTime":1234,"role":"gateway"}"#, false, Some(None)),
            (r#"{"pid":42,"startTime":1234,"role":"agent-embedded"}"#, true, None),
            (r#"{"pid":42,"startTime":1234,"role":7}"#, true, None),
            (r#"{"pid":42,"startTime":1234,"port":70000}"#, true, None),
            (r#"{"pid":42,"startTime":1234"#, true, None),
            ("42", true, None),
            ("", true, None),
        ];
        for (text, is_new, port) in table {
            assert_eq!(written.parse(text.as_bytes(), is_new).map(|lock| lock.port), port, "{text} {is_new}");
        }
    }
}
