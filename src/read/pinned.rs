//! Pinned processes: no later process is mistaken for one of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::rc::Rc;

use procfs::process::{Process, Stat};
use procfs::{FromRead, ProcError};
use rustix::fs::OFlags;

use super::holders;
use super::pidfd::PidFd;
use super::proc::{Miss, attempt, fail, or_miss, read, seen};
use crate::model::{Error, ProcessId, Seen};

/// A process, held by its pidfd and by its open /proc/PID.
#[derive(Debug)]
pub(crate) struct Pinned {
    pidfd: PidFd,
    pub(super) pid: u32,
    pub(super) root: Process,
}

impl Pinned {
    /// `None`: there is no such process.
    pub(crate) fn open(pid: u32) -> Result<Option<Self>, Error> {
        let (Some(pidfd), Ok(number)) = (PidFd::open(pid)?, i32::try_from(pid)) else { return Ok(None) };
        let root = match Process::new(number) {
            Ok(root) => root,
            Err(ProcError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(fail(pid, error)),
        };
        // It is alive after /proc/PID was opened, so both descriptors name the same process.
        Ok(pidfd.is_alive()?.then_some(Self { pidfd, pid, root }))
    }

    /// Pins exactly this process. `None`: it has ended.
    pub(crate) fn again(id: ProcessId) -> Result<Option<Self>, Error> {
        let Some(pinned) = Self::open(id.pid)? else { return Ok(None) };
        let same = pinned.stat()?.is_some_and(|stat| stat.starttime == id.start_ticks);
        Ok(same.then_some(pinned))
    }

    pub(crate) const fn pidfd(&self) -> &PidFd {
        &self.pidfd
    }

    /// Those of the inodes that it holds now.
    pub(crate) fn held(&self, inodes: &[u64]) -> Result<Vec<u64>, Error> {
        match self.directory()? {
            Some(directory) => holders::held(&directory, inodes),
            None => Ok(Vec::new()),
        }
    }

    /// The state's letter (proc_pid_stat(5), field 3). `?`: it cannot be read.
    pub(crate) fn state(&self) -> char {
        self.stat().ok().flatten().map_or('?', |stat| stat.state)
    }

    /// `None`: it has ended.
    pub(super) fn directory(&self) -> Result<Option<File>, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match or_miss(self.root.open_relative_flags(".", flags), self.pid) {
            Ok(directory) => Ok(Some(directory)),
            Err(Miss::Gone) => Ok(None),
            Err(Miss::Denied) => Err(Error::new(attempt(self.pid), io::Error::from(io::ErrorKind::PermissionDenied))),
            Err(Miss::Failed(error)) => Err(error),
        }
    }

    /// `None`: it has ended, or may not be read.
    pub(super) fn stat(&self) -> Result<Option<Stat>, Error> {
        match seen(read(&self.root, "stat", self.pid))? {
            Seen::Value(bytes) => Stat::from_read(&bytes[..]).map(Some).map_err(|error| fail(self.pid, error)),
            Seen::Denied | Seen::Gone => Ok(None),
        }
    }
}

/// Pinned processes, by pid and start time.
#[derive(Debug, Default)]
pub(crate) struct Pins(BTreeMap<ProcessId, Rc<Pinned>>);

/// The items whose processes are pinned now, and those for which there were too few descriptors.
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) pinned: Vec<T>,
    pub(crate) unpinned: Vec<T>,
}

/// How many processes are unpinned again. Each frees two descriptors for the steps that follow.
pub(super) const SPARE: usize = 8;

impl Pins {
    pub(super) fn add(&mut self, id: ProcessId, pinned: Pinned) {
        self.0.insert(id, Rc::new(pinned));
    }

    /// A process that was never pinned is a mistake of this crate. It is an error, so that no process is skipped.
    pub(crate) fn get(&self, id: ProcessId) -> Result<&Rc<Pinned>, Error> {
        let missing = || Error::new(format!("cannot find the pin of process {}", id.pid), io::Error::other("a mix-up"));
        self.0.get(&id).ok_or_else(missing)
    }

    /// Pins those of the processes that have not ended. If there are too few descriptors for all, it pins the first
    /// ones: the port must be freed all the same.
    pub(crate) fn pin<T>(
        &mut self, mut wanted: impl Iterator<Item = T>, id: impl Fn(&T) -> ProcessId,
    ) -> Result<Held<T>, Error> {
        let (mut pinned, mut new) = (Vec::new(), Vec::new());
        while let Some(next) = wanted.next() {
            let id_of = id(&next);
            match self.hold(id_of) {
                Ok(Hold::New) => new.push(id_of),
                Ok(Hold::Known) => {}
                Ok(Hold::Ended) => continue,
                Err(error) if is_out_of_descriptors(&error) => {
                    // A process that was pinned before this call is somebody else's, too.
                    let spare = new.split_off(new.len().saturating_sub(SPARE));
                    spare.iter().for_each(|id| drop(self.0.remove(id)));
                    let (mut rest, kept): (Vec<_>, Vec<_>) =
                        pinned.into_iter().partition(|one| spare.contains(&id(one)));
                    rest.push(next);
                    rest.extend(wanted);
                    return Ok(Held { pinned: kept, unpinned: rest });
                }
                Err(error) => return Err(error),
            }
            pinned.push(next);
        }
        Ok(Held { pinned, unpinned: Vec::new() })
    }

    fn hold(&mut self, id: ProcessId) -> Result<Hold, Error> {
        if let Some(pinned) = self.0.get(&id) {
            return Ok(if pinned.pidfd().is_alive()? { Hold::Known } else { Hold::Ended });
        }
        let Some(pinned) = Pinned::again(id)? else { return Ok(Hold::Ended) };
        self.add(id, pinned);
        Ok(Hold::New)
    }
}

/// What became of a wish to pin a process.
enum Hold {
    New,
    Known,
    Ended,
}

/// The process, or the machine, has run out of file descriptors.
fn is_out_of_descriptors(error: &Error) -> bool {
    use nix::libc::{EMFILE, ENFILE};
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}
