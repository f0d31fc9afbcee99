//! What may be ended, and how.

use std::time::Duration;

use super::{ExecMark, Facts, FileId, ProcessId, ProcessReport, Service, Signal};

/// As good as for ever. No clock overflows on it.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What to look for, what may be ended, and how gently.
///
/// ```
/// use std::time::Duration;
/// use portclear::policy::{Also, Signal};
/// use portclear::{Policy, Service};
///
/// let policy = Policy::new(Service::openclaw())
///     .grace(Duration::from_secs(5))
///     .signal(Signal::INT)
///     .protect(4242)
///     .also_end(Also::Tree);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Policy {
    pub(crate) service: Service,
    pub(crate) grace: Duration,
    pub(crate) signal: Signal,
    pub(crate) kill: bool,
    pub(crate) settle: Duration,
    pub(crate) protect: Vec<u32>,
    pub(crate) ends: Ends,
    /// `None`: nobody is asked, and the rules decide alone.
    pub(crate) approved: Option<Vec<Approved>>,
}

/// A process that a person has approved, as it was shown. After an exec it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Approved {
    id: ProcessId,
    mark: ExecMark,
    file: Option<FileId>,
}

impl Approved {
    fn of(facts: &Facts) -> Self {
        Self { id: facts.id, mark: facts.mark, file: facts.file() }
    }
}

/// Processes that may be ended beside stale instances: for [`Policy::also_end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Also {
    /// Holders that are not the service's, whoever owns them.
    AnyOwner,
    /// Instances that their supervisor (a systemd unit, a container, a program like pm2) runs now. It may start them
    /// again.
    Live,
    /// Holders that an instance started, if they are no instances themselves and nobody looks after them.
    Offspring,
    /// Processes that the ended instances have started: their descendants in any session or process group, and
    /// processes that lost their parent and carry the same marker and run. A process in a cgroup of its own, as
    /// systemd-run(1) `--scope` makes, is spared: it was meant to outlive its starter.
    ///
    /// Each of them takes two file descriptors while it is ended. If RLIMIT_NOFILE (getrlimit(2)) is too low for all,
    /// the others are spared.
    Tree,
    /// Processes that ended runs of the service left behind anywhere, whether or not they hold a port. Also a stale
    /// instance that uses the caller's state folder ([`Report::rival`](crate::Report::rival)). They are ended even if all
    /// ports are free. [`Report::swept`](crate::Report::swept) lists them.
    ///
    /// [`bind`](crate::bind) refuses such a policy with [`InvalidInput`](std::io::ErrorKind::InvalidInput).
    Sweep,
}

/// All [`Also`] of a policy, one flag for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) any_owner: bool,
    pub(crate) live: bool,
    pub(crate) offspring: bool,
    pub(crate) tree: bool,
    pub(crate) sweep: bool,
}

impl Policy {
    /// Ends stale instances of `service` with SIGTERM, and after 10 s of grace with SIGKILL.
    pub const fn new(service: Service) -> Self {
        let grace = Duration::from_secs(10);
        let settle = Duration::from_secs(1);
        let ends = Ends { any_owner: false, live: false, offspring: false, tree: false, sweep: false };
        Self { service, grace, signal: Signal::TERM, kill: true, settle, protect: Vec::new(), ends, approved: None }
    }

    /// How long an instance may take to end, counted from the first signal of the call. All instances have the same
    /// deadline. The default is 10 s. Zero leaves them no time: SIGKILL follows at once.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The signal that asks an instance to end, instead of SIGTERM.
    pub const fn signal(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    /// Sends no SIGKILL at the end of the grace. A process that is still there survives, and the report says so.
    pub const fn no_kill(mut self) -> Self {
        self.kill = false;
        self
    }

    /// How long [`clear`](crate::clear) watches a port that it has cleared. It watches if the ended process had a parent
    /// that may start it again: a shell loop, an unknown supervisor. The default is 1 s, and zero never watches. If a
    /// known supervisor looked after the process ([`Also::Live`]), it watches twice as long. If somebody listens, the
    /// outcome is [`Respawned`](crate::report::Outcome::Respawned). [`bind`](crate::bind) never watches, because it takes
    /// the port itself.
    pub const fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Protects a process and its descendants: they are never ended. The pid is that of the caller's pid namespace
    /// (pid_namespaces(7)).
    pub fn protect(mut self, pid: u32) -> Self {
        self.protect.push(pid);
        self
    }

    /// Adds processes that may be ended beside stale instances. Several calls add up.
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

    /// Ends these processes and no others: for a program that asks a person first. `shown` are the processes of a report
    /// that the person has seen and approved. They replace those of an earlier call.
    ///
    /// Such a process is ended whatever the rules say of it, with two exceptions: a protected process is never ended,
    /// and neither is one whose evidence may not be read. A process that came later, or that executed another program
    /// since it was shown, was not approved and is spared. It stays all or nothing for each port. Nothing
    /// is swept, even with [`Also::Sweep`].
    ///
    /// [`inspect`](crate::inspect) with such a policy lists the members of an approved holder's instance. A call that
    /// ends processes leaves a member alone that is not approved itself.
    ///
    /// ```no_run
    /// use portclear::report::Outcome;
    /// use portclear::{Policy, PortSpec, Service};
    ///
    /// let ports: [PortSpec; 1] = ["18789".parse()?];
    /// let policy = Policy::new(Service::openclaw());
    /// let seen = portclear::inspect(&ports, &policy);
    /// let holders = seen.ports.iter().flat_map(|port| &port.holders);
    /// // With the rest of their instances.
    /// let seen = portclear::inspect(&ports, &policy.clone().only(holders));
    /// // Here the program shows the processes, and asks.
    /// let approved = seen.ports.iter().flat_map(|port| port.processes());
    /// let report = portclear::clear(&ports, &policy.only(approved));
    /// # Ok::<(), portclear::policy::PortSpecError>(())
    /// ```
    pub fn only<'p>(mut self, shown: impl IntoIterator<Item = &'p ProcessReport>) -> Self {
        let shown = shown.into_iter().map(|process| Approved::of(&process.process.facts));
        self.approved = Some(shown.collect());
        self
    }

    /// Whether a person is asked, and has approved this process.
    pub(crate) fn approval(&self, facts: &Facts) -> Option<bool> {
        self.approved.as_ref().map(|approved| approved.contains(&Approved::of(facts)))
    }
}
