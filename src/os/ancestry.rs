//! Read the line of parents of a process.

use procfs::process::{Process, Stat};

use crate::error::Error;
use crate::facts::{ProcessId, Seen};
use crate::liveness::Caller;
use crate::os::process::seen;

/// A line of parents, nearest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) ids: Vec<ProcessId>,
    /// It is known up to PID 1 or to the edge of the pid namespace (a parent of 0).
    pub(crate) complete: bool,
}

/// A parent that exits while the line is read leaves it broken for an instant only.
const ATTEMPTS: usize = 5;

pub(crate) fn line(pid: u32) -> Result<Line, Error> {
    let mut last = Line::default();
    for _ in 0..ATTEMPTS {
        let line = read(pid)?;
        // Read twice alike, no pid in it was reused in between.
        if line.complete && line == last {
            return Ok(line);
        }
        last = line;
    }
    Ok(Line { complete: false, ..last })
}

fn read(pid: u32) -> Result<Line, Error> {
    let mut line = Line::default();
    let Some((mut child, mut parent)) = stat(pid)? else { return Ok(line) };
    while parent != 0 {
        match stat(parent)? {
            // Younger than its child: the parent has ended and its pid is somebody else's.
            Some((id, _)) if id.start_ticks > child.start_ticks => return Ok(line),
            Some((id, next)) => {
                line.ids.push(id);
                child = id;
                parent = next;
            }
            // hidepid and ProtectProc= hide PID 1 like any other; nothing is above it to be read.
            None if parent == 1 => {
                line.ids.push(ProcessId { pid: 1, start_ticks: 0 });
                break;
            }
            None => return Ok(line),
        }
    }
    line.complete = true;
    Ok(line)
}

/// `None`: it is gone or hidden. What else goes wrong is an error, and no ancestry that ends early.
fn stat(pid: u32) -> Result<Option<(ProcessId, u32)>, Error> {
    let Ok(number) = i32::try_from(pid) else { return Ok(None) };
    let stat = Process::new(number).and_then(|process| process.stat());
    let parsed = |stat: Stat| {
        let parent = u32::try_from(stat.ppid).ok()?;
        Some((ProcessId { pid, start_ticks: stat.starttime }, parent))
    };
    Ok(match seen(stat, pid)? {
        Seen::Value(stat) => parsed(stat),
        Seen::Denied | Seen::Gone => None,
    })
}

/// Who asks: this process, and what it descends from.
pub(crate) fn caller() -> Result<Caller, Error> {
    let pid = std::process::id();
    let attempt = "cannot read who asks from /proc";
    // With the /proc of another pid namespace every pid in it would name a different process here.
    let own = std::fs::read_link("/proc/self").map_err(|error| Error::new(attempt, error))?;
    if own.as_os_str() != pid.to_string().as_str() {
        let other = std::io::Error::other("/proc belongs to another pid namespace");
        return Err(Error::new(attempt, other));
    }
    let Some((id, _)) = stat(pid)? else {
        return Err(Error::new(attempt, std::io::Error::from(std::io::ErrorKind::NotFound)));
    };
    let line = line(pid)?;
    let ancestors = line.ids.iter().map(|id| id.pid).collect();
    let uid = nix::unistd::geteuid().as_raw();
    Ok(Caller { id, uid, ancestors, ancestry_complete: line.complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_this_process_begins_with_its_parent() {
        let line = line(std::process::id()).unwrap();
        assert!(line.complete);
        assert_eq!(line.ids.first().map(|id| id.pid), Some(std::os::unix::process::parent_id()));
    }

    #[test]
    fn a_pid_that_cannot_exist_has_no_line() {
        assert_eq!(line(u32::MAX).unwrap(), Line::default());
    }
}
