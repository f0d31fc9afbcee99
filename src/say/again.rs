//! Who has started a process again, or may do so.

use super::sentence::{has_ended, named};
use crate::model::{Facts, Fate, Liveness, Outcome, PortReport, ProcessReport, Supervised, Supervisor};

impl PortReport {
    /// The process that has started a holder again, or may do so. `None`: there is none, or it is PID 1 or a manager.
    #[must_use]
    pub fn starter(&self) -> Option<&Facts> {
        match self.status {
            Ok(Outcome::Respawned) => starter_of(self.new_holder()?, self),
            _ => self.starter.as_deref(),
        }
    }

    fn new_holder(&self) -> Option<&ProcessReport> {
        self.holders.iter().rev().find(|holder| holder.ending.fate == Fate::Untouched)
    }

    pub(super) fn respawned(&self) -> String {
        let Some(again) = self.new_holder() else { return "cleared, and taken again".to_owned() };
        let facts = &again.process.facts;
        let by = match (again.supervisor(), facts.unit(), starter_of(again, self)) {
            (Some(Supervisor::Program(supervised)), _, _) => {
                let stop = again
                    .stop_command()
                    .map_or_else(|| "stop that first".to_owned(), |stop| format!("`{stop}` stops it"));
                format!(", started by {}: {stop}", supervisor(supervised))
            }
            (_, Some(unit), _) => format!(" in unit {unit}: stop that first"),
            (_, None, Some(parent)) => format!(", started by {}: stop that first", named(parent)),
            // It has lost its parent: there is nothing else to stop.
            (_, None, None) if facts.ppid == 1 => String::new(),
            (_, None, None) => format!(", started by process {}: stop that first", facts.ppid),
        };
        format!("cleared, and taken again by {}{by}", named(facts))
    }

    /// After a port was cleared: who may start its holder again.
    pub(super) fn may_return(&self) -> String {
        let was_live =
            |process: &&ProcessReport| has_ended(process) && matches!(process.judgement.liveness, Liveness::Live(_));
        // A supervisor of the same instance may have ended with it, like `node --watch`.
        let has_ended_too = |by: &Supervised| {
            self.processes().any(|process| has_ended(process) && process.process.id() == by.supervisor)
        };
        let lives = |process: &&ProcessReport| match process.supervisor() {
            Some(Supervisor::Program(by)) => !has_ended_too(by),
            _ => true,
        };
        let live = self.processes().filter(was_live).find(lives);
        let who = match (live.and_then(ProcessReport::supervisor), &self.starter) {
            (Some(Supervisor::Program(supervised)), _) => supervisor(supervised),
            (Some(Supervisor::Unit(unit)), _) => format!("unit {unit}"),
            (Some(Supervisor::Container(_)), _) => "the container's runtime".to_owned(),
            (None, Some(starter)) => return format!("; {} is still there and may start it again", named(starter)),
            (None, None) => return String::new(),
        };
        let stop = live.and_then(ProcessReport::stop_command);
        let stop = stop.map(|stop| format!(" (`{stop}` stops it)")).unwrap_or_default();
        format!("; {who} is still there and may start it again{stop}")
    }
}

/// The nearest of its ancestors that an ended process had, too; else its parent. What is between them has come with it.
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
