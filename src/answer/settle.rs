//! Watch the cleared ports for a moment, where a process lives on that may start the ended one again.
//!
//! A server that is started again needs 40 ms and more until it listens. So the bind that proves a port free comes too
//! early to see it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Answer, Answers};
use crate::end::{Clock, TICK};
use crate::judge::starters::starters;
use crate::model::{
    CENTURY, Caller, Error, Facts, Fate, Liveness, Observer, Outcome, Policy, PortReport, PortSpec, ProcessId,
    ProcessReport, Progress, Supervisor,
};
use crate::read::{self, PidFd, Pinned};

/// A launcher ends a moment after the process that it waits for. Whoever is still there then may start it again.
const LAUNCHERS_END: Duration = Duration::from_millis(50);

/// The time between two questions for listeners. No event tells that somebody begins to listen.
const TURN: Duration = Duration::from_millis(10);

impl Answers<'_> {
    /// Watches the cleared ports, all at once. Opens the answer of each that is taken again.
    pub(crate) fn settle(&mut self, caller: &Caller, observed: &mut Observed<'_>) {
        let settle = self.policy.settle.min(CENTURY);
        let start = Instant::now();
        let is_cleared = |answer: &&mut Answer| matches!(answer.report.status, Ok(Outcome::Cleared));
        let mut watched: Vec<Watched<'_>> = Vec::new();
        for answer in self.ports.iter_mut().filter(is_cleared).take_while(|_| !settle.is_zero()) {
            watched.extend(Watched::new(answer, caller));
        }
        // Several supervisors wait for a second before they start a process again.
        let time = |one: &Watched<'_>| if one.is_supervised() { 2 * settle } else { settle };
        let asks = start + settle.min(LAUNCHERS_END);
        while let Some(time) = watched.iter().map(time).max() {
            let (now, end) = (Instant::now(), start + time);
            if now >= asks {
                watched.retain_mut(|one| one.is_free(start));
            }
            if now >= end {
                break;
            }
            observed.tell(&watched, end - now, self.policy);
            if observed.stopped {
                watched.iter_mut().for_each(|one| one.answer.stop_watch());
                break;
            }
            wait(&mut watched, if now < asks { asks } else { end.min(now + TURN) });
            watched.retain(Watched::is_expected);
        }
        observed.over(self.policy);
        watched.into_iter().for_each(|one| one.settled(start));
    }
}

/// The observer of a watch.
pub(crate) struct Observed<'o> {
    observer: Option<Observer<'o>>,
    /// When the call sent its first signal. `None`: it has sent none.
    signalled: Option<Instant>,
    /// When the observer was told last.
    told: Option<Instant>,
    /// It stopped the watch.
    pub(super) stopped: bool,
}

impl<'o> Observed<'o> {
    pub(crate) fn new(observer: Option<Observer<'o>>, clock: Option<&Clock>) -> Self {
        Self { observer, signalled: clock.map(|clock| clock.start), told: None, stopped: false }
    }

    /// Tells the observer which ports are watched, unless it was told a moment ago.
    fn tell(&mut self, watched: &[Watched<'_>], left: Duration, policy: &Policy) {
        if !watched.is_empty() && self.told.is_none_or(|told| told.elapsed() >= TICK) {
            self.told = Some(Instant::now());
            self.call(watched.iter().map(|one| one.answer.spec()).collect(), left, policy);
        }
    }

    fn over(&mut self, policy: &Policy) {
        if self.told.take().is_some() {
            self.call(Vec::new(), Duration::ZERO, policy);
        }
    }

    fn call(&mut self, watched: Vec<PortSpec>, left: Duration, policy: &Policy) {
        let Some(observe) = self.observer.as_mut().filter(|_| !self.stopped) else { return };
        let elapsed = self.signalled.map(|start| start.elapsed()).unwrap_or_default();
        let (pids, name, then_in) = (Vec::new(), String::new(), Duration::ZERO);
        let sent = policy.signal;
        self.stopped = observe(&Progress { pids, name, watched, elapsed, left, sent, then: None, then_in }).is_break();
    }
}

/// A port that may be taken again.
struct Watched<'a> {
    answer: &'a mut Answer,
    /// The processes that may start a holder again, and are still there: first a supervisor, then the ancestors of the
    /// ended processes, nearest first.
    starters: Vec<Starter>,
    supervisors: BTreeSet<ProcessId>,
    /// A unit's manager or a container's runtime looked after an ended process. It need not be a process that can be
    /// seen.
    by_manager: bool,
}

