//! What was seen of a process. Plain data: nothing here looks anything up.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::escape;
use crate::parse;

/// A process, told apart from every earlier and later one with the same pid.
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
}

/// The file a process executes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exe {
    /// Its path, without the kernel's ` (deleted)`.
    pub path: PathBuf,
    /// The file was deleted or replaced since the process started, as an upgrade does.
    pub replaced: bool,
    /// Device and inode number: the file itself, whatever its path.
    pub file: (u64, u64),
}

/// The script a runtime was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// The executable is none of the service's runtimes.
    NotARuntime,
    /// A script that exists.
    Script {
        /// Its real path.
        path: PathBuf,
        /// The `name` of the package.json it belongs to.
        package: Option<String>,
        /// The subcommand after it.
        subcommand: Option<OsString>,
    },
    /// Code on the command line or on standard input, or a module by name: no script at all.
    Inline,
    /// There is a script, and it or its package may not be read.
    Unreadable,
    /// A process title has overwritten argv, or the script no longer exists.
    Untold,
}

/// What was read of one process, through a /proc/PID pinned by a pidfd.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Pid and start time.
    pub id: ProcessId,
    /// How long it has been running.
    pub age: Duration,
    /// When it started, by the clock; only as good as the clock, and no age is told by it.
    pub started: Option<SystemTime>,
    /// The parent's pid; 0 where the parent is outside of the pid namespace.
    pub ppid: u32,
    /// The name it gives itself. Shown, never judged by.
    pub comm: OsString,
    /// The state's letter (proc_pid_stat(5), field 3).
    pub state: char,
    /// Resident memory in bytes.
    pub rss: u64,
    /// The effective user.
    pub uid: Seen<u32>,
    /// It runs in a pid namespace below the caller's: in a container.
    pub nested: Seen<bool>,
    /// What it executes.
    pub exe: Seen<Exe>,
    /// Its arguments, as it shows them now.
    pub argv: Seen<Vec<OsString>>,
    /// Of its initial environment, the variables that identity is read from; an argument that does what one of them
    /// does stands in its place.
    pub environ: Seen<Environ>,
    /// The path of its cgroup, unified hierarchy (cgroups(7)).
    pub cgroup: Seen<PathBuf>,
    /// The script it runs.
    pub entry: Entry,
    /// What systemd has on record of its unit.
    pub record: Record,
    /// The caller may send it a signal.
    pub signalable: bool,
    /// Changes with each exec, and not with a fork.
    pub(crate) image: Image,
    /// It was forked and has executed nothing since (proc_pid_stat(5), field 9: PF_FORKNOEXEC).
    pub(crate) only_forked: bool,
}

impl Facts {
    /// Whether the process was forked from one with this image, and has executed nothing since.
    pub(crate) fn is_fork_of(&self, image: &Image) -> bool {
        self.only_forked && self.image == *image && image.is_unique()
    }

    /// The systemd service whose cgroup it is in: the innermost unit of the path, where that is a service.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        self.cgroup.value().and_then(|path| parse::unit(path))
    }

    /// The run of a systemd unit that it was started in: INVOCATION_ID, where that is one (systemd.exec(5)).
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.environ.value().and_then(|environ| environ.get(OsStr::new("INVOCATION_ID"))).and_then(parse::run)
    }
}

/// Where the kernel put the stack and what lies above it at the last exec (proc_pid_stat(5), fields 28 and 51). A
/// fork has its parent's; an exec is given new ones at random (`kernel.randomize_va_space`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) stack: u64,
    pub(crate) environ_end: u64,
}

/// Nothing but the name of what was executed, of 4 KiB at most (fs/exec.c, bprm_execve), lies between the environment
/// and the end of the address space where nothing is put at random; and the page of vectors, or a last one that is
/// left free.
const ABOVE: u64 = 128 << 10;

