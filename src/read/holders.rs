//! Scan /proc for the processes that hold a socket.

use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::thread;

use rustix::fs::{AtFlags, CWD, statat};
use rustix::io::Errno;

use super::descriptors::{Fds, fds, numbers, open_dir, task_fds};
use super::parse;
use super::proc::read_all;
use crate::model::Error;

/// Who holds which of the sockets.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Every pid with a descriptor on one of the inodes.
    pub(crate) holders: BTreeSet<u32>,
    /// How many processes have descriptors that may not be read.
    pub(crate) unreadable: usize,
}

/// 1000 descriptors take 1.5 ms, and the start of a thread takes 0.1 ms. An idle machine never needs a second thread.
const ALONE: usize = 1000;

/// More threads only wait for each other: they share the kernel's locks.
const THREADS: usize = 8;

/// Finds every process that holds one of the inodes. The first one is not enough: a forked child keeps a port bound
/// after its parent's death.
pub(crate) fn scan(inodes: &[u64]) -> Result<Scan, Error> {
    search(inodes, ALONE).map_err(|errno| Error::new("cannot scan /proc for the holders of the port", errno))
}

/// `alone`: how many descriptors one thread reads before other threads start.
fn search(inodes: &[u64], alone: usize) -> Result<Scan, Errno> {
    let proc = open_dir(CWD, "/proc")?;
    let pids = numbers(&proc)?;
    let mut part = Part::default();
    let mut remaining = &pids[..];
    while part.read < alone
        && let Some((pid, more)) = remaining.split_first()
    {
        part.look(&proc, *pid, inodes)?;
        remaining = more;
    }
    let threads = match remaining.len() {
        0 => 1,
        _ if is_filtered() => 1,
        count => thread::available_parallelism().map_or(1, NonZero::get).min(THREADS).min(count),
    };
    // Each thread takes every n-th pid: processes with many descriptors often have neighbouring pids.
    let of_thread = |at: usize| {
        let mut part = Part::default();
        remaining.iter().skip(at).step_by(threads).try_for_each(|pid| part.look(&proc, *pid, inodes))?;
        Ok(part)
    };
    let parts: Result<Vec<Part>, Errno> = thread::scope(|scope| {
        let start = |at: usize| (at, thread::Builder::new().spawn_scoped(scope, move || of_thread(at)).ok());
        let others: Vec<_> = (1..threads).map(start).collect();
        let own = of_thread(0);
        // If a thread cannot be started, this one does its work.
        let join = |(at, other): (usize, Option<thread::ScopedJoinHandle<'_, _>>)| match other {
            Some(other) => other.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => of_thread(at),
        };
        std::iter::once(own).chain(others.into_iter().map(join)).collect()
    });
    let parts: Vec<Part> = parts?.into_iter().chain([part]).collect();
    let mut scan = Scan {
        holders: parts.iter().flat_map(|part| part.holders.iter().copied()).collect(),
        unreadable: parts.iter().map(|part| part.unreadable).sum(),
    };
    let is_found = |inode: &u64| parts.iter().any(|part| part.found.contains(inode));
    let missing: Vec<u64> = inodes.iter().copied().filter(|inode| !is_found(inode)).collect();
    if !missing.is_empty() {
        // A thread can have its own table (unshare(2), CLONE_FILES). That is rare, so look only if a socket has no
        // holder.
        for pid in &pids {
            if !tasks(&proc, *pid, &missing)?.is_empty() {
                scan.holders.insert(*pid);
            }
        }
    }
    Ok(scan)
}

/// Whether a filter restricts the system calls of this thread (seccomp(2)). A filter that forbids new threads, like a
/// unit's SystemCallFilter=, may end the process at the attempt. An unreadable status counts as a filter.
fn is_filtered() -> bool {
    let status = File::open("/proc/thread-self/status").and_then(read_all);
    status.ok().and_then(|status| parse::status_seccomp(&status)) != Some(0)
}

/// What one thread found.
#[derive(Default)]
struct Part {
    holders: Vec<u32>,
    found: Vec<u64>,
    unreadable: usize,
    /// How many descriptors it has read.
    read: usize,
}

impl Part {
    fn look(&mut self, proc: &File, pid: u32, inodes: &[u64]) -> Result<(), Errno> {
        let table = fds(proc, &format!("{pid}/fd"), inodes)?;
        let denied = matches!(table, Fds::Denied);
        let held = match table {
            Fds::Held { read, inodes } if read > 0 => {
                self.read += read;
                inodes
            }
            Fds::Gone => return Ok(()),
            // A leader that has exited has no descriptors, but its threads may hold the socket. Its entry in /proc
            // belongs to root: its user may read only those of the threads.
            Fds::Held { .. } | Fds::Denied if !is_alone(proc, pid) => tasks(proc, pid, inodes)?,
            Fds::Held { .. } | Fds::Denied => Vec::new(),
        };
        if held.is_empty() {
            self.unreadable += usize::from(denied);
        } else {
            self.holders.push(pid);
            self.found.extend(held);
        }
        Ok(())
    }
}

/// Whether a process has exactly one thread. The kernel counts a link of the folder for each thread, and two for the
/// folder itself. Kernel threads and zombies have no descriptors: this spares a look at their threads.
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
    use crate::read::descriptors::socket_inode;
    use crate::read::pinned::Pinned;
    use crate::testing::child;

    #[test]
    fn this_process_holds_its_own_listener() {
        // So many that their names come in several parts, and the listener's is in the last.
        let _many: Vec<File> = (0..500).map(|_| File::open("/dev/null").unwrap()).collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode =
            std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener))).unwrap();
        let inode = socket_inode(inode.as_os_str().as_encoded_bytes()).unwrap();
        // With one thread, and with all threads from the first process on.
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
