//! Frees a TCP port that a stale instance of your own service still holds, and never ends anything else.
//!
//! A server that restarts cannot bind, because an earlier instance holds its port: an orphan of a crashed run, or a
//! copy that somebody started by hand. This crate finds the holders of the port through the socket table. It recognises
//! an instance of the service by what it executes and by the marker variables it was started with, never by its name.
//! It ends stale instances gracefully, and it says "free" only after a bind.
//!
//! A server makes one call before it serves. The call is `TcpListener::bind`, but if the address is in use, it first ends
//! stale instances. [`bind`] says which copies of the server count as stale:
//!
//! ```no_run
//! use portclear::{Policy, Service};
//!
//! let policy = Policy::new(Service::of_current_exe()?);
//! let listener = portclear::bind("127.0.0.1:18789", &policy)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`inspect`] looks and judges, and signals nobody. [`clear`] does the same and then ends stale instances:
//!
//! ```
//! use portclear::report::Outcome;
//! use portclear::{Policy, PortSpec, Service};
//!
//! let port: PortSpec = "127.0.0.1:18789".parse()?;
//! let report = portclear::inspect(&[port], &Policy::new(Service::openclaw()));
//! for port in &report.ports {
//!     match &port.status {
//!         Ok(Outcome::Free) => {}
//!         Ok(_) => eprintln!("{}: {}, {} holders", port.spec, port.sentence(), port.holders.len()),
//!         Err(error) => eprintln!("{}: could not find out: {error}", port.spec),
//!     }
//! }
//! # Ok::<(), portclear::policy::PortSpecError>(())
//! ```
//!
//! [`report`] has the types that explain a verdict. [`policy`] has the parts of a [`Policy`] and a [`Service`].
//!
//! # Features
//!
//! - `cli`, by default: the program. A server leaves it out with `default-features = false`.
//! - `log`: an event of the crate `log`, level info, target `portclear`, for each verdict and each signal. The library
//!   prints nothing, with or without it.
//!
//! # Systems
//!
//! Linux, kernel 5.4 or later: it needs pidfds (pidfd_open(2)) and /proc (proc(5)).
//!
//! On other systems (macOS, Windows, the BSDs) the crate compiles, so a server that embeds it also compiles. There
//! [`bind`] is `TcpListener::bind`, and [`inspect`] and [`clear`] answer with an [`Error`] of the kind
//! [`Unsupported`](std::io::ErrorKind::Unsupported). That branch is tested on Linux, and has not been run elsewhere.

// The types of a report are the same on every system, and only Linux uses all of them.
#![cfg_attr(any(not(target_os = "linux"), portclear_elsewhere), allow(dead_code, unused_imports))]
// The tables of the unit tests.
#![cfg_attr(test, allow(clippy::too_many_lines, clippy::type_complexity))]

use std::net::{TcpListener, ToSocketAddrs};

mod bind;
mod bind_error;
mod model;
mod say;

#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod answer;
#[cfg(all(target_os = "linux", not(portclear_elsewhere), feature = "bench"))]
#[doc(hidden)]
pub mod bench;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod clear;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod end;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod judge;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod read;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod rebind;
#[cfg(test)]
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod testing;

#[cfg_attr(all(target_os = "linux", not(portclear_elsewhere)), path = "system.rs")]
#[cfg_attr(any(not(target_os = "linux"), portclear_elsewhere), path = "elsewhere.rs")]
mod system;

pub use bind_error::BindError;
pub use model::{Error, Policy, PortSpec, Report, Service};

/// The parts of a [`Report`], which explain a verdict.
///
/// A [`PortReport`](report::PortReport) has the answer for one port: its [`Outcome`](report::Outcome), and a
/// [`ProcessReport`](report::ProcessReport) for each holder. That one has the [`Facts`](report::Facts) that were read,
/// the [`Judgement`](report::Judgement) with its rule, and the [`Ending`](report::Ending).
///
/// Only this crate builds these types. A later version may add fields and variants to them, except to
/// [`Verdict`](report::Verdict) and [`Seen`](report::Seen): their variants are complete.
pub mod report {
    pub use crate::model::{
        Ancestry, Asker, Blind, Cgroup, Change, Connections, Ending, Environ, Evidence, Exe, Facts, Fate, FileId, How,
        Identity, Judgement, Listener, Liveness, Lock, Manager, Memory, NewerThan, Observer, Outcome, PortReport,
        Process, ProcessId, ProcessReport, Progress, Protection, Record, Rival, Role, Script, Seen, Sent, Step,
        Supervised, Supervisor, SweepReport, Trace, Unit, Verdict, Why, WhyHeld, WhyNot, WhySurvived, WhyUnseen,
        escape, shell_word,
    };
}

