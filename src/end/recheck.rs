//! Read a target again before its signal: it may have executed another program since it was judged.

use crate::judge::{Asked, Judged};
use crate::model::{Identity, Judgement, Liveness, Process, Seen, Verdict, Why, WhyNot};
use crate::read::{self, Pinned};

/// The result of reading a target again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recheck {
    /// It is still the process that was judged.
    Same,
    Changed,
    /// It is in the middle of its exit.
    Ending,
    Gone,
    Unread,
}

/// Reads the same process by its pidfd. `was_signalled`: this call has asked it to end.
pub(crate) fn recheck(pinned: &Pinned, before: &Judged, was_signalled: bool, asked: &Asked<'_>) -> Recheck {
    let mut facts = match read::facts(pinned, &asked.policy.service) {
        Ok(Some(facts)) if facts.exe == Seen::Gone => return Recheck::Ending,
        Ok(Some(facts)) => facts,
        Ok(None) => return Recheck::Gone,
        Err(_) => return Recheck::Unread,
    };
    let old = &before.process.facts;
    // Somebody moved it to outlive its instance.
    if facts.cgroup != old.cgroup || facts.nested != old.nested {
        return Recheck::Changed;
    }
    let same_mark = facts.mark == old.mark;
    // A mark that is not unique cannot rule out an exec.
    let executed = !same_mark || !facts.mark.is_unique();
    // On its way out a service removes its lock and its pid file. Before the first signal they must be there.
    if was_signalled && !executed {
        facts.lock = facts.lock.or_else(|| old.lock.clone());
        facts.pid_file = facts.pid_file.or_else(|| old.pid_file.clone());
    }
    let now = asked.judgement_of_holder(&Process { facts, ..Process::clone(&before.process) });
    match before.judgement.verdict {
        Verdict::Stale(Why::Tree) if now.identity == Identity::Unknown => Recheck::Unread,
        Verdict::Stale(Why::Tree) if is_still_of_the_tree(&before.judgement, &now, executed) => Recheck::Same,
        Verdict::Stale(Why::Tree) => Recheck::Changed,
        // A server may execute itself again and keep its listener. It is then its own successor, with another mark.
        _ if now.verdict.is_stale() && same_mark => Recheck::Same,
        _ if now.verdict == Verdict::Spared(WhyNot::Unknown) => Recheck::Unread,
        _ => Recheck::Changed,
    }
}

/// Offspring may execute anything, and stays offspring. An instance that executed something since may be the successor.
/// The program that a late fork has executed was never judged.
fn is_still_of_the_tree(before: &Judgement, now: &Judgement, executed: bool) -> bool {
    let same = !executed || !before.identity.is_instance() && !now.identity.is_instance();
    same && !matches!(now.liveness, Liveness::Protected(_))
}
