//! End processes: ask, wait, make sure. Through their pidfds alone, all side by side, with one deadline.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::event;
use crate::os::pidfd::{self, PidFd, Sent};
use crate::os::process::Pinned;
use crate::plan::Judged;
use crate::policy::{Policy, Signal};
use crate::report::{Ending, Fate, Progress};
use crate::tree::Role;

/// What SIGKILL may take, after the grace: a process in the middle of a large exit or a slow write.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(2);

/// Between two looks at the progress, where somebody watches it.
const TICK: Duration = Duration::from_millis(250);

/// What the facts of a target say when they are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recheck {
    Stale,
    Changed,
    /// It is in the middle of its exit.
    Ending,
    Gone,
    Unread,
}

/// The times of one call, set at its first signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) start: Instant,
    half: Instant,
    grace: Instant,
    pub(crate) end: Instant,
}

impl Deadline {
    pub(crate) fn new(grace: Duration) -> Self {
        let start = Instant::now();
        // A century is as good as for ever, and no clock overflows on it.
        let grace = grace.min(Duration::from_secs(100 * 365 * 86_400));
        let (half, grace) = (start + grace / 2, start + grace);
        Self { start, half, grace, end: grace + KILL_WAIT }
    }
}

pub(crate) type Observer<'a> = Option<&'a mut dyn FnMut(&Progress)>;

/// A process that is to be ended.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) pinned: Rc<Pinned>,
    pub(crate) judged: Judged,
    pub(crate) role: Role,
    /// The target that it is below of, which is asked before it.
    pub(crate) below: Option<u32>,
    /// Which of the groups of a round it is of.
    pub(crate) group: usize,
    pub(crate) ending: Ending,
}

impl Target {
    pub(crate) fn pid(&self) -> u32 {
        self.judged.0.facts.id.pid
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.ending.fate, Fate::Survived(_))
    }

    fn was_sent(&self, signal: Signal) -> bool {
        self.ending.signals.iter().any(|(sent, _)| *sent == signal)
    }
}

/// What has come to the targets since they were looked up.
pub(crate) type Newcomers<'a> = &'a dyn Fn(&[Target]) -> Result<Vec<Target>, Error>;

/// What the rest of the flow knows of the targets.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// Reads the facts of one again.
    pub(crate) recheck: &'a dyn Fn(&Target) -> Recheck,
    pub(crate) newcomers: Newcomers<'a>,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Ended,
    Time,
    Failed,
}

/// Ends the targets, of which the holders were rechecked a moment ago. Every one of them is tried, whatever happens to
/// another; an error is given beside what is known by then.
///
/// The topmost process of each instance is asked first, and each other one when all above it are gone, or at half
/// the grace: a launcher may end its workers itself, and a server that takes a second signal for "at once" gets one.
pub(crate) fn terminate(
    targets: Vec<Target>,
    policy: &Policy,
    deadline: Deadline,
    look: Look<'_>,
    observer: Observer<'_>,
) -> (Vec<Target>, Option<Error>) {
    let mut ending = Termination { targets, policy, deadline, look, observer, error: None };
    if !ending.ask() && policy.kill {
        ending.kill();
    }
    // The last look may have taken longer than there was time: what has ended by now has not survived.
    if ending.is_any_open() {
        ending.wait(Instant::now());
    }
    for target in ending.targets.iter_mut().filter(|target| target.is_open()) {
        target.ending.fate = Fate::Survived(target.pinned.state());
    }
    (ending.targets, ending.error)
}

struct Termination<'a, 'o> {
    targets: Vec<Target>,
    policy: &'a Policy,
    deadline: Deadline,
    look: Look<'a>,
    observer: Observer<'o>,
    error: Option<Error>,
}

impl Termination<'_, '_> {
    /// Whether all have ended in the grace.
    fn ask(&mut self) -> bool {
        let Deadline { start, half, grace, .. } = self.deadline;
        let signal = self.policy.signal;
        for target in self.targets.iter_mut().filter(|target| target.below.is_none()) {
            // The holders go together or not at all, and were found to be the same together.
            if target.role == Role::Holder || (self.look.recheck)(target).holds(target, start) {
                keep(&mut self.error, send(target, signal, start));
            }
        }
        loop {
            let asleep = self.ask_the_rest();
            let in_time = Instant::now() < grace;
            if !self.is_any_open() && in_time && self.take_newcomers() {
                continue;
            }
            let over = !in_time || !self.is_any_open();
            if over || self.wait(if asleep { half } else { grace }) == Wake::Failed {
                return !self.is_any_open() && in_time;
            }
        }
    }

