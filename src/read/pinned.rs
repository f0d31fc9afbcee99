//! Read the facts of a process: pin it, read, check that it still lives. Only then do they belong to the
//! process that will be signalled.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, PathBuf};
use std::time::{Duration, SystemTime};

use procfs::process::{Process, Stat};
use procfs::{FromRead, ProcError};
use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;
use crate::facts::{Entry, Environ, Exe, Facts, Image, ProcessId, Record, Seen};
use crate::identity::marked;
use crate::os::pidfd::{self, PidFd};
use crate::os::read::{attempt, fail, read, read_exe, seen};
use crate::os::{descriptors, entry, holders, unit};
use crate::parse;
use crate::service::Service;

/// A process that cannot be mistaken for a later one with its pid.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) pidfd: PidFd,
    pid: u32,
    root: Process,
}

/// A process may exec while it is read; what was read then belongs to two programs.
const ATTEMPTS: usize = 5;

impl Pinned {
    /// `None`: there is no such process.
    pub(crate) fn open(pid: u32) -> Result<Option<Self>, Error> {
        let Some(pidfd) = PidFd::open(pid)? else {
            return Ok(None);
        };
        let Ok(number) = i32::try_from(pid) else {
            return Ok(None);
        };
        let root = match Process::new(number) {
            Ok(root) => root,
            Err(ProcError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(fail(pid, error)),
        };
        // Alive after /proc/PID was opened: then both descriptors name the same process.
        Ok(pidfd.is_alive()?.then_some(Self { pidfd, pid, root }))
    }

    /// Which of the inodes it holds now.
    pub(crate) fn held(&self, inodes: &[u64]) -> Result<Vec<u64>, Error> {
        match self.directory()? {
            Some(directory) => holders::held(&directory, inodes),
            None => Ok(Vec::new()),
        }
    }

    /// Of its environment what identity is read from, and of the rest nothing: for telling at little cost whose
    /// facts are worth reading.
    pub(crate) fn environ(&self, service: &Service) -> Result<Seen<Environ>, Error> {
        read_environ(&self.root, self.pid, service)
    }

    /// `None`: it has ended, or is about to.
    pub(crate) fn facts(&self, service: &Service) -> Result<Option<Facts>, Error> {
        for _ in 0..ATTEMPTS {
            let Some(stat) = self.stat()? else {
                return Ok(None);
            };
            let before = image(&stat);
            let facts = self.read(&stat, service)?;
            let signalable = pidfd::may_signal(self.pid)?;
            if !self.pidfd.is_alive()? {
                return Ok(None);
            }
            if let Some(facts) = facts
                && self.stat()?.is_some_and(|after| image(&after) == before)
            {
                return Ok(Some(Facts { signalable, image: before, ..facts }));
            }
        }
        Ok(None)
    }

    /// `None`: it has ended, or may not be read.
    pub(crate) fn id(&self) -> Result<Option<ProcessId>, Error> {
        Ok(self.stat()?.map(|stat| ProcessId { pid: self.pid, start_ticks: stat.starttime }))
    }

    /// The state's letter, for what would not end.
    pub(crate) fn state(&self) -> char {
        self.stat().ok().flatten().map_or('?', |stat| stat.state)
    }

    /// What it has in memory, in bytes, and whether that is all it has resident: its share of what it shares with
    /// others may be read by those alone who may trace it. `None`: it has ended.
    pub(crate) fn memory(&self) -> Option<(u64, bool)> {
        let share = read(&self.root, "smaps_rollup", self.pid).map(|bytes| flat_map(&bytes, parse::pss));
        let stat = self.stat().ok().flatten();
        let resident = stat.map(|stat| stat.rss.saturating_mul(rustix::param::page_size() as u64));
        // Where not even that can be asked, it is counted all the same: a figure for people hangs on it alone.
        self.pidfd.is_alive().unwrap_or(true).then(|| match share {
            Ok(Seen::Value(bytes)) => (bytes, false),
            _ => (resident.unwrap_or_default(), true),
        })
    }

    /// `None`: it has ended.
    fn directory(&self) -> Result<Option<File>, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match seen(self.root.open_relative_flags(".", flags), self.pid)? {
            Seen::Gone => Ok(None),
            Seen::Denied => {
                Err(Error::new(attempt(self.pid), io::Error::from(io::ErrorKind::PermissionDenied)))
            }
            Seen::Value(directory) => Ok(Some(directory)),
        }
    }

    fn stat(&self) -> Result<Option<Stat>, Error> {
        match read(&self.root, "stat", self.pid)? {
            Seen::Value(bytes) => {
                Ok(Some(Stat::from_read(&bytes[..]).map_err(|error| fail(self.pid, error))?))
            }
            Seen::Denied | Seen::Gone => Ok(None),
        }
    }

