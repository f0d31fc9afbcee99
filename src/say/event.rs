//! One event for each verdict and each signal, for a server's own log. Without the feature `log` nothing.

use crate::policy::Signal;
use crate::port::PortSpec;
use crate::report::ProcessReport;

/// Escaped as everywhere: a log is read in terminals, too.
#[cfg(feature = "log")]
pub(crate) fn verdict(spec: &PortSpec, holder: &ProcessReport) {
    let facts = &holder.holder.facts;
    let verdict = match holder.judgement.verdict {
        crate::Verdict::Stale => "stale",
        crate::Verdict::Spare => "spared",
    };
    let (name, pid, reason) = (facts.name(), facts.id.pid, holder.reason());
    log::info!(target: "portclear", "port {spec}: {name} (pid {pid}): {verdict}: {reason}");
}

#[cfg(feature = "log")]
pub(crate) fn signal(pid: u32, signal: Signal) {
    log::info!(target: "portclear", "{signal} to process {pid}");
}

#[cfg(not(feature = "log"))]
pub(crate) const fn verdict(_: &PortSpec, _: &ProcessReport) {}

#[cfg(not(feature = "log"))]
pub(crate) const fn signal(_: u32, _: Signal) {}