    /// Asks those with nobody above them any more, or all of them at half the grace. Whether there are others yet.
    fn ask_the_rest(&mut self) -> bool {
        let Deadline { start, half, .. } = self.deadline;
        let above: BTreeMap<u32, (Option<u32>, bool)> =
            self.targets.iter().map(|target| (target.pid(), (target.below, target.is_open()))).collect();
        let due = Instant::now() >= half;
        let mut asleep = false;
        for target in &mut self.targets {
            if !target.is_open() || !target.ending.signals.is_empty() {
                continue;
            }
            if !due && is_anybody_open(target.below, &above) {
                asleep = true;
                continue;
            }
            if (self.look.recheck)(target).holds(target, start) {
                keep(&mut self.error, send(target, self.policy.signal, start));
            }
        }
        asleep
    }

    /// At the end of the grace, what is left is looked at again, and what has come to it since.
    fn kill(&mut self) {
        let Deadline { start, end, .. } = self.deadline;
        // Before: afterwards they have lost their parents.
        self.take_newcomers();
        loop {
            for target in self.targets.iter_mut().filter(|target| target.is_open()) {
                if !target.was_sent(Signal::KILL) && (self.look.recheck)(target).holds(target, start) {
                    keep(&mut self.error, send(target, Signal::KILL, start));
                }
            }
            if Instant::now() >= end {
                return;
            }
            if self.take_newcomers() {
                continue;
            }
            while self.is_any_open() && self.wait(end) == Wake::Ended {}
            if Instant::now() >= end || !self.take_newcomers() {
                return;
            }
        }
    }

    fn is_any_open(&self) -> bool {
        self.targets.iter().any(Target::is_open)
    }

    fn take_newcomers(&mut self) -> bool {
        match (self.look.newcomers)(&self.targets) {
            Ok(new) if new.is_empty() => false,
            Ok(new) => {
                self.targets.extend(new);
                true
            }
            Err(error) => {
                self.error.get_or_insert(error);
                false
            }
        }
    }

    /// Waits until one of them has ended, or the time is over.
    fn wait(&mut self, until: Instant) -> Wake {
        let Deadline { start, grace, end, .. } = self.deadline;
        loop {
            let open: Vec<usize> = (0..self.targets.len())
                .filter(|at| self.targets.get(*at).is_some_and(Target::is_open))
                .collect();
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            let targets = open.iter().filter_map(|at| self.targets.get(*at));
            let pidfds: Vec<&PidFd> = targets.clone().map(|target| &target.pinned.pidfd).collect();
            let mut turn = left;
            if let Some(observe) = &mut self.observer {
                let pids = targets.map(Target::pid).collect();
                let asks = now < grace;
                let then = (asks && self.policy.kill).then_some(Signal::KILL);
                let left = if asks { grace } else { end }.saturating_duration_since(now);
                observe(&Progress { pids, elapsed: start.elapsed(), left, then });
                turn = turn.min(TICK);
            }
            let ended = match pidfd::wait(&pidfds, turn) {
                Ok(ended) => ended,
                Err(error) => {
                    self.error.get_or_insert(error);
                    return Wake::Failed;
                }
            };
            for at in ended.iter().filter_map(|at| open.get(*at)) {
                if let Some(target) = self.targets.get_mut(*at) {
                    ended_now(target, start);
                }
            }
            if !ended.is_empty() {
                return Wake::Ended;
            }
            if left.is_zero() {
                return Wake::Time;
            }
        }
    }
}

impl Recheck {
    /// Whether it may be signalled. Where not, the target is told its fate.
    fn holds(self, target: &mut Target, start: Instant) -> bool {
        match self {
            Self::Stale => return true,
            Self::Ending => {}
            Self::Gone => ended_now(target, start),
            Self::Changed => target.ending.fate = Fate::Changed,
            Self::Unread => target.ending.fate = Fate::Unread,
        }
        false
    }
}

/// Whether one of those above has not ended.
fn is_anybody_open(mut next: Option<u32>, above: &BTreeMap<u32, (Option<u32>, bool)>) -> bool {
    // Bounded, for a pid that was reused while the tree was read could close a circle.
    for _ in 0..above.len() {
        match next.and_then(|pid| above.get(&pid)) {
            Some((_, true)) => return true,
            Some((further, false)) => next = *further,
            None => return false,
        }
    }
    false
}

fn keep(error: &mut Option<Error>, result: Result<(), Error>) {
    if let Err(new) = result {
        error.get_or_insert(new);
    }
}

fn send(target: &mut Target, signal: Signal, start: Instant) -> Result<(), Error> {
    match target.pinned.pidfd.send(signal)? {
        Sent::Delivered => {
            target.ending.signals.push((signal, start.elapsed()));
            event::signal(target.pid(), signal);
            // After, not before: a process that is continued first may stop again unasked.
            if signal != Signal::KILL {
                target.pinned.pidfd.resume()?;
            }
        }
        Sent::Gone => ended_now(target, start),
        Sent::NotPermitted => target.ending.fate = Fate::NotPermitted,
    }
    Ok(())
}

fn ended_now(target: &mut Target, start: Instant) {
    let asked = !target.ending.signals.is_empty();
    target.ending.fate = if asked { Fate::Ended } else { Fate::EndedByItself };
    target.ending.ended_after = Some(start.elapsed());
}
