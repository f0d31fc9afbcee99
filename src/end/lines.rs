//! The lines of targets above each target: who is asked before whom.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use super::next_signal::Standing;
use super::target::Target;
use crate::model::{ProcessId, Signal};

/// The targets as they stand before a pass.
pub(super) struct Lines {
    above: BTreeMap<ProcessId, ProcessId>,
    open: BTreeSet<ProcessId>,
    living_on: BTreeSet<ProcessId>,
}

impl Lines {
    pub(super) fn of(targets: &[Target]) -> Self {
        let those = |is: fn(&Target) -> bool| targets.iter().filter(|target| is(target)).map(Target::id).collect();
        let above = targets.iter().filter_map(|target| Some((target.id(), target.above?))).collect();
        Self { above, open: those(Target::is_open), living_on: those(Target::lives_on) }
    }

    pub(super) fn standing(&self, target: &Target) -> Standing {
        // Bounded, for a pid that was reused while the tree was read could close a circle.
        let line = || successors(target.above, |id| self.above.get(id).copied()).take(self.above.len());
        Standing {
            ended: !target.is_open(),
            asked: target.was_asked(),
            killed: target.was_sent(Signal::KILL),
            somebody_above: line().any(|id| self.open.contains(&id)),
            spared_above: line().any(|id| self.living_on.contains(&id)),
        }
    }
}