/// The parts of a [`Policy`], a [`Service`] and a [`PortSpec`], and the errors of their parsers.
pub mod policy {
    pub use crate::model::{Also, Marker, OffspringSign, PortSpecError, Runtime, Signal, SignalError};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Finds out what [`clear`] would do, and signals nobody. It takes the same steps, up to the first signal.
///
/// ```
/// use portclear::{Policy, PortSpec, Service};
///
/// let port: PortSpec = "18789".parse()?;
/// let report = portclear::inspect(&[port], &Policy::new(Service::openclaw()));
/// for holder in report.ports.iter().flat_map(|port| &port.holders) {
///     println!("{} (pid {}): {}", holder.process.facts.name(), holder.process.id().pid, holder.reason());
/// }
/// # Ok::<(), portclear::policy::PortSpecError>(())
/// ```
///
/// # Errors
/// Each port's [`PortReport::status`](report::PortReport::status) has its own error: an [`Error`] says what was
/// attempted and what the system said. Its kind is [`Unsupported`](std::io::ErrorKind::Unsupported) on systems other
/// than Linux.
pub fn inspect(ports: &[PortSpec], policy: &Policy) -> Report {
    system::inspect(ports, policy)
}

/// Ends the stale instances that hold the ports, and proves by a bind that each port is free.
///
/// Per port it is all or nothing: if one holder is spared, none is signalled. All instances are ended side by side, with
/// one deadline. The call waits for the policy's grace and two seconds at most.
///
/// ```no_run
/// use portclear::{Policy, PortSpec, Service};
///
/// let ports: [PortSpec; 2] = ["127.0.0.1:18789".parse()?, "[::1]:18789".parse()?];
/// let report = portclear::clear(&ports, &Policy::new(Service::openclaw()));
/// for port in report.ports.iter().filter(|port| !port.is_free()) {
///     eprintln!("port {}: {}", port.spec, port.sentence());
/// }
/// # Ok::<(), portclear::policy::PortSpecError>(())
/// ```
///
/// # Errors
/// Those of [`inspect`]. The report still says what was done before the error.
pub fn clear(ports: &[PortSpec], policy: &Policy) -> Report {
    system::clear(ports, policy, None)
}

/// Does what [`clear`] does, and tells `observe` what it waits for or watches: at once, then ten times a second, and
/// when that is over. `observe` may stop it: see [`Observer`](report::Observer).
///
/// ```no_run
/// # use portclear::{Policy, PortSpec, Service};
/// # let port: PortSpec = "18789".parse()?;
/// let policy = Policy::new(Service::openclaw());
/// let report = portclear::clear_observed(&[port], &policy, &mut |wait| {
///     eprintln!("waiting for {:?}, {} s left", wait.pids, wait.left.as_secs());
///     std::ops::ControlFlow::Continue(())
/// });
/// # Ok::<(), portclear::policy::PortSpecError>(())
/// ```
pub fn clear_observed(ports: &[PortSpec], policy: &Policy, observe: report::Observer<'_>) -> Report {
    system::clear(ports, policy, Some(observe))
}

/// Does what [`TcpListener::bind`] does, and ends an earlier copy of this program that holds the address.
///
/// **It also ends a healthy copy.** `bind` ends a copy of this program if the copy holds the address, started before the
/// caller, and nobody looks after it: it is in no current run of a systemd unit and in no other container than the
/// caller, and no other supervisor (pm2, supervisord, runit, …) runs it. `bind` does not ask whether the copy still serves
/// well. It leaves everything else alone, and the error names it.
///
/// ```
/// use portclear::{Policy, Service};
///
/// let policy = Policy::new(Service::of_current_exe()?);
/// let listener: std::net::TcpListener = portclear::bind("127.0.0.1:0", &policy)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What counts as a copy
///
/// The policy's [`Service`] says what a copy is. [`Service::of_current_exe`] means this program. A service that nothing
/// identifies ([`Service::new`] alone) has no copies: `bind` then ends only the processes that an ended run left in
/// the caller's own systemd unit.
///
/// [`policy::Also`] widens what is ended. `bind` refuses a policy with [`Also::Sweep`](policy::Also::Sweep), because a
/// sweep looks beyond the port: [`clear`] does that.
///
/// # What it does
///
/// It binds first. A free address costs what `TcpListener::bind` costs, and `bind` looks at nothing else. If the bind
/// fails with EADDRINUSE, it finds and judges the holders of the port as [`clear`] does, ends stale ones, and binds
/// again.
///
/// The listener that comes back is the proof, so nobody can take the port in between. If another server is faster,
/// `bind` looks again, and the new verdict decides.
///
/// Two servers may call this at once while no unit looks after them. The one that started later keeps the port, and the
/// other one's error names it. If both started in the same clock tick (proc_pid_stat(5), field 22; usually 10 ms), the
/// one that bound first keeps it.
///
/// `bind` tries several addresses in turn, as `TcpListener::bind` does, each with all its holders. If none can be bound,
/// the error is that of the first address at which a process was signalled, or else of the first that is in use.
///
/// A `[::]` means both families, or IPv6 alone where `net.ipv6.bindv6only` is set (ipv6(7)). Port 0 clears nothing.
/// SO_REUSEADDR is set (socket(7)), so connections of the last run in TIME_WAIT are in nobody's way.
///
/// It blocks for a few milliseconds if the port is held, and up to the policy's grace and two seconds if an instance
/// does not end. If other servers keep taking the port, it blocks up to twice that. Each address takes its own time.
/// `bind` starts no thread that outlives the call, installs no signal handler and prints nothing.
///
/// # In async code
///
/// ```
/// # use portclear::{Policy, Service};
/// async fn listen(at: &'static str, policy: Policy) -> std::io::Result<tokio::net::TcpListener> {
///     let listener = tokio::task::spawn_blocking(move || portclear::bind(at, &policy)).await??;
///     // The runtime's own sockets never block; one that it takes over must not either.
///     listener.set_nonblocking(true)?;
///     tokio::net::TcpListener::from_std(listener)
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(listen("127.0.0.1:0", Policy::new(Service::of_current_exe()?)))?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// - The address is in use and stays in use. Its holder is no stale instance, or did not end, or cannot be seen.
///   [`BindError::report`] says who holds it and why, and the error's text is a sentence for the log.
/// - The address does not resolve, or the system refuses it for another reason: EACCES (a port below
///   `net.ipv4.ip_unprivileged_port_start`, ip(7)), EADDRNOTAVAIL, and so on. `bind` has looked at nothing then.
/// - [`InvalidInput`](std::io::ErrorKind::InvalidInput): the policy sweeps.
///
/// On systems other than Linux an address in use is an error without a report.
pub fn bind(address: impl ToSocketAddrs, policy: &Policy) -> Result<TcpListener, BindError> {
    bind::bind(address.to_socket_addrs(), policy)
}

impl Service {
    /// The service that the calling program is an instance of: for a server that clears earlier copies of itself.
    ///
    /// An instance executes the same file, under any path. Or it executes a file that lay at the same path until an
    /// upgrade replaced it. The link that the caller was started through does not matter. A new folder for each release
    /// does matter: the path is another one. Add the paths of earlier releases with [`executable`](Self::executable).
    ///
    /// One executable may be a supervisor and its servers, or a server for each tenant. Here they are one service.
    /// [`instance_key`](Self::instance_key) and [`markers`](Self::markers) tell them apart.
    ///
    /// ```
    /// let tenant = portclear::Service::of_current_exe()?.instance_key("MY_APP_TENANT");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Unsupported`](std::io::ErrorKind::Unsupported): the executable is a
    ///   [runtime](crate::policy::Runtime::is_known), so that every other program it runs would be taken for an
    ///   instance. The list of runtimes is never complete. Or the executable is no file (memfd_create(2)). Say what the
    ///   service is with [`package`](Self::package) or [`markers`](Self::markers).
    /// - The system's error, if /proc/self/exe (proc_pid_exe(5)) cannot be read.
    ///
    /// On systems other than Linux this is the path of [`std::env::current_exe`], and nothing else is refused. Nobody is
    /// judged by it there.
    pub fn of_current_exe() -> std::io::Result<Self> {
        system::service_of_current_exe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server passes them from thread to thread. A field that is not `Send` and `Sync` would break it.
    #[test]
    fn every_public_type_goes_to_any_thread() {
        fn goes<T: Send + Sync + 'static>() {}
        goes::<(Policy, Service, PortSpec, Report, BindError, Error)>();
        goes::<(policy::Also, policy::Marker, policy::OffspringSign, policy::PortSpecError, policy::Runtime)>();
        goes::<(policy::Signal, policy::SignalError, report::Progress, report::SweepReport, report::Judgement)>();
        goes::<(report::Process, report::Listener, report::Seen<report::Cgroup>, report::Supervisor)>();
    }
}
