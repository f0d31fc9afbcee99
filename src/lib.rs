//! Frees a TCP port that a stale instance of your own service still holds, and never ends anything else.
//!
//! A server that restarts cannot bind, because an earlier instance holds its port: an orphan of a crashed
//! run, a copy that somebody started by hand. This crate finds who holds the port through the socket table,
//! recognises an instance of the service by what it executes and by the marker variables it was started with
//! (never by its name), ends stale instances gracefully, and says "free" only after a bind.
//!
//! A server makes one call before it serves. It is `TcpListener::bind`, and where that is refused what is stale is
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
//! [`inspect`] looks and signals nobody, and [`clear`] does the same and then ends what is stale:
//!
//! ```
//! use portclear::{Outcome, Policy, PortSpec, Service};
//!
//! let port: PortSpec = "127.0.0.1:18789".parse()?;
//! let report = portclear::inspect(&[port], &Policy::new(Service::openclaw()));
//! for port in &report.ports {
//!     match &port.status {
//!         Ok(Outcome::Free) => {}
//!         Ok(outcome) => eprintln!("{}: {outcome:?}, {} holders", port.spec, port.holders.len()),
//!         Err(error) => eprintln!("{}: could not find out: {error}", port.spec),
//!     }
//! }
//! # Ok::<(), portclear::PortSpecError>(())
//! ```
//!
//! # Features
//!
//! - `cli`, by default: the program. A server leaves it out with `default-features = false`.
//! - `log`: an event of the crate `log`, level info, target `portclear`, for each verdict and each signal. Nothing else
//!   is ever printed.
//!
//! Linux alone, kernel 5.4 or later: it rests on pidfds (pidfd_open(2)) and /proc.
#[cfg(not(target_os = "linux"))]
compile_error!("portclear rests on pidfds, sock_diag and /proc: it is for Linux alone");

use std::net::{TcpListener, ToSocketAddrs};

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod bind;
mod clear;
mod error;
mod escape;
mod event;
mod explain;
mod facts;
mod identity;
mod job;
mod liveness;
mod os;
mod parse;
mod plan;
mod policy;
mod port;
mod protection;
mod report;
mod rules;
mod runtime;
mod script;
mod sentence;
mod service;
mod targets;
#[cfg(test)]
mod testing;
mod ties;
mod tree;
mod verdict;

pub use error::{BindError, Error};
pub use escape::escape;
pub use facts::{
    Ancestry, Blind, Entry, Environ, Exe, Facts, Holder, Manager, ProcessId, Record, Seen, Unit,
};
pub use identity::{Evidence, Identity, Trace};
pub use liveness::{Liveness, Supervisor};
pub use policy::{Policy, Signal, SignalError};
pub use port::{Listener, PortSpec, PortSpecError};
pub use protection::Protection;
pub use report::{
    Connections, Ending, Fate, Memory, Outcome, PortReport, ProcessReport, Progress, Report, SweepReport,
};
pub use rules::{Rule, Verdict};
pub use runtime::Runtime;
pub use service::{Marker, OffspringSign, Service};
pub use tree::Role;
pub use verdict::Judgement;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Finds out what [`clear`] would do, and signals nobody. The same path, up to the first signal.
pub fn inspect(ports: &[PortSpec], policy: &Policy) -> Report {
    clear::run(ports, policy, false, None)
}

/// Ends the stale instances that hold the ports, all side by side and with one deadline, and proves by a
/// bind that each port is free. Waits for the policy's grace and two seconds at most.
///
/// Per port it is all or nothing: where one holder is spared, none is signalled.
pub fn clear(ports: &[PortSpec], policy: &Policy) -> Report {
    clear::run(ports, policy, true, None)
}

/// [`clear`], and `observe` is told what is waited for: at once, and then four times a second.
pub fn clear_observed(ports: &[PortSpec], policy: &Policy, observe: &mut dyn FnMut(&Progress)) -> Report {
    clear::run(ports, policy, true, Some(observe))
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
    bind::bind(address.to_socket_addrs(), policy)
}
