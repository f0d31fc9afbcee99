//! Read a target again before its signal: it may have executed another program since it was judged.

use crate::judge::{Asked, Judged};
use crate::model::{Identity, Judgement, Liveness, Process, Seen, Verdict, Why, WhyNot};
use crate::read::{self, Pinned};

/// What the facts of a target say when they are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recheck {
    /// It is what was judged.
    Same,
    Changed,
    /// It is in the middle of its exit.
    Ending,
    Gone,
    Unread,
}

/// Reads the same process by its pidfd.
pub(crate) fn recheck(pinned: &Pinned, before: &Judged, asked: &Asked<'_>) -> Recheck {
    let facts = match read::facts(pinned, &asked.policy.service) {
        Ok(Some(facts)) if facts.exe == Seen::Gone => return Recheck::Ending,
        Ok(Some(facts)) => facts,
        Ok(None) => return Recheck::Gone,
        Err(_) => return Recheck::Unread,
    };
    let old = &before.process.facts;
    // Somebody put it where it outlives.
    if facts.cgroup != old.cgroup || facts.nested != old.nested {
        return Recheck::Changed;
    }
    let same_mark = facts.mark == old.mark;
    // A mark that others have, too, does not tell an exec from none.
    let executed = !same_mark || !facts.mark.is_unique();
    let now = asked.judgement(&Process { facts, ..Process::clone(&before.process) });
    match before.judgement.verdict {
        Verdict::Stale(Why::Tree) if now.identity == Identity::Unknown => Recheck::Unread,
        Verdict::Stale(Why::Tree) if is_still_of_the_tree(&before.judgement, &now, executed) => Recheck::Same,
        Verdict::Stale(Why::Tree) => Recheck::Changed,
        // A server that executes itself anew to serve on, with the listener it has, is its own successor.
        _ if now.verdict.is_stale() && same_mark => Recheck::Same,
        _ if now.verdict == Verdict::Spared(WhyNot::Unknown) => Recheck::Unread,
        _ => Recheck::Changed,
    }
}

/// Offspring may execute what it likes, and is offspring still. An instance that was executed since may be the
/// successor, and a program that a late fork has executed was never judged.
fn is_still_of_the_tree(before: &Judgement, now: &Judgement, executed: bool) -> bool {
    let same = !executed || !before.identity.is_instance() && !now.identity.is_instance();
    same && !matches!(now.liveness, Liveness::Protected(_))
}
