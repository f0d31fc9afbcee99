//! Scan /proc for the processes that hold a socket.

use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, statat};
use rustix::io::Errno;

use crate::error::Error;
use crate::os::descriptors::{Fds, fds, numbers, open_dir, task_fds};
use crate::os::read::read_all;
use crate::parse;

/// Who holds which of the sockets.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Every pid with a descriptor on one of the inodes.
    pub(crate) holders: BTreeSet<u32>,
    /// How many processes exist whose descriptors may not be read: "nobody" and "could not look" differ.
    pub(crate) unreadable: usize,
}

/// So many descriptors take a millisecond and a half, and the start of a thread a tenth of one: an idle machine never
/// needs a second.
const ALONE: usize = 1000;

/// More cores only wait for each other: the kernel's locks are the same for all.
const THREADS: usize = 8;

/// Finds every process that holds one of the inodes: all of them, not the first, for a forked child keeps a
/// port bound after its parent's death.
pub(crate) fn scan(inodes: &[u64]) -> Result<Scan, Error> {
    search(inodes, ALONE)
}

/// `alone`: how many descriptors are read before other threads join in.
fn search(inodes: &[u64], alone: usize) -> Result<Scan, Error> {
    let attempt = "cannot scan /proc for the holders of the port";
    let fail = |errno: Errno| Error::new(attempt, errno);
    let proc = open_dir(CWD, "/proc").map_err(fail)?;
    let pids = numbers(&proc).map_err(fail)?;
    let shared = Shared { proc: &proc, pids: &pids, inodes, next: AtomicUsize::new(0) };
    let mut part = Part::default();
    let others: Result<Vec<Part>, Errno> = thread::scope(|scope| {
        shared.work(&mut part, alone)?;
        let left = pids.len().saturating_sub(shared.next.load(Ordering::Relaxed));
        let cores = match left {
            0 => 1,
            _ if is_filtered() => 1,
            _ => thread::available_parallelism().map_or(1, NonZero::get),
        };
        // Where no thread can be started, this one does all the work.
        let start = |_| thread::Builder::new().spawn_scoped(scope, || shared.all()).ok();
        let others: Vec<_> = (1..cores.min(THREADS).min(left)).map_while(start).collect();
        shared.work(&mut part, usize::MAX)?;
        others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut scan = Scan::default();
    let mut missing: BTreeSet<u64> = inodes.iter().copied().collect();
    for part in others.map_err(fail)?.into_iter().chain([part]) {
        scan.unreadable += part.unreadable;
        scan.holders.extend(part.holders);
        missing.retain(|inode| !part.found.contains(inode));
    }
    if !missing.is_empty() {
        // A thread can have a table of its own (unshare(2), CLONE_FILES). It is rare enough to look only
        // when a socket has no holder.
        let missing: Vec<u64> = missing.into_iter().collect();
        for pid in &pids {
            if !tasks(&proc, *pid, &missing).map_err(fail)?.is_empty() {
                scan.holders.insert(*pid);
            }
        }
    }
    Ok(scan)
}

/// Whether a filter decides which system calls this thread may make (seccomp(2)). One that forbids new threads may end
/// who tries to start one, as a unit's SystemCallFilter= does; where that cannot be told, it is so.
fn is_filtered() -> bool {
    let status = File::open("/proc/thread-self/status").and_then(read_all);
    status.ok().and_then(|status| parse::status_seccomp(&status)) != Some(0)
}

/// What the threads of one search have in common.
struct Shared<'a> {
    proc: &'a File,
    pids: &'a [u32],
    inodes: &'a [u64],
    /// The place of the first pid that nobody has taken.
    next: AtomicUsize,
}

/// What one of them found.
#[derive(Default)]
struct Part {
    holders: Vec<u32>,
    found: Vec<u64>,
    unreadable: usize,
    /// How many descriptors it has read.
    read: usize,
}

impl Shared<'_> {
    fn all(&self) -> Result<Part, Errno> {
        let mut part = Part::default();
        self.work(&mut part, usize::MAX)?;
        Ok(part)
    }

    /// Looks at processes until none is left, or so many descriptors are read.
    fn work(&self, part: &mut Part, limit: usize) -> Result<(), Errno> {
        while part.read < limit
            && let Some(pid) = self.pids.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            self.look(*pid, part)?;
        }
        Ok(())
    }

    fn look(&self, pid: u32, part: &mut Part) -> Result<(), Errno> {
        let table = fds(self.proc, &format!("{pid}/fd"), self.inodes)?;
        let denied = matches!(table, Fds::Denied);
        let held = match table {
            Fds::Held { read, inodes } if read > 0 => {
                part.read += read;
                inodes
            }
            Fds::Gone => return Ok(()),
            // A leader that has exited has no descriptors; its threads may live on and hold the socket. And its
            // place is root's: its user reads the threads' alone.
            Fds::Held { .. } | Fds::Denied if !is_alone(self.proc, pid) => {
                tasks(self.proc, pid, self.inodes)?
            }
            Fds::Held { .. } | Fds::Denied => Vec::new(),
        };
        if held.is_empty() {
            part.unreadable += usize::from(denied);
            return Ok(());
        }
        part.holders.push(pid);
        part.found.extend(held);
        Ok(())
    }
}

/// Whether a process has one thread and no more: the kernel counts a link of the folder for each, and two for the
/// folder itself. Spares a look at the threads of those that have no descriptors at all: kernel threads, zombies.
fn is_alone(proc: &File, pid: u32) -> bool {
    statat(proc, format!("{pid}/task"), AtFlags::empty()).is_ok_and(|about| about.st_nlink == 3)
}

/// Which of the inodes the process holds now, in its own table or a thread's. `root` is its pinned /proc/PID.
pub(crate) fn held(root: &File, inodes: &[u64]) -> Result<Vec<u64>, Error> {
    let fail = |errno: Errno| Error::new("cannot read the descriptors of a holder", errno);
    let mut held = match fds(root, "fd", inodes).map_err(fail)? {
        Fds::Held { inodes, .. } => inodes,
        Fds::Denied | Fds::Gone => Vec::new(),
    };
    if held.len() < inodes.len() {
        held.extend(task_fds(root, "task", inodes).map_err(fail)?);
        held.sort_unstable();
        held.dedup();
    }
    Ok(held)
}

fn tasks(proc: impl AsFd, pid: u32, inodes: &[u64]) -> Result<Vec<u64>, Errno> {
    task_fds(proc, &format!("{pid}/task"), inodes)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::os::descriptors::socket_inode;
    use crate::os::process::Pinned;
    use crate::testing::child;

    #[test]
    fn this_process_holds_its_own_listener() {
        // So many that their names are read in several parts, and the listener's after them.
        let _many: Vec<File> = (0..500).map(|_| File::open("/dev/null").unwrap()).collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode =
            std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener)))
                .unwrap();
        let inode = socket_inode(inode.as_os_str().as_encoded_bytes()).unwrap();
        // By one thread, and by as many as there are from the first process on.
        for alone in [usize::MAX, 0] {
            assert!(search(&[inode], alone).unwrap().holders.contains(&std::process::id()), "{alone}");
        }
        let root = open_dir(CWD, "/proc/self").unwrap();
        assert_eq!(held(&root, &[inode, 1]).unwrap(), [inode]);
        drop(listener);
        assert!(held(&root, &[inode]).unwrap().is_empty());
    }

    #[test]
    fn who_has_ended_holds_nothing() {
        let mut child = child();
        let pinned = Pinned::open(child.id()).unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(pinned.held(&[1]).unwrap().is_empty());
    }
}
