//! What may be ended, and how.

use std::time::Duration;

use super::{Service, Signal};

/// What to look for, what may be ended, and how gently.
///
/// ```
/// use std::time::Duration;
/// use portclear::{Policy, Service};
///
/// let policy = Policy::new(Service::openclaw()).grace(Duration::from_secs(5)).protect(4242);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Policy {
    pub(crate) service: Service,
    pub(crate) grace: Duration,
    pub(crate) signal: Signal,
    pub(crate) kill: bool,
    pub(crate) protect: Vec<u32>,
    pub(crate) ends: Ends,
}

/// What may be ended beside stale instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Also {
    /// Holders that are not the service's.
    AnyOwner,
    /// Instances that their supervisor runs now.
    Live,
    /// Offspring that holds the port and that nobody looks after.
    Offspring,
    /// Processes that the ended instances have started: their descendants, whatever session or process group they
    /// are in, and processes that lost their parent and carry the same marker and run. A process in a cgroup of its
    /// own, as systemd-run(1) `--scope` makes, was meant to outlive its starter, and does.
    ///
    /// Each of them takes two file descriptors while it is ended. Where RLIMIT_NOFILE does not suffice for all, the
    /// rest is left alone.
    Tree,
    /// Processes that ended runs of the service left behind anywhere, whether or not they hold a port, and also
    /// where the ports are free. They stand in [`Report::swept`](crate::Report::swept).
    /// [`bind`](crate::bind) refuses a policy with it.
    Sweep,
}

/// [`Also`], as the rules ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) any_owner: bool,
    pub(crate) live: bool,
    pub(crate) offspring: bool,
    pub(crate) tree: bool,
    pub(crate) sweep: bool,
}

impl Policy {
    /// Ends stale instances of `service` with SIGTERM, and after 10 s of grace with SIGKILL.
    pub fn new(service: Service) -> Self {
        let grace = Duration::from_secs(10);
        Self { service, grace, signal: Signal::TERM, kill: true, protect: Vec::new(), ends: Ends::default() }
    }

    /// How long an instance may take to end after the first signal. One deadline for all of them.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The signal to ask with, instead of SIGTERM.
    pub const fn signal(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    /// No SIGKILL follows at the end of the grace.
    pub const fn no_kill(mut self) -> Self {
        self.kill = false;
        self
    }

    /// Adds a process that is never ended, nor its descendants.
    pub fn protect(mut self, pid: u32) -> Self {
        self.protect.push(pid);
        self
    }

    /// Adds what may be ended beside stale instances.
    pub const fn also_end(mut self, also: Also) -> Self {
        match also {
            Also::AnyOwner => self.ends.any_owner = true,
            Also::Live => self.ends.live = true,
            Also::Offspring => self.ends.offspring = true,
            Also::Tree => self.ends.tree = true,
            Also::Sweep => self.ends.sweep = true,
        }
        self
    }
}
