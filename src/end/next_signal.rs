//! Choose the next signal for a target.

use std::time::{Duration, Instant};

use crate::model::{CENTURY, Policy, Signal};

/// How long a process may take to end after SIGKILL: it may free much memory, or finish a slow write.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(2);

/// The times of one call, set at its first signal. One deadline for all targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) start: Instant,
    pub(crate) half: Instant,
    pub(crate) grace: Instant,
    pub(crate) end: Instant,
}

impl Clock {
    pub(crate) fn new(policy: &Policy) -> Self {
        let start = Instant::now();
        let grace = policy.grace.min(CENTURY);
        let end = start + grace + if policy.kill { KILL_WAIT } else { Duration::ZERO };
        Self { start, half: start + grace / 2, grace: start + grace, end }
    }
}

/// Who may be signalled now, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The targets have their grace. The topmost process of each instance is asked first: a launcher may end its
    /// workers itself. Each other process is asked when all above it are gone, or at half the grace. So a server that
    /// takes a second signal for "at once" gets one signal.
    Asking,
    /// The grace is over.
    Killing,
}

/// The signals that a target was sent, and whether it has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) ended: bool,
    pub(crate) asked: bool,
    pub(crate) killed: bool,
    /// A target above it has not ended.
    pub(crate) somebody_above: bool,
    /// A target above it is spared, and lives on.
    pub(crate) spared_above: bool,
}

impl Standing {
    /// Nobody has signalled it, and the process that started it lives on.
    pub(crate) const fn is_spared(&self) -> bool {
        self.spared_above && !self.ended && !self.asked && !self.killed
    }
}

/// `past_half`: half of the grace is over.
pub(crate) const fn next_signal(phase: Phase, target: Standing, past_half: bool, policy: &Policy) -> Option<Signal> {
    match phase {
        _ if target.ended => None,
        Phase::Asking if target.asked || target.somebody_above && !past_half => None,
        Phase::Asking => Some(policy.signal),
        Phase::Killing if target.killed || !policy.kill => None,
        Phase::Killing => Some(Signal::KILL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Service;

    #[test]
    fn each_is_asked_once_from_the_top_and_killed_once() {
        use Phase::{Asking, Killing};
        let policy = Policy::new(Service::new("gw")).signal(Signal::INT);
        let (ask, kill) = (Some(Signal::INT), Some(Signal::KILL));
        // phase, what is true of the target (ended, asked, killed, below another), half the grace is over → signal
        let table = [
            (Asking, "", false, ask),
            (Asking, "asked", false, None),
            (Asking, "asked", true, None),
            (Asking, "below", false, None),
            (Asking, "below", true, ask),
            (Asking, "below asked", true, None),
            (Asking, "ended", true, None),
            (Killing, "", true, kill),
            (Killing, "asked", true, kill),
            (Killing, "asked below", true, kill),
            (Killing, "asked killed", true, None),
            (Killing, "asked ended", true, None),
        ];
        for (phase, words, past_half, expected) in table {
            let is = |word| words.split(' ').any(|one| one == word);
            let target = Standing {
                ended: is("ended"),
                asked: is("asked"),
                killed: is("killed"),
                somebody_above: is("below"),
                spared_above: false,
            };
            assert_eq!(next_signal(phase, target, past_half, &policy), expected, "{phase:?} {words}");
            let gentle = next_signal(phase, target, past_half, &policy.clone().no_kill());
            assert_eq!(gentle, expected.filter(|_| phase == Asking), "{phase:?} {words}, no kill");
        }
    }
}