impl Image {
    /// Whether nothing but this very exec has this image. Where nothing is put at random (personality(2),
    /// ADDR_NO_RANDOMIZE) each exec of a program has the same one. Chance may put it there, too: once in 130,000 times
    /// of x86-64, and 8,000 of arm64.
    pub(crate) fn is_unique(&self) -> bool {
        let end = self.environ_end.checked_next_power_of_two();
        end.is_some_and(|end| end - self.environ_end > ABOVE)
    }
}

/// A systemd service, or a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unit {
    /// Its name, as systemd escapes it in the path of its cgroup.
    pub name: OsString,
    /// The manager that runs it.
    pub manager: Manager,
}

impl Unit {
    pub(crate) fn is_scope(&self) -> bool {
        self.name.as_encoded_bytes().ends_with(b".scope")
    }
}

/// The name, escaped for people, and the user where it is not the system's.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.name.as_encoded_bytes()))?;
        match self.manager {
            Manager::System => Ok(()),
            Manager::User(uid) => write!(f, " of user {uid}"),
            Manager::Nested => f.write_str(" of a manager in another unit"),
        }
    }
}

/// What keeps a caller from seeing other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blind {
    /// It is in a user namespace of its own: `PrivateUsers=`, or a container.
    UserNamespace,
    /// /proc hides the processes of other users: `ProtectProc=`, or hidepid.
    HiddenProc,
}

/// A systemd manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manager {
    /// PID 1.
    System,
    /// The `systemd --user` of this user.
    User(u32),
    /// One that another manager's unit runs, or a program that names its cgroups as systemd does. Where it keeps its
    /// records is not known.
    Nested,
}

/// What systemd has on record of a unit's runs: the link `invocation:UNIT` that it makes before the first
/// ExecStartPre of a start and removes when the unit is inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The process is in no service.
    None,
    /// The process is in no service, and carries the marker and the current run of this one, or of a scope: what runs
    /// in the service now has started it, or systemd-run(1) with `--scope`.
    Outside(Unit),
    /// The unit's current run.
    Current {
        /// Its INVOCATION_ID.
        run: String,
        /// When it was put on record.
        since: SystemTime,
    },
    /// The unit has no current run.
    Inactive,
    /// The records may not be read, or are hidden from here.
    Denied,
}

/// Variables of an initial environment: the ones that were asked for, nothing else. Its values are nobody's
/// to print: they are not even in its `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environ(pub(crate) Vec<(OsString, OsString)>);

impl fmt::Debug for Environ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl Environ {
    pub(crate) fn get(&self, key: &OsStr) -> Option<&OsStr> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_os_str())
    }

    pub(crate) fn set(&mut self, key: OsString, value: OsString) {
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, value));
    }
}

/// A process with a descriptor on a listening socket of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// What was read of it.
    pub facts: Facts,
    /// The inodes of the listeners it holds.
    pub inodes: Vec<u64>,
    /// Its parent, grandparent and so on.
    pub ancestry: Ancestry,
}

/// The line of parents of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ancestry {
    /// Each of them, as far as it could be read.
    pub(crate) line: Vec<Arc<Facts>>,
    /// It is known up to PID 1, or to the edge of the pid namespace.
    pub complete: bool,
}

impl Ancestry {
    /// Its parent, that one's parent and so on, as far as they could be read.
    pub fn parents(&self) -> impl DoubleEndedIterator<Item = &Facts> {
        self.line.iter().map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_is_put_where_all_are_is_nobodys_own() {
        // x86-64 and arm64, at random, just so and not; a process of 32 bits, not.
        let table = [
            (0x7ffc_2676_dfe7, true),
            (0x7fff_ff94_0fe7, true),
            (0x7fff_ffff_efe7, false),
            (0x7fff_ffff_e001, false),
            (0xffff_d1e2_3fe7, true),
            (0xffff_ffff_ffe7, false),
            (0xffff_dfe7, false),
            (0xfffe_efe7, false),
            (0, false),
        ];
        for (environ_end, unique) in table {
            assert_eq!(Image { stack: 0, environ_end }.is_unique(), unique, "{environ_end:x}");
        }
    }
}
