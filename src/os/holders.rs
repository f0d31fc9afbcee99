//! Scan /proc for the processes that hold a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::Errno;

use crate::error::Error;

/// Who holds which of the sockets.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Every pid with a descriptor on one of the inodes.
    pub(crate) holders: BTreeSet<u32>,
    /// How many processes exist whose descriptors may not be read: "nobody" and "could not look" differ.
    pub(crate) unreadable: usize,
}

/// What one table of descriptors showed.
enum Fds {
    /// It holds these of the inodes; `open` is false where no descriptor was open at all.
    Held {
        inodes: Vec<u64>,
        open: bool,
    },
    Denied,
    Gone,
}

/// Finds every process that holds one of the inodes: all of them, not the first, for a forked child keeps a
/// port bound after its parent's death.
pub(crate) fn scan(inodes: &[u64]) -> Result<Scan, Error> {
    let attempt = "cannot scan /proc for the holders of the port";
    let fail = |errno: Errno| Error::new(attempt, errno);
    let proc = open_dir(CWD, "/proc").map_err(fail)?;
    let mut scan = Scan::default();
    let mut found: BTreeMap<u64, bool> = inodes.iter().map(|inode| (*inode, false)).collect();
    let pids = numbers(&proc).map_err(fail)?;
    for pid in &pids {
        let held = match fds(&proc, &format!("{pid}/fd"), inodes).map_err(fail)? {
            // A leader that has exited has no descriptors; its threads may live on and hold the socket.
            Fds::Held { open: false, .. } => tasks(&proc, *pid, inodes).map_err(fail)?,
            Fds::Held { inodes, .. } => inodes,
            // And its place is root's: its user reads the threads' alone.
            Fds::Denied => match tasks(&proc, *pid, inodes).map_err(fail)? {
                held if held.is_empty() => {
                    scan.unreadable += 1;
                    continue;
                }
                held => held,
            },
            Fds::Gone => continue,
        };
        if !held.is_empty() {
            scan.holders.insert(*pid);
        }
        found.extend(held.into_iter().map(|inode| (inode, true)));
    }
    let missing: Vec<u64> = found.iter().filter(|(_, found)| !**found).map(|(inode, _)| *inode).collect();
    if !missing.is_empty() {
        // A thread can have a table of its own (unshare(2), CLONE_FILES). It is rare enough to look only
        // when a socket has no holder.
        for pid in &pids {
            if !tasks(&proc, *pid, &missing).map_err(fail)?.is_empty() {
                scan.holders.insert(*pid);
            }
        }
    }
    Ok(scan)
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

fn task_fds(root: impl AsFd, path: &str, inodes: &[u64]) -> Result<Vec<u64>, Errno> {
    let directory = match open_dir(root, path) {
        Ok(directory) => directory,
        Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let mut all = Vec::new();
    for tid in numbers(&directory)? {
        if let Fds::Held { inodes, .. } = fds(&directory, &format!("{tid}/fd"), inodes)? {
            all.extend(inodes);
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn fds(root: impl AsFd, path: &str, inodes: &[u64]) -> Result<Fds, Errno> {
    let directory = match open_dir(root, path) {
        Ok(directory) => directory,
        Err(Errno::NOENT | Errno::SRCH) => return Ok(Fds::Gone),
        Err(Errno::ACCESS | Errno::PERM) => return Ok(Fds::Denied),
        Err(errno) => return Err(errno),
    };
    let mut held = Vec::new();
    let mut open = false;
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut target = [MaybeUninit::uninit(); 64];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::NOENT | Errno::SRCH) => return Ok(Fds::Gone),
            Err(errno) => return Err(errno),
        };
        if !entry.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        match readlinkat_raw(&directory, entry.file_name(), &mut target) {
            Ok((link, _)) => {
                open = true;
                held.extend(socket_inode(link).filter(|inode| inodes.contains(inode)));
            }
            // A path longer than a page, which anybody's process may have: no socket's is.
            Err(Errno::NAMETOOLONG) => open = true,
            // Closed meanwhile.
            Err(Errno::NOENT | Errno::SRCH) => {}
            // The directory is readable by its owner; its links want the right to trace (proc_pid_fd(5)).
            Err(Errno::ACCESS | Errno::PERM) => return Ok(Fds::Denied),
            Err(errno) => return Err(errno),
        }
    }
    held.sort_unstable();
    held.dedup();
    Ok(Fds::Held { inodes: held, open })
}

fn open_dir(root: impl AsFd, path: &str) -> Result<File, Errno> {
    loop {
        match openat(&root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::INTR) => {}
            other => return other.map(File::from),
        }
    }
}

/// The entries of a directory whose names are numbers.
fn numbers(directory: &File) -> Result<Vec<u32>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut all = Vec::new();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => {
                all.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()))
            }
            // Its process is gone, and with it the rest of the directory.
            Err(Errno::NOENT | Errno::SRCH) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(all)
}

/// The threads of a process, by its pinned /proc/PID.
pub(crate) fn threads(root: &File) -> Vec<u32> {
    open_dir(root, "task").and_then(|directory| numbers(&directory)).unwrap_or_default()
}

fn socket_inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_sockets() {
        let table: [(&[u8], Option<u64>); 5] = [
            (b"socket:[4294967296]", Some(4_294_967_296)),
            (b"socket:[]", None),
            (b"pipe:[12]", None),
            (b"/tmp/socket:[12]", None),
            (b"socket:[12", None),
        ];
        for (link, inode) in table {
            assert_eq!(socket_inode(link), inode);
        }
    }

    #[test]
    fn this_process_holds_its_own_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode =
            std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener)))
                .unwrap();
        let inode = socket_inode(inode.as_os_str().as_encoded_bytes()).unwrap();
        assert!(scan(&[inode]).unwrap().holders.contains(&std::process::id()));
        let root = open_dir(CWD, "/proc/self").unwrap();
        assert_eq!(held(&root, &[inode, 1]).unwrap(), [inode]);
        drop(listener);
        assert!(held(&root, &[inode]).unwrap().is_empty());
    }
}
