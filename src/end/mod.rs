//! End processes: ask, wait, kill. All are signalled through their pidfds, side by side, with one deadline.

mod late;
mod next_signal;
mod recheck;
mod target;
mod whom;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;
use std::time::{Duration, Instant};

use crate::judge::Asked;
use crate::judge::plan::Purpose;
use crate::model::{Error, Fate, Observer, ProcessId, Progress, Role, Sent, Signal};
use crate::read::{self, Delivery, PidFd};
use crate::say::event;
use next_signal::{Phase, Standing, next_signal};
use recheck::{Recheck, recheck};

pub(crate) use next_signal::{Clock, KILL_WAIT};
pub(crate) use target::Target;
pub(crate) use whom::{gather, pin_members, sweep, targets};

/// The time between two calls of an observer.
const TICK: Duration = Duration::from_millis(250);

/// Whether targets are signalled, or only looked at.
pub(crate) enum Mode<'o> {
    Look,
    Act(Option<Observer<'o>>),
}

/// What became of the targets.
pub(crate) struct Done {
    pub(crate) targets: Vec<Target>,
    /// Late forks for which there were too few descriptors.
    pub(crate) missed: BTreeSet<(Purpose, ProcessId)>,
    /// An error does not replace the targets: the report always says what was signalled.
    pub(crate) result: Result<(), Error>,
}

/// Ends the targets, or leaves them untouched in a dry run. Each of them is tried, whatever happens to another.
pub(crate) fn all(mut targets: Vec<Target>, asked: &Asked<'_>, clock: &mut Option<Clock>, mode: &mut Mode<'_>) -> Done {
    let observer = match mode {
        Mode::Look => {
            targets.iter_mut().for_each(|target| target.ending.fate = Fate::Untouched);
            return Done { targets, missed: BTreeSet::new(), result: Ok(()) };
        }
        Mode::Act(observer) => observer.as_deref_mut(),
    };
    // All or nothing, until the first signal. If one holder has changed since its judgement, or has let go of the port,
    // no target of a port is signalled. The next round looks at all of them again.
    if !targets.iter_mut().filter(|target| target.role == Role::Holder).all(|holder| is_same(holder, asked)) {
        targets.retain(|target| target.purpose == Purpose::Sweep);
    }
    if targets.is_empty() {
        return Done { targets, missed: BTreeSet::new(), result: Ok(()) };
    }
    let clock = *clock.get_or_insert_with(|| Clock::new(asked.policy));
    let mut round =
        Round { targets, missed: BTreeSet::new(), asked, clock, observer: observer.map(|o| o as _), error: None };
    let ended = round.run().and_then(|()| round.look_once_more());
    for target in round.targets.iter_mut().filter(|target| target.is_open()) {
        target.ending.fate = Fate::Survived(target.pinned.state());
    }
    let Round { targets, missed, error, .. } = round;
    Done { targets, missed, result: error.map_or(ended, Err) }
}

fn is_same(holder: &mut Target, asked: &Asked<'_>) -> bool {
    let held = || holder.pinned.held(&holder.judged.process.inodes);
    let same =
        recheck(&holder.pinned, &holder.judged, asked) == Recheck::Same && held().is_ok_and(|held| !held.is_empty());
    holder.rechecked = same;
    same
}

struct Round<'a, 'o> {
    targets: Vec<Target>,
    missed: BTreeSet<(Purpose, ProcessId)>,
    asked: &'a Asked<'a>,
    clock: Clock,
    observer: Option<Observer<'o>>,
    /// The first error. The other targets are tried all the same.
    error: Option<Error>,
}

impl Round<'_, '_> {
    /// An error means that it cannot wait, so it signals nobody any more.
    fn run(&mut self) -> Result<(), Error> {
        let mut phase = Phase::Asking;
        loop {
            let signalled = self.signal(phase);
            let in_grace = Instant::now() < self.clock.grace;
            if phase == Phase::Asking && !in_grace {
                if !self.asked.policy.kill {
                    return Ok(());
                }
                // Before SIGKILL: afterwards the forks have lost their parents.
                self.add_late_forks();
                phase = Phase::Killing;
                continue;
            }
            // A target may fork faster than it ends, so look for its forks after each SIGKILL.
            let forks = phase == Phase::Killing && signalled || !self.is_any_open();
            if Instant::now() < self.clock.end && forks && self.add_late_forks() {
                continue;
            }
            if !self.is_any_open() || Instant::now() >= self.clock.end {
                return Ok(());
            }
            self.wait(self.next_time(phase))?;
        }
    }

