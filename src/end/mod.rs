//! End processes: ask, wait, kill. All are signalled through their pidfds, side by side, with one deadline.

mod late;
mod lines;
mod mode;
mod next_signal;
mod recheck;
mod target;
mod whom;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::judge::Asked;
use crate::judge::plan::Purpose;
use crate::model::{Error, Fate, Observer, ProcessId, Progress, Role, Sent, Signal};
use crate::read::{self, Delivery, PidFd};
use crate::say::event;
use lines::Lines;
use next_signal::{Phase, next_signal};
use recheck::Recheck;

pub(crate) use mode::Mode;
pub(crate) use next_signal::{Clock, KILL_WAIT};
pub(crate) use target::Target;
pub(crate) use whom::{gather, pin_members, sweep, targets};

/// The time between two calls of an observer. A person who stops the wait does not notice it.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// What became of the targets.
pub(crate) struct Done {
    pub(crate) targets: Vec<Target>,
    /// Late forks for which there were too few descriptors.
    pub(crate) missed: BTreeSet<(Purpose, ProcessId)>,
    /// The observer stopped the wait: nobody is signalled any more.
    pub(crate) stopped: bool,
    /// An error does not replace the targets: the report always says what was signalled.
    pub(crate) result: Result<(), Error>,
}

/// Ends the targets, or leaves them untouched in a dry run. Each of them is tried, whatever happens to another.
pub(crate) fn all(mut targets: Vec<Target>, asked: &Asked<'_>, clock: &mut Option<Clock>, mode: &mut Mode<'_>) -> Done {
    if !mode.acts() {
        targets.iter_mut().for_each(|target| target.ending.fate = Fate::Untouched);
        return Done { targets, missed: BTreeSet::new(), stopped: false, result: Ok(()) };
    }
    // All or nothing, until the first signal. If one holder has changed since its judgement, or has let go of the port,
    // no target of a port is signalled. The next round looks at all of them again.
    if !targets.iter_mut().filter(|target| target.role == Role::Holder).all(|holder| is_same(holder, asked)) {
        targets.retain(|target| target.purpose == Purpose::Sweep);
    }
    if targets.is_empty() {
        return Done { targets, missed: BTreeSet::new(), stopped: false, result: Ok(()) };
    }
    let clock = *clock.get_or_insert_with(|| Clock::new(asked.policy));
    let observer = mode.observer();
    let mut round = Round { targets, missed: BTreeSet::new(), asked, clock, observer, stopped: false, error: None };
    let ended = round.run().and_then(|()| round.look_once_more());
    round.tell(|_| false);
    for target in round.targets.iter_mut().filter(|target| target.is_open()) {
        target.ending.fate = Fate::Survived(target.pinned.state());
    }
    let Round { targets, missed, stopped, error, .. } = round;
    Done { targets, missed, stopped, result: error.map_or(ended, Err) }
}

fn is_same(holder: &mut Target, asked: &Asked<'_>) -> bool {
    let held = || holder.pinned.held(&holder.judged.process.inodes);
    let same = holder.recheck(asked) == Recheck::Same && held().is_ok_and(|held| !held.is_empty());
    holder.rechecked = same;
    same
}

struct Round<'a, 'o> {
    targets: Vec<Target>,
    missed: BTreeSet<(Purpose, ProcessId)>,
    asked: &'a Asked<'a>,
    clock: Clock,
    observer: Option<Observer<'o>>,
    /// The observer stopped it.
    stopped: bool,
    /// The first error. The other targets are tried all the same.
    error: Option<Error>,
}

/// What one pass over the targets did.
#[derive(Default)]
struct Pass {
    signalled: bool,
    /// A target is gone, or is spared from now on.
    has_closed: bool,
    /// A target is asked at half the grace, unless the targets above it end before.
    waits_for_half: bool,
}

impl Round<'_, '_> {
    /// An error means that it cannot wait, so it signals nobody any more.
    fn run(&mut self) -> Result<(), Error> {
        let mut phase = Phase::Asking;
        loop {
            let pass = self.signal(phase);
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
            let forks = phase == Phase::Killing && pass.signalled || !self.is_any_open();
            if Instant::now() < self.clock.end && forks && self.add_late_forks() {
                continue;
            }
            if !self.is_any_open() || Instant::now() >= self.clock.end {
                return Ok(());
            }
            self.wait(match phase {
                Phase::Killing => self.clock.end,
                Phase::Asking if pass.waits_for_half => self.clock.half,
                Phase::Asking => self.clock.grace,
            })?;
            if self.stopped {
                return Ok(());
            }
        }
    }

