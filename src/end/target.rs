//! A process that is to be ended, held by its pidfd.

use std::rc::Rc;

use super::next_signal::Clock;
use super::recheck::{Recheck, recheck};
use crate::judge::instance::Member;
use crate::judge::plan::Purpose;
use crate::judge::{Asked, Judged};
use crate::model::{Ending, Fate, ProcessId, Role, Signal, Verdict, Why};
use crate::read::Pinned;

/// A process that is to be ended.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) judged: Judged,
    pub(crate) role: Role,
    pub(crate) purpose: Purpose,
    /// The target that is asked before it.
    pub(crate) above: Option<ProcessId>,
    pub(crate) ending: Ending,
    pub(super) pinned: Rc<Pinned>,
    /// It was read again a moment ago, with all other holders.
    pub(super) rechecked: bool,
}

impl Target {
    pub(super) fn new(pinned: Rc<Pinned>, purpose: Purpose, role: Role, judged: Judged) -> Self {
        let ending = Ending::new(Fate::Survived('?'));
        Self { judged, role, purpose, above: None, ending, pinned, rechecked: false }
    }

    pub(super) fn of_member(pinned: Rc<Pinned>, purpose: Purpose, member: Member) -> Self {
        Self { above: member.below, ..Self::new(pinned, purpose, member.role, member.judged) }
    }

    pub(crate) fn id(&self) -> ProcessId {
        self.judged.id()
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.ending.fate, Fate::Survived(_))
    }

    pub(super) fn was_asked(&self) -> bool {
        !self.ending.signals.is_empty()
    }

    /// It is asked later, unless it ends before or is spared.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_open() && !self.was_asked()
    }

    /// It executed another program, or moved, since it was judged.
    pub(crate) fn has_changed(&self) -> bool {
        self.ending.fate == Fate::Changed
    }

    /// It was spared, or could not be signalled: the processes that it started are its own.
    pub(super) const fn lives_on(&self) -> bool {
        matches!(self.ending.fate, Fate::Changed | Fate::Unread | Fate::NotPermitted)
    }

    /// It is ended for nothing but that an ended process started it.
    pub(super) fn is_of_the_tree(&self) -> bool {
        self.judged.judgement.verdict == Verdict::Stale(Why::Tree)
    }

    pub(super) fn recheck(&self, asked: &Asked<'_>) -> Recheck {
        recheck(&self.pinned, &self.judged, self.was_asked(), asked)
    }

    /// Takes in what it was found to be now.
    pub(super) fn learn(&mut self, now: Recheck, clock: &Clock) {
        match now {
            Recheck::Same | Recheck::Ending => {}
            Recheck::Gone => self.has_ended(clock),
            Recheck::Changed => self.ending.fate = Fate::Changed,
            Recheck::Unread => self.ending.fate = Fate::Unread,
        }
    }

    pub(super) fn was_sent(&self, signal: Signal) -> bool {
        self.ending.signals.iter().any(|sent| sent.signal == signal)
    }

    pub(super) fn has_ended(&mut self, clock: &Clock) {
        let after = clock.start.elapsed();
        self.ending.fate = if self.was_asked() { Fate::Ended(after) } else { Fate::EndedByItself(after) };
    }
}
