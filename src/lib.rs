//! Frees a TCP port that a stale instance of your own service still holds, and never ends anything else.
//!
//! A server that restarts cannot bind, because an earlier instance holds its port: an orphan of a crashed
//! run, a copy that somebody started by hand. This crate finds who holds the port through the socket table,
//! recognises an instance of the service by what it executes and by the marker variables it was started with
//! (never by its name), ends stale instances gracefully, and says "free" only after a bind.
//!
//! A server makes one call before it serves. It is `TcpListener::bind`, and where that is refused, stale instances are
//! ended first:
//!
//! ```no_run
//! use portclear::{Policy, Service};
//!
//! let policy = Policy::new(Service::of_current_exe()?);
//! let listener = portclear::bind("127.0.0.1:18789", &policy)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`inspect`] all(target_os = "linux", not(portclear_elsewhere)) and signals nobody. [`clear`] does the same and then ends stale instances:
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
//! [`report`] has the types that explain a verdict, [`policy`] the ones that a [`Policy`] and a [`Service`] are made of.
//!
//! # Features
//!
//! - `cli`, by default: the program. A server leaves it out with `default-features = false`.
//! - `log`: an event of the crate `log`, level info, target `portclear`, for each verdict and each signal. Nothing else
//!   is ever printed.
//!
//! # Systems
//!
//! Linux, kernel 5.4 or later: it rests on pidfds (pidfd_open(2)) and /proc. On other systems the crate compiles, so that
//! a server which embeds it does. There [`bind`] is `TcpListener::bind`, and [`inspect`] and [`clear`] answer with an
//! [`Error`] of the kind [`Unsupported`](std::io::ErrorKind::Unsupported).

// The tables of the unit tests.
#![cfg_attr(test, allow(clippy::too_many_lines, clippy::type_complexity))]

use std::net::{TcpListener, ToSocketAddrs};

mod bind_error;
mod model;
mod say;

#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod answer;
#[cfg(all(target_os = "linux", not(portclear_elsewhere), feature = "bench"))]
#[doc(hidden)]
pub mod bench;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod bind;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod clear;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod end;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod judge;
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod read;
#[cfg(test)]
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod testing;

#[cfg_attr(all(target_os = "linux", not(portclear_elsewhere)), path = "system.rs")]
#[cfg_attr(not(all(target_os = "linux", not(portclear_elsewhere))), path = "elsewhere.rs")]
mod system;

pub use bind_error::BindError;
pub use model::{Error, Policy, PortSpec, Report, Service};

/// What a [`Report`] is made of: what was found, what was decided and why, and what came of it.
pub mod report {
    pub use crate::model::{
        Ancestry, Asker, Blind, Cgroup, Connections, Ending, Environ, Evidence, Exe, Facts, Fate, FileId, Identity,
        Judgement, Listener, Liveness, Manager, Memory, Observer, Outcome, PortReport, Process, ProcessId,
        ProcessReport, Progress, Protection, Record, Role, Script, Seen, Sent, Supervisor, SweepReport, Trace, Unit,
        Verdict, Why, WhyHeld, WhyNot, WhySurvived, WhyUnseen, escape,
    };
}

