//! Watch the cleared ports for a moment, where a process lives on that may start the ended one again.
//!
//! A server that is started again needs 40 ms and more until it listens. So the bind that proves a port free comes too
//! early to see it.

use std::time::{Duration, Instant};

use super::{Answer, Answers};
use crate::judge::starters::starters;
use crate::model::{Caller, Error, Facts, Fate, Liveness, Outcome, PortReport, ProcessId, Supervisor};
use crate::read::{self, PidFd, Pinned};

/// A launcher ends a moment after the process that it waits for. Whoever is still there then may start it again.
const LAUNCHERS_END: Duration = Duration::from_millis(50);

/// The time between two questions for listeners. No event tells that somebody begins to listen.
const TURN: Duration = Duration::from_millis(10);

impl Answers<'_> {
    /// Watches the cleared ports, all at once. Opens the answer of each that is taken again.
    pub(crate) fn settle(&mut self, caller: &Caller) -> Result<(), Error> {
        // A century is as good as for ever, and no clock overflows on it.
        let settle = self.policy.settle.min(Duration::from_secs(100 * 365 * 86_400));
        let start = Instant::now();
        let asks = start + settle.min(LAUNCHERS_END);
        let is_cleared = |answer: &&mut Answer| matches!(answer.report.status, Ok(Outcome::Cleared));
        let mut watched: Vec<Watched<'_>> = Vec::new();
        for answer in self.ports.iter_mut().filter(is_cleared).take_while(|_| !settle.is_zero()) {
            watched.push(Watched::new(answer, caller)?);
        }
        watched.retain(Watched::is_expected);
        // Several supervisors wait for a second before they start a process again.
        let times = |one: &Watched<'_>| if one.was_live { 2 } else { 1 };
        while let Some(times) = watched.iter().map(times).max()
            && let end = start + times * settle
            && Instant::now() < end
        {
            let is_time = Instant::now() >= asks;
            if is_time {
                for one in &mut watched {
                    one.look(start)?;
                }
                watched.retain(|one| !one.taken);
            }
            let turn = if is_time { end.min(Instant::now() + TURN) } else { asks };
            wait(&mut watched, turn)?;
            watched.retain(Watched::is_expected);
        }
        watched.into_iter().for_each(|one| one.settled(start));
        Ok(())
    }
}

/// A port that may be taken again.
struct Watched<'a> {
    answer: &'a mut Answer,
    /// The ancestors of the ended processes that are still there, nearest first.
    starters: Vec<(ProcessId, Pinned)>,
    /// A supervisor looked after an ended process, and is still there. It need not be an ancestor that can be seen.
    was_live: bool,
    taken: bool,
}

impl<'a> Watched<'a> {
    fn new(answer: &'a mut Answer, caller: &Caller) -> Result<Self, Error> {
        let report = &answer.report;
        let ended = || report.processes().filter(|process| matches!(process.ending.fate, Fate::Ended(_)));
        let mut was_live = false;
        for process in ended() {
            was_live |= match &process.judgement.liveness {
                Liveness::Live(Supervisor::Program(by)) => Pinned::again(by.supervisor)?.is_some(),
                Liveness::Live(Supervisor::Unit(_) | Supervisor::Container(_)) => true,
                _ => false,
            };
        }
        let mut found: Vec<(ProcessId, Pinned)> = Vec::new();
        for id in ended().flat_map(|process| starters(&process.process, caller)).map(|facts| facts.id) {
            if !found.iter().any(|(known, _)| *known == id)
                && let Some(pinned) = Pinned::again(id)?
            {
                found.push((id, pinned));
            }
        }
        Ok(Self { answer, starters: found, was_live, taken: false })
    }

    const fn is_expected(&self) -> bool {
        self.was_live || !self.starters.is_empty()
    }

    fn look(&mut self, start: Instant) -> Result<(), Error> {
        self.taken = read::listens(&self.answer.report.spec)?;
        if self.taken {
            self.answer.settled(start, None);
            self.answer.reopen();
        }
        Ok(())
    }

    /// Nobody has taken it so far.
    fn settled(self, start: Instant) {
        let starter = self.starters.first().and_then(|(id, _)| ancestor(&self.answer.report, *id));
        self.answer.settled(start, starter);
    }
}

fn ancestor(report: &PortReport, id: ProcessId) -> Option<Facts> {
    let mut above = report.processes().flat_map(|process| process.process.ancestry.parents());
    above.find(|facts| facts.id == id).cloned()
}

/// Waits until a starter has ended, or the time is over. Forgets the starters that have ended.
fn wait(watched: &mut [Watched<'_>], until: Instant) -> Result<(), Error> {
    let all = watched.iter().flat_map(|one| &one.starters);
    let pidfds: Vec<(ProcessId, &PidFd)> = all.map(|(id, pinned)| (*id, pinned.pidfd())).collect();
    let ended = read::wait(&pidfds, until.saturating_duration_since(Instant::now()))?;
    for one in watched {
        one.starters.retain(|(id, _)| !ended.contains(id));
    }
    Ok(())
}
