//! A bind of one address, and where that is refused a look at who holds it, and a bind again.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::answer::fill_in;
use crate::bind_error::BindError;
use crate::clear;
use crate::end::KILL_WAIT;
use crate::model::{Fate, Outcome, Policy, PortReport, PortSpec, ProcessReport, WhySurvived, WhyUnseen};
use crate::read;

/// The pauses between attempts that were lost, doubling from the first: a race is soon decided, and what stays
/// at odds with every look (a listen(2) that is refused after a bind that is not) is not asked in a hot loop.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(64)];

pub(crate) fn bind_one(address: SocketAddr, policy: &Policy, start: Instant) -> Result<TcpListener, BindError> {
    // No look begins later, but for the second: the first may have needed all of it. The last takes its own time.
    let patience = policy.grace.saturating_add(KILL_WAIT);
    let [shortest, longest] = PAUSES;
    let mut pause = Duration::ZERO;
    let mut earlier: Vec<ProcessReport> = Vec::new();
    let mut spec = None;
    loop {
        let refused = match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        // EADDRINUSE from port 0: no port is left, and none is to be cleared.
        if spec.is_none() && refused.kind() == ErrorKind::AddrInUse {
            spec = PortSpec::of_bind(address, read::v6only_by_default());
        }
        let (ErrorKind::AddrInUse, Some(spec)) = (refused.kind(), spec) else {
            return Err(BindError::new(format!("cannot bind {address}"), refused));
        };
        let Some(report) = clear::before_a_bind(spec, policy) else {
            return Err(BindError::new(format!("cannot bind {address}"), refused));
        };
        let over = match after(&report) {
            Next::Answer => true,
            Next::Look => start.elapsed() >= patience && !pause.is_zero(),
            Next::LookBriefly => pause >= longest,
        };
        if over {
            let mut report = whole(earlier, report, start);
            fill_in(report.holders.iter_mut().chain(&mut report.members), &policy.service);
            return Err(BindError::in_use(refused, report));
        }
        earlier.extend(report.holders.into_iter().filter(|holder| holder.ending.fate != Fate::Untouched));
        // No event tells that an address may be bound again: what took it may never have listened.
        read::pause(pause);
        pause = (pause * 2).clamp(shortest, longest);
    }
}

/// What follows on a look.
enum Next {
    /// It is the answer.
    Answer,
    /// Another server was faster, or the holders changed too often for one look. What the next look shows decides:
    /// it may be newer than this one, and is then left alone.
    Look,
    /// Nobody listened. That is how several servers look that end each other meanwhile, and how a socket looks that
    /// no table shows: that one stays.
    LookBriefly,
}

fn after(report: &PortReport) -> Next {
    match report.status {
        Ok(Outcome::Free | Outcome::Cleared) => Next::Look,
        Ok(Outcome::Unseen(WhyUnseen::Unsettled) | Outcome::Survived(WhySurvived::Unsettled)) => Next::Look,
        Ok(Outcome::Unseen(WhyUnseen::NobodyListens)) => Next::LookBriefly,
        _ => Next::Answer,
    }
}

/// The last look's report, with what was done before it: "nothing was signalled" must be true of the call.
fn whole(mut earlier: Vec<ProcessReport>, mut report: PortReport, start: Instant) -> PortReport {
    let is_last = |id| report.holders.iter().any(|last| last.process.id() == id);
    earlier.retain(|before| !is_last(before.process.id()));
    let ended = earlier.iter().any(|before| matches!(before.ending.fate, Fate::Ended(_)));
    if ended && matches!(report.status, Ok(Outcome::Held(_) | Outcome::Unseen(_))) {
        report.status = Ok(Outcome::Respawned);
    }
    report.holders.splice(..0, earlier);
    report.elapsed = start.elapsed();
    report
}