    fn read(&self, stat: &Stat, service: &Service) -> Result<Option<Facts>, Error> {
        let pid = self.pid;
        let (thread, exe) = match read_exe(&self.root, pid)? {
            Seen::Gone => self.exe_of_a_thread()?,
            exe => (None, exe),
        };
        let image = thread.as_ref().unwrap_or(&self.root);
        let argv = map(read(image, "cmdline", pid)?, |bytes| parse::argv(&bytes));
        let mut environ = read_environ(image, pid, service)?;
        let entry = match (&exe, &argv) {
            (Seen::Value(exe), Seen::Value(argv)) => {
                entry::entry(pid, image, exe, argv, environ.value().unwrap_or(&Environ::default()), service)?
            }
            (Seen::Value(exe), _) if service.runtime_of(&exe.path).is_none() => Entry::NotARuntime,
            _ => Entry::Unreadable,
        };
        if let (Seen::Value(exe), Seen::Value(argv), Seen::Value(environ)) = (&exe, &argv, &mut environ)
            && let Some((key, value)) = entry::instance_key(&entry, exe, argv, service)
        {
            environ.set(key, value);
        }
        let status = read(&self.root, "status", pid)?;
        let cgroup = flat_map(&read(&self.root, "cgroup", pid)?, parse::cgroup);
        // After the environment: a run is on record before its first process starts.
        let own = environ.value();
        let run = own.and_then(|environ| environ.get(OsStr::new("INVOCATION_ID"))).and_then(parse::run);
        let uid = flat_map(&status, parse::status_uid);
        let record = match (cgroup.value().and_then(|path| parse::unit(path)), run) {
            (Some(_), _) if outside(&cgroup) => Record::Denied,
            (Some(unit), run) => unit::record(&unit, run),
            // Whoever wrote the marker wrote the run, and systemd that of its own child.
            (None, Some(run)) if stat.ppid == 1 || own.is_some_and(|own| marked(own, service)) => {
                unit::outside(run, uid.value().copied())
            }
            (None, _) => Record::None,
        };
        Ok(Some(Facts {
            id: ProcessId { pid, start_ticks: stat.starttime },
            age: age(stat.starttime),
            started: SystemTime::now().checked_sub(age(stat.starttime)),
            ppid: u32::try_from(stat.ppid).unwrap_or_default(),
            comm: match read(&self.root, "comm", pid)? {
                Seen::Value(name) => OsString::from_vec(name.strip_suffix(b"\n").unwrap_or(&name).to_vec()),
                Seen::Denied | Seen::Gone => return Ok(None),
            },
            state: stat.state,
            rss: stat.rss.saturating_mul(rustix::param::page_size() as u64),
            uid,
            nested: flat_map(&status, parse::status_nested),
            exe,
            argv,
            environ,
            cgroup,
            entry,
            record,
            signalable: false,
            image: Image::default(),
            only_forked: stat.flags & PF_FORKNOEXEC != 0,
        }))
    }

    /// In a thread's place, where the leader has exited and left its threads running. The leader's own place then
    /// shows neither an executable nor an environment, as if it had none.
    fn exe_of_a_thread(&self) -> Result<(Option<Process>, Seen<Exe>), Error> {
        let threads = self.directory()?.map(|directory| descriptors::threads(&directory));
        for tid in threads.unwrap_or_default() {
            let path = PathBuf::from(format!("/proc/{}/task/{tid}", self.pid));
            if let Ok(thread) = Process::new_with_root(path)
                && let exe @ Seen::Value(_) = read_exe(&thread, self.pid)?
            {
                return Ok((Some(thread), exe));
            }
        }
        Ok((None, Seen::Gone))
    }
}

/// include/linux/sched.h: forked, and nothing executed since.
const PF_FORKNOEXEC: u32 = 0x40;

/// What changes with each exec: where the kernel put the new stack, and what lies above it.
fn image(stat: &Stat) -> Image {
    Image { stack: stat.startstack, environ_end: stat.env_end.unwrap_or_default() }
}

/// A cgroup outside of the caller's cgroup namespace: its path begins with `/..`, and what is left out may be
/// what tells its manager (cgroup_namespaces(7)).
fn outside(cgroup: &Seen<PathBuf>) -> bool {
    cgroup.value().is_some_and(|path| path.components().any(|part| part == Component::ParentDir))
}

fn read_environ(image: &Process, pid: u32, service: &Service) -> Result<Seen<Environ>, Error> {
    let wanted = service.variables().chain(["PWD", "INVOCATION_ID"].map(AsRef::as_ref));
    Ok(map(read(image, "environ", pid)?, |bytes| parse::environ(&bytes, wanted)))
}

/// Ticks since boot, as the boot clock of this time namespace counts them (time_namespaces(7)).
fn age(start_ticks: u64) -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let now =
        Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default());
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let start = Duration::from_secs(start_ticks / per_second)
        + Duration::from_nanos(start_ticks % per_second * (1_000_000_000 / per_second));
    now.saturating_sub(start)
}

fn map<T, U>(seen: Seen<T>, f: impl FnOnce(T) -> U) -> Seen<U> {
    match seen {
        Seen::Value(value) => Seen::Value(f(value)),
        Seen::Denied => Seen::Denied,
        Seen::Gone => Seen::Gone,
    }
}

/// What the bytes do not tell is as good as denied: nothing is made up for it.
fn flat_map<U>(seen: &Seen<Vec<u8>>, f: impl FnOnce(&[u8]) -> Option<U>) -> Seen<U> {
    match seen {
        Seen::Value(bytes) => f(bytes).map_or(Seen::Denied, Seen::Value),
        Seen::Denied => Seen::Denied,
        Seen::Gone => Seen::Gone,
    }
}
