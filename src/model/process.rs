//! The facts that were read of a process. Plain data: nothing here reads anything.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Cgroup, ExecMark, Lock, Record, Unit};

/// A process. Its start time tells it from every earlier and later process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ProcessId {
    /// The pid, in the caller's pid namespace.
    pub pid: u32,
    /// When it started: clock ticks since boot (proc_pid_stat(5), field 22; `sysconf(_SC_CLK_TCK)`, usually
    /// 100 a second).
    pub start_ticks: u64,
}

/// A fact that was read, may not be read, or is gone. "Not there" and "could not look" stay apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// It was read.
    Value(T),
    /// The kernel refused it (ptrace(2), "Ptrace access mode checking").
    Denied,
    /// The process, or this part of it, no longer exists.
    Gone,
}

impl<T> Seen<T> {
    /// The value, where it was read.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Denied | Self::Gone => None,
        }
    }

    /// Applies `f` to the value. `None` from `f` counts as denied: no default replaces it.
    pub(crate) fn and_then<U>(&self, f: impl FnOnce(&T) -> Option<U>) -> Seen<U> {
        match self {
            Self::Value(value) => f(value).map_or(Seen::Denied, Seen::Value),
            Self::Denied => Seen::Denied,
            Self::Gone => Seen::Gone,
        }
    }
}

/// A file, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileId {
    /// The device number of its file system.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
}

/// The file a process executes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exe {
    /// Its path, without the kernel's ` (deleted)`.
    pub path: PathBuf,
    /// Somebody deleted or replaced the file since the process started, as an upgrade does.
    pub replaced: bool,
    /// The file itself.
    pub file: FileId,
}

/// The script a runtime was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Script {
    /// The executable is none of the service's runtimes.
    NotARuntime,
    /// A script that exists.
    At {
        /// Its real path.
        path: PathBuf,
        /// The `name` of the package.json it belongs to.
        package: Option<String>,
        /// The subcommand after it.
        subcommand: Option<OsString>,
    },
    /// Code on the command line or on standard input, or a module by name: no script at all.
    Inline,
    /// There is a script, but it or its package may not be read.
    Unreadable,
    /// A process title has overwritten the arguments, or the script no longer exists.
    Hidden,
}

/// What was read of one process, through a /proc/PID pinned by a pidfd.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Pid and start time.
    pub id: ProcessId,
    /// How long it has been running.
    pub age: Duration,
    /// When it started, by the wall clock. Somebody may set that clock, so [`age`](Self::age) does not use it.
    pub started: Option<SystemTime>,
    /// The parent's pid. 0: it has no parent in the caller's pid namespace.
    pub ppid: u32,
    /// The name it gives itself. It is shown, and no verdict depends on it.
    pub comm: OsString,
    /// The state's letter (proc_pid_stat(5), field 3).
    pub state: char,
    /// Resident memory in bytes.
    pub rss: u64,
    /// The effective user.
    pub uid: Seen<u32>,
    /// It runs in a pid namespace below the caller's, as in a container.
    pub nested: Seen<bool>,
    /// What it executes.
    pub exe: Seen<Exe>,
    /// Its arguments, as it shows them now.
    pub argv: Seen<Vec<OsString>>,
    /// The variables of its initial environment that show its identity. An argument with the same effect as a variable
    /// replaces its value.
    pub environ: Seen<Environ>,
    /// The run of a systemd unit that it was started in: its INVOCATION_ID, if that has the form of one
    /// (systemd.exec(5)).
    pub run: Option<String>,
    /// Its cgroup.
    pub cgroup: Seen<Cgroup>,
    /// The script it runs.
    pub script: Script,
    /// The service's lock that it holds itself. It is looked for only where the script does not show what it runs.
    pub lock: Option<Lock>,
    /// The service's pid file that names it.
    pub pid_file: Option<PathBuf>,
    /// systemd's record of its unit.
    pub record: Record,
    /// The caller may send it a signal.
    pub signalable: bool,
    /// Changes with each exec, and not with a fork.
    pub(crate) mark: ExecMark,
    /// It was forked and has executed nothing since (proc_pid_stat(5), field 9: PF_FORKNOEXEC).
    pub(crate) only_forked: bool,
    /// Its session, and its process group (proc_pid_stat(5), fields 6 and 5). 0: outside of the caller's pid namespace.
    pub(crate) session: u32,
    pub(crate) group: u32,
    /// Its session has a terminal (proc_pid_stat(5), field 7).
    pub(crate) terminal: bool,
    /// What it has noted of the process that it looks after, if it is a supervisor that takes notes.
    pub(crate) charge: Option<Charge>,
}

