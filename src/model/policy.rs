//! What may be done, and how.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::service::Service;

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
    pub(crate) allow: Allow,
    pub(crate) tree: bool,
    pub(crate) sweep: bool,
}

/// What may be ended beside stale instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allow {
    pub(crate) any_owner: bool,
    pub(crate) live: bool,
    pub(crate) offspring: bool,
}

impl Policy {
    /// Ends stale instances of `service` with SIGTERM, and after 10 s of grace with SIGKILL.
    pub const fn new(service: Service) -> Self {
        let protect = Vec::new();
        let allow = Allow { any_owner: false, live: false, offspring: false };
        let grace = Duration::from_secs(10);
        Self { service, grace, signal: Signal::TERM, kill: true, protect, allow, tree: false, sweep: false }
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

    /// Whether SIGKILL follows at the end of the grace.
    pub const fn kill(mut self, kill: bool) -> Self {
        self.kill = kill;
        self
    }

    /// Adds a process that is never ended, nor anything below it.
    pub fn protect(mut self, pid: u32) -> Self {
        self.protect.push(pid);
        self
    }

    /// Ends holders that are not the service's, too.
    pub const fn any_owner(mut self, any_owner: bool) -> Self {
        self.allow.any_owner = any_owner;
        self
    }

    /// Ends instances that their supervisor runs now, too.
    pub const fn live(mut self, live: bool) -> Self {
        self.allow.live = live;
        self
    }

    /// Ends what the ended instances have started, too: their descendants, whatever session or process group they
    /// are in, and those that lost their parent and carry the same marker and run. Not what was moved to a cgroup
    /// of its own, as systemd-run(1) `--scope` does: that was meant to outlive its starter.
    /// Each of them takes two file descriptors while it is ended; where RLIMIT_NOFILE does not suffice for all, the
    /// rest is left alone.
    pub const fn tree(mut self, tree: bool) -> Self {
        self.tree = tree;
        self
    }

    /// Ends what ended runs of the service left behind anywhere, too, whether or not it holds a port, and also
    /// where the ports are free. What that was stands in [`Report::swept`](crate::Report::swept).
    /// [`bind`](crate::bind) does not sweep.
    pub const fn sweep(mut self, sweep: bool) -> Self {
        self.sweep = sweep;
        self
    }

    /// Ends offspring that nobody looks after, too.
    pub const fn offspring(mut self, offspring: bool) -> Self {
        self.allow.offspring = offspring;
        self
    }
}

/// A signal that ends a process, or asks it to (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(pub(crate) nix::sys::signal::Signal);

impl Signal {
    /// SIGTERM.
    pub const TERM: Self = Self(nix::sys::signal::SIGTERM);
    /// SIGKILL.
    pub const KILL: Self = Self(nix::sys::signal::SIGKILL);
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A text that names no signal which ends a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalError(String);

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SignalError {}

impl FromStr for Signal {
    type Err = SignalError;

    /// A name as in signal(7), with or without `SIG`, in either case: `TERM`, `sigint`.
    fn from_str(text: &str) -> Result<Self, SignalError> {
        use nix::sys::signal::Signal as Nix;
        let upper = text.to_ascii_uppercase();
        let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        let shown = crate::escape(text.as_bytes());
        let signal: Nix = name
            .parse()
            .map_err(|_| SignalError(format!("'{shown}' is no signal; a name like TERM, INT or KILL is")))?;
        match signal {
            Nix::SIGSTOP
            | Nix::SIGTSTP
            | Nix::SIGTTIN
            | Nix::SIGTTOU
            | Nix::SIGCONT
            | Nix::SIGCHLD
            | Nix::SIGURG
            | Nix::SIGWINCH => Err(SignalError(format!("{signal} does not end a process"))),
            signal => Ok(Self(signal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_with_and_without_sig() {
        for name in ["TERM", "SIGTERM", "term", "SigTerm"] {
            assert_eq!(name.parse(), Ok(Signal::TERM));
        }
        for bad in ["", "SIG", "15", "STOP", "CONT", "TERMINATE", "-9", "SIGSIGTERM"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }
}