    /// Reads every target again that is due, and signals it. `true`: there was one.
    fn signal(&mut self, phase: Phase) -> bool {
        let above: BTreeMap<ProcessId, ProcessId> =
            self.targets.iter().filter_map(|target| Some((target.id(), target.above?))).collect();
        let open: BTreeSet<ProcessId> = self.targets.iter().filter(|target| target.is_open()).map(Target::id).collect();
        // Bounded: a pid that was reused while the tree was read could close a circle.
        let line = |of: &Target| successors(of.above, |id| above.get(id).copied()).take(above.len());
        let past_half = Instant::now() >= self.clock.half;
        let mut signalled = false;
        for target in &mut self.targets {
            let standing = Standing {
                ended: !target.is_open(),
                asked: !target.ending.signals.is_empty(),
                killed: target.was_sent(Signal::KILL),
                somebody_above: line(target).any(|id| open.contains(&id)),
            };
            let rechecked = std::mem::take(&mut target.rechecked);
            let Some(signal) = next_signal(phase, standing, past_half, self.asked.policy) else { continue };
            let now = match rechecked {
                true => Recheck::Same,
                false => recheck(&target.pinned, &target.judged, self.asked),
            };
            match now {
                Recheck::Same => {
                    signalled = true;
                    if let Err(error) = send(target, signal, &self.clock) {
                        self.error.get_or_insert(error);
                    }
                }
                Recheck::Ending => {}
                Recheck::Gone => target.has_ended(&self.clock),
                Recheck::Changed => target.ending.fate = Fate::Changed,
                Recheck::Unread => target.ending.fate = Fate::Unread,
            }
        }
        signalled
    }

    /// When the next target is due, or the time is over.
    fn next_time(&self, phase: Phase) -> Instant {
        let unasked = |target: &Target| target.is_open() && target.ending.signals.is_empty();
        match phase {
            Phase::Killing => self.clock.end,
            Phase::Asking if Instant::now() < self.clock.half && self.targets.iter().any(unasked) => self.clock.half,
            Phase::Asking => self.clock.grace,
        }
    }

    fn is_any_open(&self) -> bool {
        self.targets.iter().any(Target::is_open)
    }

    /// `true`: there were some.
    fn add_late_forks(&mut self) -> bool {
        if !self.asked.policy.ends.tree {
            return false;
        }
        match late::forks(&self.targets, self.asked, self.clock.end) {
            Ok(forks) => {
                let any = !forks.targets.is_empty();
                self.targets.extend(forks.targets);
                self.missed.extend(forks.missed);
                any
            }
            Err(error) => {
                self.error.get_or_insert(error);
                false
            }
        }
    }

    /// The last search for late forks may have lasted past the deadline. A target that ended meanwhile has not
    /// survived.
    fn look_once_more(&mut self) -> Result<(), Error> {
        if self.is_any_open() { self.wait(Instant::now()) } else { Ok(()) }
    }

    /// Waits until one of the targets has ended, or the time is over.
    fn wait(&mut self, until: Instant) -> Result<(), Error> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let turn = if self.observer.is_some() { left.min(TICK) } else { left };
            self.show_progress();
            let open = self.targets.iter().filter(|target| target.is_open());
            let pidfds: Vec<(ProcessId, &PidFd)> = open.map(|target| (target.id(), target.pinned.pidfd())).collect();
            let ended = read::wait(&pidfds, turn)?;
            for target in self.targets.iter_mut().filter(|target| ended.contains(&target.id())) {
                target.has_ended(&self.clock);
            }
            if !ended.is_empty() || left.is_zero() {
                return Ok(());
            }
        }
    }

    fn show_progress(&mut self) {
        let Some(observe) = &mut self.observer else { return };
        let pids = self.targets.iter().filter(|target| target.is_open()).map(|target| target.id().pid).collect();
        let (now, Clock { start, grace, end, .. }) = (Instant::now(), self.clock);
        let asks = now < grace;
        let then = (asks && self.asked.policy.kill).then_some(Signal::KILL);
        let left = if asks { grace } else { end }.saturating_duration_since(now);
        observe(&Progress { pids, elapsed: start.elapsed(), left, then });
    }
}

fn send(target: &mut Target, signal: Signal, clock: &Clock) -> Result<(), Error> {
    match target.pinned.pidfd().send(signal)? {
        Delivery::Delivered => {
            target.ending.signals.push(Sent { signal, after: clock.start.elapsed() });
            event::signal(target.id().pid, signal);
            // Continue it after the signal. A process that is continued first may stop again before it is asked.
            if signal != Signal::KILL {
                target.pinned.pidfd().resume()?;
            }
        }
        Delivery::Gone => target.has_ended(clock),
        Delivery::NotPermitted => target.ending.fate = Fate::NotPermitted,
    }
    Ok(())
}
