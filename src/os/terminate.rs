//! End processes: ask, wait, make sure. Through their pidfds alone, all side by side, with one deadline.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::event;
use crate::os::pidfd::{self, PidFd, Sent};
use crate::os::process::Pinned;
use crate::policy::{Policy, Signal};
use crate::report::{Ending, Fate, Progress};

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
    start: Instant,
    grace: Instant,
    end: Instant,
}

impl Deadline {
    pub(crate) fn new(grace: Duration) -> Self {
        let start = Instant::now();
        // A century is as good as for ever, and no clock overflows on it.
        let grace = start + grace.min(Duration::from_secs(100 * 365 * 86_400));
        Self { start, grace, end: grace + KILL_WAIT }
    }
}

pub(crate) type Observer<'a> = Option<&'a mut dyn FnMut(&Progress)>;

struct Target<'a> {
    pid: u32,
    pinned: &'a Pinned,
    ending: Ending,
}

/// Ends the targets, which were all rechecked a moment ago. Every one of them is tried, whatever happens to
/// another; an error is given beside what is known by then. Before SIGKILL, at the end of the grace, each is
/// rechecked again.
pub(crate) fn terminate(
    targets: &[(u32, &Pinned)],
    policy: &Policy,
    deadline: Deadline,
    recheck: &dyn Fn(u32, &Pinned) -> Recheck,
    mut observer: Observer<'_>,
) -> (Vec<Ending>, Option<Error>) {
    let mut targets: Vec<Target<'_>> = targets
        .iter()
        .map(|(pid, pinned)| Target { pid: *pid, pinned, ending: Ending::new(Fate::Survived('?')) })
        .collect();
    let mut error = None;
    for target in &mut targets {
        keep(&mut error, send(target, policy.signal, deadline.start));
    }
    let then = policy.kill.then_some(Signal::KILL);
    keep(&mut error, wait(&mut targets, deadline.start, deadline.grace, then, &mut observer));
    if policy.kill {
        for target in targets.iter_mut().filter(|target| is_open(target)) {
            match recheck(target.pid, target.pinned) {
                Recheck::Stale => keep(&mut error, send(target, Signal::KILL, deadline.start)),
                Recheck::Ending => {}
                Recheck::Gone => end(target, deadline.start),
                Recheck::Changed => target.ending.fate = Fate::Changed,
                Recheck::Unread => target.ending.fate = Fate::Unread,
            }
        }
        keep(&mut error, wait(&mut targets, deadline.start, deadline.end, None, &mut observer));
    }
    for target in targets.iter_mut().filter(|target| is_open(target)) {
        target.ending.fate = Fate::Survived(target.pinned.state());
    }
    (targets.into_iter().map(|target| target.ending).collect(), error)
}

fn is_open(target: &Target<'_>) -> bool {
    matches!(target.ending.fate, Fate::Survived(_))
}

fn keep(error: &mut Option<Error>, result: Result<(), Error>) {
    if let Err(new) = result {
        error.get_or_insert(new);
    }
}

fn send(target: &mut Target<'_>, signal: Signal, start: Instant) -> Result<(), Error> {
    match target.pinned.pidfd.send(signal)? {
        Sent::Delivered => {
            target.ending.signals.push((signal, start.elapsed()));
            event::signal(target.pid, signal);
            // After, not before: a process that is continued first may stop again unasked.
            if signal != Signal::KILL {
                target.pinned.pidfd.resume()?;
            }
        }
        Sent::Gone => end(target, start),
        Sent::NotPermitted => target.ending.fate = Fate::NotPermitted,
    }
    Ok(())
}

fn end(target: &mut Target<'_>, start: Instant) {
    let asked = !target.ending.signals.is_empty();
    target.ending.fate = if asked { Fate::Ended } else { Fate::EndedByItself };
    target.ending.ended_after = Some(start.elapsed());
}

/// Waits until every target has ended or the time is over.
fn wait(
    targets: &mut [Target<'_>],
    start: Instant,
    until: Instant,
    then: Option<Signal>,
    observer: &mut Observer<'_>,
) -> Result<(), Error> {
    loop {
        let open: Vec<usize> =
            (0..targets.len()).filter(|at| targets.get(*at).is_some_and(is_open)).collect();
        let left = until.saturating_duration_since(Instant::now());
        if open.is_empty() || left.is_zero() {
            return Ok(());
        }
        let pidfds: Vec<&PidFd> =
            open.iter().filter_map(|at| targets.get(*at)).map(|target| &target.pinned.pidfd).collect();
        let turn = match observer {
            Some(observe) => {
                let pids = open.iter().filter_map(|at| targets.get(*at)).map(|target| target.pid).collect();
                observe(&Progress { pids, elapsed: start.elapsed(), left, then });
                left.min(TICK)
            }
            None => left,
        };
        let ended = pidfd::wait(&pidfds, turn)?;
        for at in ended.into_iter().filter_map(|at| open.get(at)) {
            if let Some(target) = targets.get_mut(*at) {
                end(target, start);
            }
        }
    }
}
