//! The answer about one port.

use std::time::Instant;

use super::processes::{add, has_survived, write_endings};
use crate::end::Target;
use crate::judge::plan::{Decision, Group, PortPlan, Purpose, Refused};
use crate::judge::{Asked, Judged};
use crate::model::{
    Asker, Connections, Error, Facts, Fate, Outcome, PortReport, PortSpec, ProcessReport, Role, WhyHeld, WhySurvived,
    WhyUnseen, World,
};
use crate::read::{self, Probe};
use crate::say::event;

pub(crate) struct Answer {
    pub(super) report: PortReport,
    pub(super) state: State,
    /// It was busy once while nobody listened.
    unexplained: bool,
    start: Instant,
}

/// How far an answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Its holders are targets of this round.
    Tried,
    Closed,
}

impl Answer {
    pub(super) fn probe(spec: PortSpec, start: Instant) -> Self {
        let report = PortReport::new(spec, Ok(Outcome::Unseen(WhyUnseen::Unsettled)));
        let mut answer = Self { report, state: State::Open, unexplained: false, start };
        match read::probe(&spec) {
            Ok(Probe::Free) => answer.close(Ok(Outcome::Free)),
            Ok(Probe::Denied | Probe::Busy) => {}
            Err(error) => answer.close(Err(error)),
        }
        answer
    }

    pub(crate) const fn spec(&self) -> PortSpec {
        self.report.spec
    }

    pub(super) fn close(&mut self, status: Result<Outcome, Error>) {
        self.report.status = status;
        self.report.elapsed = self.start.elapsed();
        self.state = State::Closed;
    }

    /// Applies a plan. Gives the group to end, if all holders are to be ended.
    pub(crate) fn apply(&mut self, plan: PortPlan, world: &World, asked: &Asked<'_>) -> Option<Group> {
        let caller = &asked.caller;
        self.report.asker = Some(Asker { uid: caller.uid, unit: caller.unit.clone(), blind: caller.blind });
        if plan.decision == Decision::NobodyListens {
            self.without_listener(world);
            return None;
        }
        self.report.unreadable = world.unreadable;
        self.report.listeners.extend(plan.listeners);
        self.report.listeners.sort();
        self.report.listeners.dedup();
        // A spared holder is new, and an earlier one was ended: somebody took the port again.
        let is_new = |judged: &Judged| !judged.judgement.verdict.is_stale() && asked.is_newer(&judged.process.facts);
        let has_ended = self.any_holder(|holder| matches!(holder.ending.fate, Fate::Ended(_)));
        let taken_again = has_ended && plan.holders.iter().any(is_new);
        let changed = self.any_holder(|holder| holder.ending.fate == Fate::Changed);
        for judged in &plan.holders {
            if let Some(new) = add(&mut self.report.holders, judged, Role::Holder) {
                event::verdict(&plan.spec, new);
            }
        }
        let outcome = match plan.decision {
            Decision::Clear => return Some(Group { base: plan.holders, ..Group::new(Purpose::Port(plan.spec)) }),
            _ if taken_again => Outcome::Respawned,
            Decision::Unseen(why) => Outcome::Unseen(why),
            Decision::Held | Decision::NobodyListens => {
                Outcome::Held(if changed { WhyHeld::Changed } else { WhyHeld::Spared })
            }
        };
        self.close(Ok(outcome));
        None
    }

    /// Busy, but nobody listens: the holder is gone since the probe, or no table shows its socket.
    fn without_listener(&mut self, world: &World) {
        let of_port = world.connections.iter().filter(|connection| connection.local.port() == self.report.spec.port());
        let (waiting, others): (Vec<_>, Vec<_>) = of_port.partition(|connection| connection.time_wait);
        self.report.connections = Connections { connected: others.len(), time_wait: waiting.len() };
        let probed = read::probe(&self.report.spec);
        if matches!(probed, Ok(Probe::Busy)) && !self.unexplained {
            // Somebody may have begun to listen after the look, so look once more.
            self.unexplained = true;
            return;
        }
        self.close(match probed {
            Ok(Probe::Free) => Ok(self.freed()),
            Ok(Probe::Busy) => Ok(Outcome::Unseen(WhyUnseen::NobodyListens)),
            Ok(Probe::Denied) => Err(unproven(&self.report.spec)),
            Err(error) => Err(error),
        });
    }