impl<'a> Watched<'a> {
    /// `None`: nobody is there who starts its holder again. If that cannot be told, the answer is an error.
    fn new(answer: &'a mut Answer, caller: &Caller) -> Option<Self> {
        answer.report.starter = None;
        let ended = || answer.report.processes().filter(|process| matches!(process.ending.fate, Fate::Ended(_)));
        let supervisor = |process: &ProcessReport| match &process.judgement.liveness {
            Liveness::Live(Supervisor::Program(by)) => Some(by.supervisor),
            _ => None,
        };
        let supervisors: BTreeSet<ProcessId> = ended().filter_map(supervisor).collect();
        let is_managed = |process: &ProcessReport| {
            matches!(process.judgement.liveness, Liveness::Live(Supervisor::Unit(_) | Supervisor::Container(_)))
        };
        let by_manager = ended().any(is_managed);
        let above = ended().flat_map(|process| starters(&process.process, caller)).map(|facts| facts.id);
        let mut ids: Vec<ProcessId> = Vec::new();
        for id in supervisors.iter().copied().chain(above) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        match pin(ids) {
            Ok(starters) => Some(Self { answer, starters, supervisors, by_manager }).filter(Self::is_expected),
            Err(error) => {
                answer.close(Err(error));
                None
            }
        }
    }

    const fn is_expected(&self) -> bool {
        self.by_manager || !self.starters.is_empty()
    }

    fn is_supervised(&self) -> bool {
        self.by_manager || self.starters.iter().any(|one| self.supervisors.contains(&one.id))
    }

    /// Nobody listens yet. If that cannot be told, the answer is an error.
    fn is_free(&mut self, start: Instant) -> bool {
        match read::listens(&self.answer.report.spec) {
            Ok(false) => return true,
            Ok(true) => {
                self.answer.settled(start, None);
                self.answer.reopen();
            }
            Err(error) => self.answer.close(Err(error)),
        }
        false
    }

    /// Nobody has taken it so far.
    fn settled(self, start: Instant) {
        let starter = self.starters.first().and_then(|one| ancestor(&self.answer.report, one.id));
        self.answer.settled(start, starter);
    }
}

/// A process that may start an ended one again.
struct Starter {
    id: ProcessId,
    pinned: Pinned,
}

/// Those of the processes that have not ended.
fn pin(ids: Vec<ProcessId>) -> Result<Vec<Starter>, Error> {
    let mut alive = Vec::new();
    for id in ids {
        alive.extend(Pinned::again(id)?.map(|pinned| Starter { id, pinned }));
    }
    Ok(alive)
}

fn ancestor(report: &PortReport, id: ProcessId) -> Option<Facts> {
    let mut above = report.processes().flat_map(|process| process.process.ancestry.parents());
    above.find(|facts| facts.id == id).cloned()
}

/// Waits until a starter has ended, or the time is over. Forgets the starters that have ended. A wait that fails is over
/// at once, and the next one comes a turn later: the watch has its end in any case.
fn wait(watched: &mut [Watched<'_>], until: Instant) {
    let all = watched.iter().flat_map(|one| &one.starters);
    let pidfds: Vec<(ProcessId, &PidFd)> = all.map(|one| (one.id, one.pinned.pidfd())).collect();
    let left = until.saturating_duration_since(Instant::now());
    let Ok(ended) = read::wait(&pidfds, left) else { return read::pause(left) };
    for one in watched {
        one.starters.retain(|starter| !ended.contains(&starter.id));
    }
}
