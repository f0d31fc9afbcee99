//! Frees a TCP port that a stale instance of your own service still holds, and never ends anything else.
//!
//! A server that restarts cannot bind, because an earlier instance holds its port: an orphan of a crashed
//! run, a copy that somebody started by hand. This crate finds who holds the port through the socket table,
//! recognises an instance of the service by what it executes and by the marker variables it was started with
//! (never by its name), ends stale instances gracefully, and says "free" only after a bind.
//!
//! ```
//! use portclear::{Outcome, Policy, PortSpec, Service};
//!
//! let port: PortSpec = "127.0.0.1:18789".parse()?;
//! // `inspect` signals nobody; `clear` does the same and then ends what is stale.
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
//! Linux alone, kernel 5.4 or later: it rests on pidfds (pidfd_open(2)) and /proc.
#[cfg(not(target_os = "linux"))]
compile_error!("portclear rests on pidfds, sock_diag and /proc: it is for Linux alone");

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod clear;
mod error;
mod escape;
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
mod report;
mod script;
mod sentence;
mod service;
#[cfg(test)]
mod testing;
mod verdict;

pub use error::Error;
pub use escape::escape;
pub use facts::{
    Ancestry, Blind, Entry, Environ, Exe, Facts, Holder, Manager, ProcessId, Record, Seen, Unit,
};
pub use identity::{Evidence, Identity, Trace};
pub use liveness::{Liveness, Protection, Supervisor};
pub use policy::{Policy, Signal, SignalError};
pub use port::{Listener, PortSpec, PortSpecError};
pub use report::{Connections, Ending, Fate, HolderReport, Outcome, PortReport, Progress, Report};
pub use service::{Marker, OffspringSign, Runtime, Service};
pub use verdict::{Judgement, Rule, Verdict};

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