    /// Records the members, or the reason of a refusal.
    pub(super) fn expect(&mut self, group: &Group) {
        for member in &group.members {
            if let Some(new) = add(&mut self.report.members, &member.judged, member.role) {
                event::verdict(&self.report.spec, new);
            }
        }
        match group.refused {
            Some(Refused::Elsewhere(id)) => self.close(Ok(Outcome::Held(WhyHeld::Elsewhere(id)))),
            Some(Refused::OutOfReach(id)) => self.close(Ok(Outcome::Unseen(WhyUnseen::NotPermitted(id)))),
            None => self.state = State::Tried,
        }
    }

    /// Records what became of the targets, with late forks among them.
    pub(super) fn record(&mut self, targets: &[Target]) {
        for target in targets.iter().filter(|target| target.purpose == Purpose::Port(self.report.spec)) {
            if !self.report.processes().any(|known| known.process.id() == target.id()) {
                add(&mut self.report.members, &target.judged, target.role);
            }
        }
        write_endings(&mut self.report.holders, targets);
        write_endings(&mut self.report.members, targets);
    }

    /// The bind comes first: a process that is still there may have let go of the port.
    pub(super) fn prove(&mut self) {
        let first = |fate: Fate| self.report.holders.iter().find(|holder| holder.ending.fate == fate);
        let survived = self.any_holder(has_survived);
        let not_permitted = first(Fate::NotPermitted).map(|holder| WhyUnseen::NotPermitted(holder.process.id()));
        let unread = || first(Fate::Unread).map(|holder| WhyUnseen::Unread(holder.process.id()));
        self.state = State::Open;
        match (read::probe(&self.report.spec), not_permitted.or_else(unread)) {
            (Err(error), _) => self.close(Err(error)),
            (Ok(Probe::Free), _) => self.close(Ok(self.freed())),
            (Ok(_), _) if survived => self.close(Ok(Outcome::Survived(WhySurvived::StillThere))),
            (Ok(_), Some(why)) => self.close(Ok(Outcome::Unseen(why))),
            // Another round.
            (Ok(_), None) => {}
        }
    }

    /// A bind proves it free again, or the answer is open again.
    pub(super) fn look_again(&mut self) {
        match read::probe(&self.report.spec) {
            Ok(Probe::Free) => {}
            Ok(Probe::Busy) => self.reopen(),
            Ok(Probe::Denied) => self.close(Err(unproven(&self.report.spec))),
            Err(error) => self.close(Err(error)),
        }
    }

    /// It was watched since then. `starter`: who is still there and may start its holder again.
    pub(super) fn settled(&mut self, since: Instant, starter: Option<Facts>) {
        self.report.watched = since.elapsed();
        self.report.starter = starter.map(Box::new);
        self.report.elapsed = self.start.elapsed();
    }

    /// The observer stopped the watch.
    pub(super) fn stop_watch(&mut self) {
        self.report.stopped = true;
    }

    /// Somebody has taken the port since it was free.
    pub(super) fn reopen(&mut self) {
        self.state = State::Open;
    }

    pub(super) fn give_up(&mut self, why: WhySurvived) {
        let signalled = self.report.processes().any(|process| !process.ending.signals.is_empty());
        // Its watch was stopped, and all that were signalled have ended.
        let taken_again = self.report.stopped && !self.report.processes().any(has_survived);
        self.close(Ok(match signalled {
            true if taken_again => Outcome::Respawned,
            true => Outcome::Survived(why),
            false => Outcome::Unseen(WhyUnseen::Unsettled),
        }));
    }

    /// What is still there was not waited for to the end.
    pub(super) fn stop(&mut self) {
        let waits = self.report.processes().any(has_survived);
        self.report.stopped |= waits;
        if matches!(self.report.status, Ok(Outcome::Survived(WhySurvived::StillThere))) {
            self.report.status = Ok(Outcome::Survived(WhySurvived::Stopped));
        }
    }

    /// A bind has proved it free. It is cleared if a holder was touched: perhaps for another port.
    fn freed(&self) -> Outcome {
        let touched = self.any_holder(|holder| holder.ending.fate != Fate::Untouched);
        if touched { Outcome::Cleared } else { Outcome::Free }
    }

    fn any_holder(&self, is: impl FnMut(&ProcessReport) -> bool) -> bool {
        self.report.holders.iter().any(is)
    }
}

fn unproven(spec: &PortSpec) -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    Error::new(format!("nothing listens on {spec}, but only a bind proves that it is free"), source)
}
