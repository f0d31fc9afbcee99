//! The progress of a wait, and who is told.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{PortSpec, Signal};

/// A function that receives the progress of a wait, and answers whether to go on: for
/// [`clear_observed`](crate::clear_observed). It is called in the caller's thread, and only if something is signalled.
///
/// After a [`Break`](ControlFlow::Break) nobody is waited for and nobody is signalled any more, no port is watched, and
/// the function is not called again. A process that was asked to end is not recalled: it may drain for minutes, and ends
/// then. Where one still holds the port, the outcome is [`Survived`](crate::report::Outcome::Survived), with
/// [`Stopped`](crate::report::WhySurvived::Stopped). A last look still proves a free port free.
/// [`PortReport::stopped`](field@crate::report::PortReport::stopped) and
/// [`SweepReport::stopped`](crate::report::SweepReport::stopped) tell where a wait or a watch was cut short.
///
/// The library handles no signal and blocks none. A server that wants to hear Ctrl-C meanwhile asks its own handler:
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use portclear::{Policy, PortSpec, Service};
///
/// /// The server's handler of SIGINT sets it.
/// static STOP: AtomicBool = AtomicBool::new(false);
///
/// let port: PortSpec = "18789".parse()?;
/// let policy = Policy::new(Service::openclaw());
/// let report = portclear::clear_observed(&[port], &policy, &mut |_| {
///     if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
/// });
/// # Ok::<(), portclear::policy::PortSpecError>(())
/// ```
pub type Observer<'o> = &'o mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// The progress of a wait, or of the watch that may follow it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The pids of the processes that have not ended yet, first those that were signalled. Empty: the wait is over.
    pub pids: Vec<u32>,
    /// The name of the first of them: the file name of its executable.
    pub name: String,
    /// The cleared ports that are watched now: somebody may take them again
    /// ([`Policy::settle`](crate::Policy::settle)). Empty: none is watched, or the watch is over.
    pub watched: Vec<PortSpec>,
    /// Time since the first signal.
    pub elapsed: Duration,
    /// Time until the wait is over at the latest, with the time that a process has after SIGKILL. It never rises. In a
    /// watch: time until the watch is over.
    pub left: Duration,
    /// The signal that was sent last.
    pub sent: Signal,
    /// The signal that follows if a process has not ended by then; `None`: no other signal follows.
    pub then: Option<Signal>,
    /// Time until `then` follows. Zero if nothing follows.
    pub then_in: Duration,
}
