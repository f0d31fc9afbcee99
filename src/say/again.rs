//! Who has started a process again, or may do so.

use super::sentence::{has_ended, named};
use crate::model::{Facts, Fate, Outcome, PortReport, ProcessReport, Supervised, Supervisor, SweepReport};

const WAIT_STOPPED: &str = "; the wait was stopped, and no further signal is sent";

impl PortReport {
    /// Of a port that is free all the same.
    pub(super) fn cut_short(&self) -> &'static str {
        let waits = self.processes().any(|process| matches!(process.ending.fate, Fate::Survived(_)));
        match (self.stopped, waits) {
            (false, _) => "",
            (true, true) => WAIT_STOPPED,
            (true, false) => "; the watch was stopped",
        }
    }

    /// The process that has started a holder again, or may do so. `None`: there is none, or it is PID 1 or a manager.
    #[must_use]
    pub fn starter(&self) -> Option<&Facts> {
        match self.status {
            Ok(Outcome::Respawned) => starter_of(self.new_holder()?, self),
            _ => self.starter.as_deref(),
        }
    }

    pub(super) fn new_holder(&self) -> Option<&ProcessReport> {
        self.holders.iter().rev().find(|holder| holder.ending.fate == Fate::Untouched)
    }

    pub(super) fn respawned(&self) -> String {
        let Some(again) = self.new_holder() else { return "cleared, and taken again".to_owned() };
        let facts = &again.process.facts;
        let by = match (again.supervisor(), facts.unit(), starter_of(again, self)) {
            (Some(Supervisor::Program(by)), _, _) => format!(", started by {}", supervisor(by)),
            (_, Some(unit), _) => format!(", in unit {unit}"),
            (_, None, Some(parent)) => format!(", started by {}", named(parent)),
            (_, None, None) if facts.ppid == 1 => String::new(),
            (_, None, None) => format!(", started by process {}", facts.ppid),
        };
        format!("cleared, and taken again by {}{by}", named(facts))
    }

    /// After a port was cleared: who may start its holder again.
    pub(super) fn may_return(&self) -> String {
        let ended = || self.processes().filter(|process| has_ended(process));
        if let Some(starter) = &self.starter {
            let is_of = |process: &&ProcessReport| matches!(process.supervisor(), Some(Supervisor::Program(by)) if by.supervisor == starter.id);
            let (who, stops) = match ended().find(is_of) {
                Some(process) => (supervised(process), process.stops()),
                None => (named(starter), None),
            };
            let stops = stops.map(|stops| format!(" ({stops})")).unwrap_or_default();
            return format!("; {who} is still there and may start it again{stops}");
        }
        // Nobody has looked whether these are still there: they are no processes here, or nothing was watched.
        let is_likely = |process: &&ProcessReport| match process.supervisor() {
            Some(Supervisor::Unit(_) | Supervisor::Container(_)) => true,
            Some(Supervisor::Program(by)) => {
                self.watched.is_zero() && !ended().any(|process| process.process.id() == by.supervisor)
            }
            None => false,
        };
        let Some(process) = ended().find(is_likely) else { return String::new() };
        let stops = process.stops().map(|stops| format!(" ({stops})")).unwrap_or_default();
        format!("; {} may start it again{stops}", supervised(process))
    }
}

impl SweepReport {
    pub(super) const fn cut_short(&self) -> &'static str {
        if self.stopped { WAIT_STOPPED } else { "" }
    }
}

fn supervised(process: &ProcessReport) -> String {
    match process.supervisor() {
        Some(Supervisor::Program(by)) => supervisor(by),
        Some(Supervisor::Unit(unit)) => format!("unit {unit}"),
        Some(Supervisor::Container(_)) | None => "the container's runtime".to_owned(),
    }
}

/// The nearest ancestor that it shares with an ended process; else its parent. What is between them has come with it.
fn starter_of<'a>(again: &'a ProcessReport, port: &PortReport) -> Option<&'a Facts> {
    let above = || again.process.ancestry.parents().filter(|facts| facts.id.pid != 1);
    let is_old = |facts: &&Facts| {
        let mut ended = port.processes().filter(|process| has_ended(process));
        ended.any(|process| process.process.ancestry.parents().any(|of| of.id == facts.id))
    };
    above().find(is_old).or_else(|| above().next())
}

fn supervisor(Supervised { by, supervisor, .. }: &Supervised) -> String {
    format!("{by} (pid {})", supervisor.pid)
}