/// What a supervisor has noted of the process that it looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// The supervisor's own folder, where it could be read.
    pub(crate) folder: Option<PathBuf>,
    /// The pid in its note. `Gone`: it has none.
    pub(crate) pid: Seen<u32>,
}

impl Facts {
    /// The process was forked from one with this mark, and has executed nothing since.
    pub(crate) fn is_fork_of(&self, mark: &ExecMark) -> bool {
        self.only_forked && self.mark == *mark && mark.is_unique()
    }

    /// The name of the program that it executes: the file name. busybox is many programs, so there its first argument
    /// counts. Where the file may not be read, the name that it gives itself counts, too.
    pub(crate) fn program(&self) -> &OsStr {
        let file = self.exe.value().and_then(|exe| exe.path.file_name());
        let called = || self.argv.value()?.first().and_then(|arg| Path::new(arg).file_name());
        match file {
            Some(file) if file != "busybox" => file,
            other => called().or(other).unwrap_or(&self.comm),
        }
    }

    /// The file that it executes, where that could be read.
    pub(crate) fn file(&self) -> Option<FileId> {
        self.exe.value().map(|exe| exe.file)
    }

    /// Both are in the same cgroup, and it is known.
    pub(crate) fn shares_cgroup(&self, other: &Self) -> bool {
        self.cgroup.value().is_some() && self.cgroup == other.cgroup
    }

    /// Both were started in one run of a unit.
    pub(crate) fn shares_run(&self, other: &Self) -> bool {
        self.run.is_some() && self.run == other.run
    }

    /// The systemd service whose cgroup it is in: the innermost unit of the path, where that is a service.
    #[must_use]
    pub fn unit(&self) -> Option<&Unit> {
        self.cgroup.value().and_then(|cgroup| cgroup.unit.as_ref())
    }
}

/// The wanted variables of an initial environment, and no others. Nobody may print their values, so `Debug` shows the
/// names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environ(pub(crate) Vec<(OsString, OsString)>);

impl fmt::Debug for Environ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl Environ {
    pub(crate) fn get(&self, key: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.iter().find(|(k, _)| k == key.as_ref()).map(|(_, v)| v.as_os_str())
    }

    pub(crate) fn set(&mut self, key: OsString, value: OsString) {
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, value));
    }
}

/// A process, the listeners that it holds, and its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Its facts.
    pub facts: Facts,
    /// The inodes of the listeners that it holds.
    pub inodes: Vec<u64>,
    /// The ports of those listeners.
    pub ports: Vec<u16>,
    /// Its parent, grandparent and so on.
    pub ancestry: Ancestry,
}

impl Process {
    /// Pid and start time.
    #[must_use]
    pub const fn id(&self) -> ProcessId {
        self.facts.id
    }

    /// The last of its line of parents that could be read, or the process itself.
    pub(crate) fn topmost(&self) -> &Facts {
        self.ancestry.parents().next_back().unwrap_or(&self.facts)
    }

    pub(crate) fn holds_any_of(&self, inodes: &[u64]) -> bool {
        self.inodes.iter().any(|inode| inodes.contains(inode))
    }
}

/// The line of parents of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ancestry {
    /// Each of them, nearest first, as far as it could be read.
    pub(crate) line: Vec<Arc<Facts>>,
    /// It is known up to PID 1, or to the edge of the pid namespace.
    pub complete: bool,
}

impl Ancestry {
    /// Its parent, the parent's parent and so on, as far as they could be read.
    pub fn parents(&self) -> impl DoubleEndedIterator<Item = &Facts> {
        self.line.iter().map(Arc::as_ref)
    }

    /// Each of them with its own ancestry.
    pub(crate) fn with_ancestries(&self) -> impl Iterator<Item = (&Arc<Facts>, Self)> {
        let above = |at: usize| self.line.get(at + 1..).unwrap_or_default().to_vec();
        let of = move |at| Self { line: above(at), complete: self.complete };
        self.line.iter().enumerate().map(move |(at, facts)| (facts, of(at)))
    }
}
