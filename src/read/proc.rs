//! Read the files of a process below /proc. "May not be read" and "gone" stay apart from errors.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::process::Process;
use procfs::{ProcError, ProcResult};
use rustix::fs::OFlags;

use super::parse;
use crate::model::{Error, Exe, Executable, FileId, Seen, Service};

/// No exec takes more than 6 MiB of arguments and environment (execve(2)). A process can make them look like gigabytes
/// (PR_SET_MM). Such a file is not read to the end.
const LIMIT: u64 = 8 << 20;

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Miss<E = Error> {
    Denied,
    Gone,
    Failed(E),
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// "May not be read" and "gone" are facts. Any other failure stays an error.
pub(crate) fn seen<T>(result: Result<T, Miss>) -> Result<Seen<T>, Error> {
    match result {
        Ok(value) => Ok(Seen::Value(value)),
        Err(Miss::Denied) => Ok(Seen::Denied),
        Err(Miss::Gone) => Ok(Seen::Gone),
        Err(Miss::Failed(error)) => Err(error),
    }
}

/// The path of a process's cgroup, if it can be read. This reading is cheap, and spares pinning most processes.
pub(crate) fn cgroup(pid: u32) -> Option<PathBuf> {
    File::open(format!("/proc/{pid}/cgroup")).and_then(read_all).ok().and_then(|bytes| parse::cgroup(&bytes))
}

/// The executable of the calling process. It is read through the calling thread: the leader may have exited.
pub(crate) fn own_exe() -> Result<Exe, Error> {
    let pid = std::process::id();
    let thread = PathBuf::from(format!("/proc/self/task/{}", nix::unistd::gettid()));
    let own = Process::new_with_root(thread).map_err(|error| fail(pid, error))?;
    let kind = match read_exe(&own, pid) {
        Ok(exe) => return Ok(exe),
        Err(Miss::Denied) => io::ErrorKind::PermissionDenied,
        Err(Miss::Gone) => io::ErrorKind::NotFound,
        Err(Miss::Failed(error)) => return Err(error),
    };
    Err(Error::new(attempt(pid), io::Error::from(kind)))
}

/// The service's own executables, each with the file at its path, if there is one.
pub(crate) fn executables(service: &Service) -> Vec<Executable> {
    let known = |own: &Executable| Executable { file: own.file.or_else(|| file_id(&own.path)), ..own.clone() };
    service.executables.iter().map(known).collect()
}

fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|about| id_of(&about))
}

fn id_of(about: &std::fs::Metadata) -> FileId {
    FileId { device: about.dev(), inode: about.ino() }
}

pub(crate) fn read_exe(root: &Process, pid: u32) -> Result<Exe, Miss> {
    let path = or_miss(root.exe(), pid)?;
    // O_PATH needs no right to read the file, and touches no content.
    let file = or_miss(root.open_relative_flags("exe", OFlags::PATH | OFlags::CLOEXEC), pid)?;
    let file = id_of(&file.metadata().map_err(|error| Error::new(attempt(pid), error))?);
    // A file may really be called "x (deleted)". Then it exists under that name.
    let suffix = path.to_str().and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(match suffix {
        Some(original) if file_id(&path) != Some(file) => Exe { path: original.into(), replaced: true, file },
        _ => Exe { path, replaced: false, file },
    })
}

pub(crate) fn read(root: &Process, name: &str, pid: u32) -> Result<Vec<u8>, Miss> {
    let bytes = read_all(or_miss(root.open_relative(name), pid)?);
    let bytes = or_miss(bytes.map_err(ProcError::from), pid)?;
    if bytes.len() as u64 == LIMIT { Err(Miss::Denied) } else { Ok(bytes) }
}

/// Reads a file of /proc. It has no size, so begin with room for most of them: each further part costs a system call.
pub(crate) fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells apart "may not be read", "gone" and every other failure.
pub(crate) fn or_miss<T>(result: ProcResult<T>, pid: u32) -> Result<T, Miss> {
    result.map_err(|error| match error {
        ProcError::PermissionDenied(_) => Miss::Denied,
        ProcError::NotFound(_) => Miss::Gone,
        ProcError::Io(error, _) if error.raw_os_error() == Some(nix::libc::ESRCH) => Miss::Gone,
        // Nobody can read a path longer than a page. Such a process must not make the call fail.
        ProcError::Io(error, _) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => Miss::Denied,
        error => Miss::Failed(fail(pid, error)),
    })
}

pub(crate) fn attempt(pid: u32) -> String {
    format!("cannot read process {pid}")
}

pub(crate) fn fail(pid: u32, error: ProcError) -> Error {
    Error::new(attempt(pid), to_io(error))
}

pub(crate) fn to_io(error: ProcError) -> io::Error {
    match error {
        ProcError::Io(error, _) => error,
        ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        other => io::Error::other(other.to_string()),
    }
}
