//! Read what a supervisor has noted of the process that it looks after.

use std::fs::File;
use std::io::Read;

use procfs::ProcError;
use rustix::fs::OFlags;

use super::pinned::Pinned;
use super::proc::read;
use crate::model::supervisors::{Note, Row, SUPERVISORS};
use crate::model::{Charge, Facts, Seen};

/// A note is a few bytes. What is longer is no note.
const LIMIT: u64 = 256;

/// `None`: it is no supervisor that takes notes.
pub(super) fn charge(pinned: &Pinned, facts: &Facts) -> Option<Charge> {
    let takes_notes = |row: &&Row| row.note().is_some() && row.is_executed_by(facts);
    let note = SUPERVISORS.iter().find(takes_notes)?.note()?;
    let bytes = match note {
        Note::OldestChild if pinned.pid != 1 => return None,
        Note::OldestChild => children(pinned),
        // The way leads through the process's own folder: the same path may lead elsewhere for the caller.
        Note::Runit => note_at(pinned, "cwd/supervise/pid"),
        Note::S6 | Note::Daemontools => note_at(pinned, "cwd/supervise/status"),
    };
    let pid = match bytes {
        Seen::Value(bytes) => parse(note, &bytes).map_or(Seen::Gone, Seen::Value),
        Seen::Denied => Seen::Denied,
        Seen::Gone => Seen::Gone,
    };
    Some(Charge { folder: pinned.root.cwd().ok(), pid })
}

/// The kernel lists the children in the order in which they came: an orphan comes after the main process, however old
/// it is (proc_tid_children(5)). Without such a list (CONFIG_PROC_CHILDREN) any child may be the main process.
fn children(pinned: &Pinned) -> Seen<Vec<u8>> {
    read(&pinned.root, "task/1/children", 1).map_or(Seen::Denied, Seen::Value)
}

/// Whatever keeps it from being read, somebody else has made it so. It is no error of the call.
fn note_at(pinned: &Pinned, path: &str) -> Seen<Vec<u8>> {
    // Do not block on a FIFO, and follow no link at the end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match pinned.root.open_relative_flags(path, flags) {
        Ok(file) => read_limited(&file).map_or(Seen::Denied, Seen::Value),
        Err(ProcError::NotFound(_)) => Seen::Gone,
        Err(_) => Seen::Denied,
    }
}

fn read_limited(file: &File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(LIMIT).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The pid in a note. `None`: there is none.
fn parse(note: Note, bytes: &[u8]) -> Option<u32> {
    let pid = match note {
        Note::Runit => std::str::from_utf8(bytes).ok()?.trim_end().parse().ok()?,
        Note::OldestChild => std::str::from_utf8(bytes).ok()?.split_whitespace().next()?.parse().ok()?,
        Note::S6 => u64::from_be_bytes(bytes.get(24..32)?.try_into().ok()?).try_into().ok()?,
        Note::Daemontools if bytes.len() == 18 => u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?),
        Note::Daemontools => return None,
    };
    (pid != 0).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_in_a_note() {
        let mut s6 = [0; 43];
        s6[24..32].copy_from_slice(&4242_u64.to_be_bytes());
        let mut daemontools = [0; 20];
        daemontools[12..16].copy_from_slice(&4242_u32.to_le_bytes());
        let table: [(Note, &[u8], Option<u32>); 14] = [
            (Note::Runit, b"4242\n", Some(4242)),
            (Note::Runit, b"4242", Some(4242)),
            (Note::Runit, b"", None),
            (Note::Runit, b"\n", None),
            (Note::Runit, b"-1", None),
            (Note::Runit, b"42 43", None),
            (Note::Runit, b"4242x", None),
            (Note::S6, &s6, Some(4242)),
            (Note::S6, &s6[..31], None),
            (Note::S6, &[0xff; 43], None),
            (Note::Daemontools, &daemontools[..18], Some(4242)),
            // runit has such a file, too, of 20 bytes.
            (Note::Daemontools, &daemontools, None),
            (Note::OldestChild, b"4242 4243 ", Some(4242)),
            (Note::OldestChild, b"", None),
        ];
        for (note, bytes, expected) in table {
            assert_eq!(parse(note, bytes), expected, "{note:?} {bytes:?}");
        }
    }
}
