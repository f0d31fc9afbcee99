//! Read the files of a process below /proc: what is there, what may not be read, and what is gone.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::process::Process;
use procfs::{ProcError, ProcResult};
use rustix::fs::OFlags;

use crate::error::Error;
use crate::facts::{Exe, Seen};
use crate::os::sockets;
use crate::parse;

/// No exec takes more than 6 MiB of arguments and environment (execve(2)). A process can let them seem to be
/// gigabytes (PR_SET_MM), and is then not read to the end.
const LIMIT: u64 = 8 << 20;

/// The path of a process's cgroup, where it can be read: for telling at little cost what is not worth pinning.
pub(crate) fn cgroup(pid: u32) -> Option<PathBuf> {
    File::open(format!("/proc/{pid}/cgroup")).and_then(read_all).ok().and_then(|bytes| parse::cgroup(&bytes))
}

/// What the calling process executes. In the calling thread's place: the leader may have exited.
pub(crate) fn own_exe() -> Result<Exe, Error> {
    let pid = std::process::id();
    let thread = PathBuf::from(format!("/proc/self/task/{}", nix::unistd::gettid()));
    let own = Process::new_with_root(thread).map_err(|error| fail(pid, error))?;
    match read_exe(&own, pid)? {
        Seen::Value(exe) => Ok(exe),
        Seen::Denied => Err(Error::new(attempt(pid), io::Error::from(io::ErrorKind::PermissionDenied))),
        Seen::Gone => Err(Error::new(attempt(pid), io::Error::from(io::ErrorKind::NotFound))),
    }
}

/// Device and inode of a file, where it exists.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

pub(crate) fn read_exe(image: &Process, pid: u32) -> Result<Seen<Exe>, Error> {
    let path = match seen(image.exe(), pid)? {
        Seen::Value(path) => path,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    // Opened as a path alone: neither the right to read the file is needed nor its content touched.
    let file = match seen(image.open_relative_flags("exe", OFlags::PATH | OFlags::CLOEXEC), pid)? {
        Seen::Value(file) => file.metadata().map_err(|error| Error::new(attempt(pid), error))?,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    let file = (file.dev(), file.ino());
    // A file may really be called "x (deleted)"; then it is there under that name.
    let suffix = path.to_str().and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(Seen::Value(match suffix {
        Some(original) if file_id(&path) != Some(file) => Exe { path: original.into(), replaced: true, file },
        _ => Exe { path, replaced: false, file },
    }))
}

pub(crate) fn read(image: &Process, name: &str, pid: u32) -> Result<Seen<Vec<u8>>, Error> {
    let file = match seen(image.open_relative(name), pid)? {
        Seen::Value(file) => file,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    match read_all(file) {
        Ok(bytes) if bytes.len() as u64 == LIMIT => Ok(Seen::Denied),
        Ok(bytes) => Ok(Seen::Value(bytes)),
        Err(error) => seen(Err(ProcError::from(error)), pid),
    }
}

/// A file of /proc, which tells no size: with room for most of them, for each part would be a system call.
pub(crate) fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Keeps apart what may not be read, what is gone, and what went wrong.
pub(crate) fn seen<T>(result: ProcResult<T>, pid: u32) -> Result<Seen<T>, Error> {
    match result {
        Ok(value) => Ok(Seen::Value(value)),
        Err(ProcError::PermissionDenied(_)) => Ok(Seen::Denied),
        Err(ProcError::NotFound(_)) => Ok(Seen::Gone),
        Err(ProcError::Io(error, _)) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(Seen::Gone),
        // A path longer than a page cannot be read by anybody; its process is not the one that fails for it.
        Err(ProcError::Io(error, _)) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => {
            Ok(Seen::Denied)
        }
        Err(error) => Err(fail(pid, error)),
    }
}

pub(crate) fn attempt(pid: u32) -> String {
    format!("cannot read process {pid}")
}

pub(crate) fn fail(pid: u32, error: ProcError) -> Error {
    Error::new(attempt(pid), sockets::to_io(error))
}
