//! Whose is it now? Pure.

use crate::facts::{Facts, Holder, ProcessId, Seen};
use crate::parse;

/// Whether somebody looks after a process now, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Never to be ended, whatever it is.
    Protected(Protection),
    /// Its supervisor runs it now.
    Live(Supervisor),
    /// What is left of an ended run of a unit.
    Leftover,
    /// Nobody looks after it.
    Unsupervised,
    /// What would tell may not be read.
    Unknown,
}

/// Why a process is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// The caller itself.
    Caller,
    /// An ancestor of the caller.
    Ancestor,
    /// Started by the caller, directly or not.
    Descendant,
    /// PID 1 of the caller's pid namespace.
    Init,
    /// Part of the same instance as this ancestor of the caller.
    SameInstance(u32),
    /// Named by the policy, or below a process that is.
    Named(u32),
    /// The caller's ancestry could not be read to its end, so anything may be an ancestor.
    CallersAncestryUnreadable,
    /// The process's ancestry could not be read to its end, so it may descend from what is protected.
    AncestryUnreadable,
}

/// Who runs a live process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supervisor {
    /// A container: the process lives in a pid namespace of its own. The name is what its cgroup says.
    Container(Option<String>),
}

/// Who asks. The caller is never ended, nor what it descends from, nor what it started.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) id: ProcessId,
    pub(crate) uid: u32,
    pub(crate) ancestors: Vec<u32>,
    pub(crate) ancestry_complete: bool,
}

impl Caller {
    /// An instance that did not start before the caller is newer than it, not stale. Ticks are too coarse to
    /// order two starts within one: a tie is not older.
    pub(crate) fn is_newer(&self, facts: &Facts) -> bool {
        facts.id.start_ticks >= self.id.start_ticks
    }
}

pub(crate) fn liveness(holder: &Holder, caller: &Caller, protect: &[u32]) -> Liveness {
    let facts = &holder.facts;
    if let Some(protection) = protection(holder, caller, protect) {
        return Liveness::Protected(protection);
    }
    match facts.nested {
        Seen::Value(true) => {
            let name = facts.cgroup.value().and_then(|path| parse::container(path));
            Liveness::Live(Supervisor::Container(name.map(|name| name.to_string_lossy().into_owned())))
        }
        Seen::Value(false) => Liveness::Unsupervised,
        Seen::Denied | Seen::Gone => Liveness::Unknown,
    }
}

fn protection(holder: &Holder, caller: &Caller, protect: &[u32]) -> Option<Protection> {
    let pid = holder.facts.id.pid;
    let line = || std::iter::once(pid).chain(holder.ancestry.line.iter().map(|ancestor| ancestor.id.pid));
    if pid == caller.id.pid {
        return Some(Protection::Caller);
    }
    if pid == 1 {
        return Some(Protection::Init);
    }
    if caller.ancestors.contains(&pid) {
        return Some(Protection::Ancestor);
    }
    if let Some(named) = line().find(|pid| protect.contains(pid)) {
        return Some(Protection::Named(named));
    }
    if line().any(|pid| pid == caller.id.pid) {
        return Some(Protection::Descendant);
    }
    if !caller.ancestry_complete {
        return Some(Protection::CallersAncestryUnreadable);
    }
    // What started before the caller cannot descend from it. It may descend from what the policy names.
    let may_descend = caller.is_newer(&holder.facts) || !protect.is_empty();
    (!holder.ancestry.complete && may_descend).then_some(Protection::AncestryUnreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ancestors, facts, holder};
    use std::path::PathBuf;

    fn caller() -> Caller {
        Caller {
            id: ProcessId { pid: 500, start_ticks: 5_000 },
            uid: 1000,
            ancestors: vec![400, 300, 1],
            ancestry_complete: true,
        }
    }

    #[test]
    fn who_is_protected() {
        let old = 4_000;
        let new = 6_000;
        // pid, start, its ancestors, ancestry complete, caller's complete, --protect → protection
        type Row = (u32, u64, &'static [u32], bool, bool, &'static [u32], Option<Protection>);
        let table: [Row; 14] = [
            (500, 5_000, &[400, 300, 1], true, true, &[], Some(Protection::Caller)),
            (400, old, &[300, 1], true, true, &[], Some(Protection::Ancestor)),
            (300, old, &[1], true, true, &[], Some(Protection::Ancestor)),
            (1, 0, &[], true, true, &[], Some(Protection::Init)),
            (600, new, &[500, 400, 300, 1], true, true, &[], Some(Protection::Descendant)),
            (601, new, &[600, 500, 400], false, true, &[], Some(Protection::Descendant)),
            (700, old, &[1], true, true, &[700], Some(Protection::Named(700))),
            (701, old, &[700, 1], true, true, &[700], Some(Protection::Named(700))),
            (701, old, &[], false, true, &[700], Some(Protection::AncestryUnreadable)),
            (702, new, &[], false, true, &[], Some(Protection::AncestryUnreadable)),
            (703, old, &[], false, true, &[], None),
            (704, old, &[1], true, false, &[], Some(Protection::CallersAncestryUnreadable)),
            (705, old, &[300, 1], true, true, &[], None),
            (706, old, &[1], true, true, &[700], None),
        ];
        for (pid, start, line, complete, callers, protect, expected) in table {
            let holder = holder(facts(pid, start), ancestors(line, complete));
            let caller = Caller { ancestry_complete: callers, ..caller() };
            assert_eq!(protection(&holder, &caller, protect), expected, "pid {pid} below {line:?}");
        }
    }

    #[test]
    fn another_pid_namespace_is_live_and_the_rest_unsupervised() {
        let mut subject = holder(facts(700, 4_000), ancestors(&[1], true));
        assert_eq!(liveness(&subject, &caller(), &[]), Liveness::Unsupervised);
        subject.facts.nested = Seen::Denied;
        assert_eq!(liveness(&subject, &caller(), &[]), Liveness::Unknown);
        subject.facts.nested = Seen::Value(true);
        subject.facts.cgroup = Seen::Value(PathBuf::from("/system.slice/docker-0a1b.scope"));
        let docker = Supervisor::Container(Some("docker-0a1b.scope".to_owned()));
        assert_eq!(liveness(&subject, &caller(), &[]), Liveness::Live(docker));
        subject.facts.cgroup = Seen::Denied;
        assert_eq!(liveness(&subject, &caller(), &[]), Liveness::Live(Supervisor::Container(None)));
    }

    #[test]
    fn a_tie_in_ticks_is_not_older() {
        for (start, newer) in [(4_999, false), (5_000, true), (5_001, true)] {
            assert_eq!(caller().is_newer(&facts(7, start)), newer);
        }
    }
}
