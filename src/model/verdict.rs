//! What was decided about a process, and everything that led to it.

use std::path::PathBuf;
use std::sync::Arc;

use super::{ProcessId, Service, Unit};

/// What a process is to the service, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// A running copy of the service.
    Instance(Evidence),
    /// An instance started it, and it is no instance itself.
    Offspring(Trace),
    /// It has nothing to do with the service.
    Foreign,
    /// The facts that would decide it may not be read.
    Unknown,
}

impl Identity {
    pub(crate) const fn is_instance(&self) -> bool {
        matches!(self, Self::Instance(_))
    }

    pub(crate) const fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign)
    }

    /// Its own executable or script shows that it is an instance, without a marker or a parent.
    pub(crate) const fn is_by_own_lineage(&self) -> bool {
        matches!(
            self,
            Self::Instance(Evidence::Executable | Evidence::Package(_) | Evidence::Lock(_) | Evidence::PidFile(_))
        )
    }
}

/// What shows that a process is an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// It executes the service's own executable.
    Executable,
    /// Its script lies in the service's package.
    Package(String),
    /// It holds the service's own lock, which names its pid and its start.
    Lock(PathBuf),
    /// The service's pid file names it.
    PidFile(PathBuf),
    /// It belongs to this ancestor, which is an instance: it carries the marker and runs the same executable, or the
    /// ancestor has the lock or the pid file, and it was forked from there or runs the same package.
    WorkerOf(u32),
    /// It carries the marker and runs the service's runtime. No other script is known.
    MarkedRuntime,
}

/// What shows that an instance started a process which is no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace {
    /// It carries this variable, which the service sets for the processes it starts.
    Variable(String),
    /// It carries the marker, but executes another program than the service does.
    OtherExecutable,
    /// It carries the marker, but its script lies in this other package.
    OtherPackage(String),
    /// It carries the marker, but runs another subcommand of the service's own package.
    OtherCommand,
    /// It carries the marker, but has a title that no process of the service has.
    OtherTitle,
    /// It carries the marker, but runs code or a module instead of a script.
    InlineCode,
    /// It carries the marker, but is in another cgroup than this ancestor, which is an instance.
    OtherCgroup(u32),
    /// It carries the marker, but its run is a scope's. A manager writes the marker with the run of a service only.
    Scope,
}

/// Whether somebody looks after a process now, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// It is never ended, whatever it is.
    Protected(Protection),
    /// Its supervisor runs it now.
    Live(Supervisor),
    /// An ended run of a unit left it behind.
    Leftover,
    /// Nobody looks after it.
    Unsupervised,
    /// The facts that would decide it may not be read.
    Unknown,
}

impl Liveness {
    /// No supervisor beside systemd changes it.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Protected(_) | Self::Live(Supervisor::Container(_)) | Self::Unknown)
    }
}

/// Who runs a live process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supervisor {
    /// A container. The process is in a pid namespace of its own, or in the cgroup of a container that is not the
    /// caller's. The name is that of its cgroup.
    Container(Option<String>),
    /// The systemd unit whose current run it belongs to.
    Unit(Unit),
    /// A program beside systemd: pm2, supervisord, runit and others. docs/supervisors.md lists them.
    Program(Supervised),
}

/// A process that a program beside systemd looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Supervised {
    /// The program: `pm2`, `runit`, …
    pub by: &'static str,
    /// Its process.
    pub supervisor: ProcessId,
    /// The process that it starts again: the holder or an ancestor of it.
    pub child: ProcessId,
}

/// Why a process is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// It is the caller.
    Caller,
    /// The caller descends from it.
    Ancestor,
    /// The caller started it, directly or not.
    Descendant,
    /// It is PID 1 of the caller's pid namespace, or a user's service manager.
    Init,
    /// It is part of the same instance as this ancestor of the caller.
    SameInstance(u32),
    /// It is the service's own process, whose pid is in the caller's environment, or a descendant of it.
    Inherited(u32),
    /// The policy names it, or an ancestor of it.
    Named(u32),
    /// It is this supervisor itself. It may hold the ports of the processes that it looks after.
    Supervisor(&'static str),
    /// The caller's ancestry could not be read to its end, so anything may be an ancestor.
    CallersAncestryUnreadable,
    /// The process's ancestry could not be read to its end, so it may descend from a protected process.
    AncestryUnreadable,
}

/// What was decided about a process, with its reason. There is no third answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is nobody's current server, and may be ended.
    Stale(Why),
    /// It is left alone.
    Spared(WhyNot),
}

impl Verdict {
    /// It may be ended.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale(_))
    }
}

/// The rule by which a process may be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is an instance, and nobody looks after it.
    Instance,
    /// An ended run of a unit left it behind.
    Leftover,
    /// An ended run of the caller's own unit left it behind, whatever it executes.
    OwnUnit,
    /// It is not the service's, and the policy ends any owner.
    AnyOwner,
    /// It is an instance that its supervisor runs now, and the policy ends live ones.
    Live,
    /// It is offspring that nobody looks after, and the policy ends offspring.
    Offspring,
    /// A person approved it ([`Policy::only`](crate::Policy::only)).
    Approved,
    /// It is part of an instance that is ended, or such an instance started it and the policy ends its tree.
    Tree,
}

/// The rule by which a process is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyNot {
    /// It is the caller, an ancestor or descendant of it, PID 1, or the policy names it.
    Protected,
    /// Its supervisor runs it now.
    Live,
    /// It is the new server, not the old one.
    Newer(NewerThan),
    /// It may be ended, but only approved processes are, and nobody approved it ([`Policy::only`](crate::Policy::only)).
    Declined,
    /// It is part of the holder's instance, and it listens on a port that is not to be cleared.
    Elsewhere,
    /// It is an instance of another profile or state folder than the caller's.
    OtherInstance,
    /// An instance started it, and it is no instance itself.
    Offspring,
    /// It has nothing to do with the service.
    Foreign,
    /// The facts that would decide it may not be read.
    Unknown,
}

/// What a process is newer than. Two starts in the same clock tick have no order, so such a process is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewerThan {
    /// It did not start before the caller.
    Caller,
    /// It started after the instance that started the caller, and before the caller.
    Server,
    /// It executed a program after this call signalled it.
    Signal,
}

/// A verdict with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// What the process is to the service.
    pub identity: Identity,
    /// Who looks after it now, if anybody.
    pub liveness: Liveness,
    /// What is to be done, and by which rule.
    pub verdict: Verdict,
    /// The service in question. Sentences name it.
    pub(crate) service: Arc<Service>,
}
