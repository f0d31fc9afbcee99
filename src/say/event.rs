//! Log one event for each verdict and each signal. Without the feature `log` it does nothing.

use crate::model::{PortSpec, ProcessReport, Signal};

/// Escaped as everywhere: people also read a log in a terminal.
#[cfg(feature = "log")]
pub(crate) fn verdict(spec: &PortSpec, process: &ProcessReport) {
    let facts = &process.process.facts;
    let verdict = if process.judgement.verdict.is_stale() { "stale" } else { "spared" };
    let (name, pid, reason) = (facts.name(), facts.id.pid, process.reason());
    let stops = process.stops().map(|stops| format!("; {stops}")).unwrap_or_default();
    log::info!(target: "portclear", "port {spec}: {name} (pid {pid}): {verdict}: {reason}{stops}");
}

#[cfg(feature = "log")]
pub(crate) fn signal(pid: u32, signal: Signal) {
    log::info!(target: "portclear", "{signal} to process {pid}");
}

#[cfg(not(feature = "log"))]
pub(crate) const fn verdict(_: &PortSpec, _: &ProcessReport) {}

#[cfg(not(feature = "log"))]
pub(crate) const fn signal(_: u32, _: Signal) {}
