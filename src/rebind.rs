//! Bind one address. If it is in use, clear it and bind again.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::answer::fill_in;
use crate::bind_error::BindError;
use crate::clear;
use crate::end::KILL_WAIT;
use crate::model::{Fate, Outcome, Policy, PortReport, PortSpec, ProcessReport, WhySurvived, WhyUnseen};
use crate::read;

/// The shortest and the longest pause between attempts; each is twice the one before. A race is soon decided. A lasting
/// conflict (bind(2) succeeds, but listen(2) is refused) must not become a busy loop.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(64)];

pub(crate) fn bind_one(address: SocketAddr, policy: &Policy, start: Instant) -> Result<TcpListener, BindError> {
    // No look begins later, except the second: the first may have needed all of the time. The last takes its own time.
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
        // Port 0 is refused with EADDRINUSE if no port is free. There is none to clear.
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
        // No event tells that an address may be bound again: its holder may never have listened.
        read::pause(pause);
        pause = (pause * 2).clamp(shortest, longest);
    }
}

/// The step after a look.
enum Next {
    /// It is the answer.
    Answer,
    /// Another server was faster, or the holders changed too often for one look. The next look decides: a newer holder
    /// is spared.
    Look,
    /// Nobody listened. Several servers may be ending each other, and that is soon over. Or no table shows the socket,
    /// and that does not change.
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

/// The last look's report, with the endings of earlier looks: "nothing was signalled" must be true of the whole call.
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