/// What a [`Policy`], a [`Service`] and a [`PortSpec`] are made of.
pub mod policy {
    pub use crate::model::{Also, Marker, OffspringSign, PortSpecError, Runtime, Signal, SignalError};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Finds out what [`clear`] would do, and signals nobody. The same path, up to the first signal.
pub fn inspect(ports: &[PortSpec], policy: &Policy) -> Report {
    system::inspect(ports, policy)
}

/// Ends the stale instances that hold the ports, all side by side and with one deadline, and proves by a
/// bind that each port is free. Waits for the policy's grace and two seconds at most.
///
/// Per port it is all or nothing: where one holder is spared, none is signalled.
pub fn clear(ports: &[PortSpec], policy: &Policy) -> Report {
    system::clear(ports, policy, None)
}

/// [`clear`], and `observe` is told what is waited for: at once, and then four times a second.
pub fn clear_observed(ports: &[PortSpec], policy: &Policy, observe: report::Observer<'_>) -> Report {
    system::clear(ports, policy, Some(observe))
}

/// [`TcpListener::bind`], for a server that clears its own stale instances first: the one call before it serves.
///
/// A free address costs what `TcpListener::bind` costs, and nothing else is looked at. Only where that says
/// EADDRINUSE are the holders of the port found and judged as by [`clear`], stale instances ended, and the
/// bind made again. The listener that comes back is the proof, and nobody can take the port in between: where
/// another server is faster, the look is made again, and its verdict decides.
///
/// ```
/// use std::net::TcpListener;
/// use portclear::{Policy, Service};
///
/// fn listen() -> Result<TcpListener, Box<dyn std::error::Error>> {
///     let policy = Policy::new(Service::of_current_exe()?);
///     Ok(portclear::bind("127.0.0.1:0", &policy)?)
/// }
/// # listen().map(drop)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Of two servers that call this at once, and that no unit looks after, the one that started later keeps the
/// port; of two that started in the same clock tick (proc_pid_stat(5), field 22; usually 10 ms) the one that
/// bound first. The other's error names it.
///
/// Several addresses are tried in turn, as `TcpListener::bind` does, each with all its holders; where none can be
/// bound, the error is that of the first at which a process was signalled, or else of the first that is in use. A
/// `[::]` means both families, or IPv6 alone where `net.ipv6.bindv6only` is set. Port 0 clears nothing. As with
/// `TcpListener`, SO_REUSEADDR is set, and connections of the last run in TIME_WAIT are in nobody's way.
///
/// It blocks: for a few milliseconds where the port is held, up to the policy's grace and two seconds where an
/// instance does not end, and no longer than twice that where other servers keep taking the port; of several
/// addresses for so long at each. It starts no thread that outlives the call, installs no signal handler and
/// prints nothing.
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
/// - The address is in use and stays so: by what is no stale instance, by one that did not end, or by somebody
///   who cannot be seen. [`BindError::report`] says who and why, and its text is a sentence for the log.
/// - The address does not resolve, or the system refuses it for another reason: EACCES (a port below
///   `net.ipv4.ip_unprivileged_port_start`, ip(7)), EADDRNOTAVAIL, and so on. Nothing was looked at then.
pub fn bind(address: impl ToSocketAddrs, policy: &Policy) -> Result<TcpListener, BindError> {
    system::bind(address.to_socket_addrs(), policy)
}

impl Service {
    /// The service that the calling program is an instance of: for a server that clears its own kind.
    ///
    /// An instance executes the same file, under whatever path, or a file that lay at the same path when the
    /// instance started and was replaced there since, as an upgrade does. A link that the caller was started
    /// through does not matter. A new folder for each release does: the path is another one then, and the earlier
    /// releases' are to be added with [`executable`](Self::executable).
    ///
    /// Programs that do several things by one executable (a supervisor and its servers, a server for each tenant)
    /// are one service to this; [`instance_key`](Self::instance_key) and [`markers`](Self::markers) tell them apart.
    /// What is known to run other programs' code is refused, and such a list is never complete.
    ///
    /// ```
    /// use portclear::{Policy, Service};
    ///
    /// let policy = Policy::new(Service::of_current_exe()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Unsupported`](std::io::ErrorKind::Unsupported): the executable is a [runtime](crate::policy::Runtime::is_known), so that
    ///   every other program it runs would be taken for an instance, or it is no file (memfd_create(2)).
    ///   Say what the service is with [`package`](Self::package) or [`markers`](Self::markers).
    /// - Whatever keeps /proc/self/exe from being read.
    pub fn of_current_exe() -> std::io::Result<Self> {
        system::service_of_current_exe()
    }
}
