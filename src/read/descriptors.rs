//! Read tables of descriptors, and find the sockets in them.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::Errno;

/// The result for one table of descriptors.
pub(crate) enum Fds {
    /// It holds these of the inodes. `read`: how many descriptors were open.
    Held {
        inodes: Vec<u64>,
        read: usize,
    },
    Denied,
    Gone,
}

pub(crate) fn task_fds(root: impl AsFd, path: &str, inodes: &[u64]) -> Result<Vec<u64>, Errno> {
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

pub(crate) fn fds(root: impl AsFd, path: &str, inodes: &[u64]) -> Result<Fds, Errno> {
    let directory = match open_dir(root, path) {
        Ok(directory) => directory,
        Err(Errno::NOENT | Errno::SRCH) => return Ok(Fds::Gone),
        Err(Errno::ACCESS | Errno::PERM) => return Ok(Fds::Denied),
        Err(errno) => return Err(errno),
    };
    let mut held = Vec::new();
    let mut read = 0;
    let mut target = [MaybeUninit::uninit(); 64];
    // Begin with a small buffer. If the links may not be read, the first one says so. Then the names of the others
    // would cost more than all else.
    let mut few = [MaybeUninit::uninit(); 256];
    let mut many = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(&directory, &mut few[..]);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::NOENT | Errno::SRCH) => return Ok(Fds::Gone),
            Err(errno) => return Err(errno),
        };
        if entry.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit) {
            match readlinkat_raw(&directory, entry.file_name(), &mut target) {
                Ok((link, _)) => {
                    read += 1;
                    held.extend(socket_inode(link).filter(|inode| inodes.contains(inode)));
                }
                // Any process may have opened a path longer than a page. It is no socket.
                Err(Errno::NAMETOOLONG) => read += 1,
                // Closed meanwhile.
                Err(Errno::NOENT | Errno::SRCH) => {}
                // Its owner may read the directory, but reading the links needs the right to trace (proc_pid_fd(5)).
                Err(Errno::ACCESS | Errno::PERM) => return Ok(Fds::Denied),
                Err(errno) => return Err(errno),
            }
        }
        if entries.is_buffer_empty() {
            entries = RawDir::new(&directory, &mut many[..]);
        }
    }
    held.sort_unstable();
    held.dedup();
    Ok(Fds::Held { inodes: held, read })
}

pub(crate) fn open_dir(root: impl AsFd, path: &str) -> Result<File, Errno> {
    loop {
        match openat(&root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::INTR) => {}
            other => return other.map(File::from),
        }
    }
}

/// The entries of a directory whose names are numbers.
pub(crate) fn numbers(directory: &File) -> Result<Vec<u32>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut all = Vec::new();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => all.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok())),
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

pub(crate) fn socket_inode(link: &[u8]) -> Option<u64> {
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
}