    /// Reads every target again that is due, and signals it. A target that has ended, or is spared from now on, makes
    /// others due at once.
    fn signal(&mut self, phase: Phase) -> Pass {
        let mut pass = self.signal_once(phase);
        while pass.has_closed {
            let signalled = pass.signalled;
            pass = self.signal_once(phase);
            pass.signalled |= signalled;
        }
        pass
    }

    fn signal_once(&mut self, phase: Phase) -> Pass {
        let past_half = Instant::now() >= self.clock.half;
        let mut pass = Pass::default();
        // Before the others are asked: a server that executed itself anew keeps its children.
        if phase == Phase::Asking && past_half && self.targets.iter().any(Target::is_waiting) {
            self.find_changed(Target::was_asked);
        }
        let lines = Lines::of(&self.targets);
        for target in &mut self.targets {
            let standing = lines.standing(target);
            let rechecked = std::mem::take(&mut target.rechecked);
            if standing.is_spared() && target.is_of_the_tree() {
                target.ending.fate = Fate::Untouched;
                pass.has_closed = true;
                continue;
            }
            let Some(signal) = next_signal(phase, standing, past_half, self.asked.policy) else {
                pass.waits_for_half |= !past_half && target.is_waiting();
                continue;
            };
            let now = if rechecked { Recheck::Same } else { target.recheck(self.asked) };
            if now == Recheck::Same {
                pass.signalled = true;
                if let Err(error) = send(target, signal, &self.clock) {
                    self.error.get_or_insert(error);
                }
            } else {
                target.learn(now, &self.clock);
            }
            pass.has_closed |= !target.is_open();
        }
        pass
    }

    fn is_any_open(&self) -> bool {
        self.targets.iter().any(Target::is_open)
    }

    /// Finds out which of these have executed something since they were judged. Their children are their own.
    fn find_changed(&mut self, these: impl Fn(&Target) -> bool) {
        // A process in the middle of its exit cannot be told from one that has executed something.
        let may_change = |target: &&mut Target| target.is_open() && !target.was_sent(Signal::KILL) && these(target);
        for target in self.targets.iter_mut().filter(may_change) {
            let now = target.recheck(self.asked);
            target.learn(now, &self.clock);
        }
    }

    /// `true`: there were some.
    fn add_late_forks(&mut self) -> bool {
        // A late fork came after the question, if a person was asked.
        if !self.asked.policy.ends.tree || self.asked.policy.approved.is_some() {
            return false;
        }
        self.find_changed(|_| true);
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

    /// Waits until one of the targets has ended, or the time is over, or the observer stops it.
    fn wait(&mut self, until: Instant) -> Result<(), Error> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let turn = if self.observer.is_some() { left.min(TICK) } else { left };
            self.tell(Target::is_open);
            // After a stop it still takes in who has ended meanwhile.
            let turn = if self.stopped { Duration::ZERO } else { turn };
            let open = self.targets.iter().filter(|target| target.is_open());
            let pidfds: Vec<(ProcessId, &PidFd)> = open.map(|target| (target.id(), target.pinned.pidfd())).collect();
            let ended = read::wait(&pidfds, turn)?;
            for target in self.targets.iter_mut().filter(|target| ended.contains(&target.id())) {
                target.has_ended(&self.clock);
            }
            if !ended.is_empty() || left.is_zero() || self.stopped {
                return Ok(());
            }
        }
    }

    /// Tells the observer which targets are waited for. None: the wait is over.
    fn tell(&mut self, is_waited_for: fn(&Target) -> bool) {
        let Some(observe) = self.observer.as_mut().filter(|_| !self.stopped) else { return };
        let targets = || self.targets.iter().filter(|target| is_waited_for(target));
        let asked_first = || targets().filter(|one| one.was_asked()).chain(targets().filter(|one| !one.was_asked()));
        let pids = asked_first().map(|target| target.id().pid).collect();
        let name = asked_first().next().map(|target| target.judged.process.facts.name()).unwrap_or_default();
        let (now, policy, Clock { start, grace, end, .. }) = (Instant::now(), self.asked.policy, self.clock);
        let asks = now < grace;
        let sent = if asks || !policy.kill { policy.signal } else { Signal::KILL };
        let then = (asks && policy.kill).then_some(Signal::KILL);
        let (left, until) = (end.saturating_duration_since(now), grace.saturating_duration_since(now));
        let then_in = if then.is_some() { until } else { Duration::ZERO };
        let (watched, elapsed) = (Vec::new(), start.elapsed());
        let progress = Progress { pids, name, watched, elapsed, left, sent, then, then_in };
        self.stopped = observe(&progress).is_break();
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
