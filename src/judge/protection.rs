//! Find the processes that must never be ended. Pure.

use crate::model::{Caller, Process, Protection};

/// Why the process is protected. `protect`: the pids that the policy names.
pub(crate) fn protection(process: &Process, caller: &Caller, protect: &[u32]) -> Option<Protection> {
    let pid = process.facts.id.pid;
    let line = || std::iter::once(pid).chain(process.ancestry.parents().map(|ancestor| ancestor.id.pid));
    if pid == caller.id.pid {
        return Some(Protection::Caller);
    }
    if pid == 1 || process.facts.cgroup.value().is_some_and(|cgroup| cgroup.is_of_a_user_manager()) {
        return Some(Protection::Init);
    }
    if caller.ancestors.contains(&pid) {
        return Some(Protection::Ancestor);
    }
    if let Some(named) = line().find(|pid| protect.contains(pid)) {
        return Some(Protection::Named(named));
    }
    if let Some(service) = line().find(|pid| caller.service_pid == Some(*pid)) {
        return Some(Protection::Inherited(service));
    }
    if line().any(|pid| pid == caller.id.pid) {
        return Some(Protection::Descendant);
    }
    if !caller.ancestry_complete {
        return Some(Protection::CallersAncestryUnreadable);
    }
    // A process older than the caller's instance cannot descend from it. A protected pid may be older still.
    let named = !protect.is_empty() || caller.service_pid.is_some();
    let may_descend = caller.is_newer(&process.facts) || named;
    (!process.ancestry.complete && may_descend).then_some(Protection::AncestryUnreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cgroup, Seen};
    use crate::testing::{ancestors, caller, facts, process};

    #[test]
    fn who_is_protected() {
        let old = 4_000;
        let new = 6_000;
        // pid, start, its ancestors, ancestry complete, caller's complete, --protect → protection
        type Row = (u32, u64, &'static [u32], bool, bool, &'static [u32], Option<Protection>);
        let table: [Row; 17] = [
            (500, 5_000, &[400, 300, 1], true, true, &[], Some(Protection::Caller)),
            (400, old, &[300, 1], true, true, &[], Some(Protection::Ancestor)),
            (300, old, &[1], true, true, &[], Some(Protection::Ancestor)),
            (1, 0, &[], true, true, &[], Some(Protection::Init)),
            (600, new, &[500, 400, 300, 1], true, true, &[], Some(Protection::Descendant)),
            (601, new, &[600, 500, 400], false, true, &[], Some(Protection::Descendant)),
            (700, old, &[1], true, true, &[700], Some(Protection::Named(700))),
            (701, old, &[700, 1], true, true, &[700], Some(Protection::Named(700))),
            (701, old, &[], false, true, &[700], Some(Protection::AncestryUnreadable)),
            (800, old, &[1], true, true, &[], Some(Protection::Inherited(800))),
            (801, new, &[800, 1], true, true, &[], Some(Protection::Inherited(800))),
            (702, new, &[], false, true, &[], Some(Protection::AncestryUnreadable)),
            (703, old, &[], false, true, &[], Some(Protection::AncestryUnreadable)),
            (707, old, &[300, 1], true, true, &[], None),
            (704, old, &[1], true, false, &[], Some(Protection::CallersAncestryUnreadable)),
            (705, old, &[300, 1], true, true, &[], None),
            (706, old, &[1], true, true, &[700], None),
        ];
        for (pid, start, line, complete, callers, protect, expected) in table {
            let holder = process(facts(pid, start), ancestors(line, complete));
            let caller = Caller { ancestry_complete: callers, ..caller() };
            assert_eq!(protection(&holder, &caller, protect), expected, "pid {pid} below {line:?}");
        }
    }

    #[test]
    fn a_service_manager_is_never_ended() {
        let mut subject = process(facts(700, 4_000), ancestors(&[1], true));
        let table = [
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", Some(Protection::Init)),
            ("/user.slice/user-1000.slice/user@1000.service/a.scope", None),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope/a", None),
            ("/init.scope", None),
        ];
        for (below, expected) in table {
            subject.facts.cgroup = Seen::Value(Cgroup::new(below));
            assert_eq!(protection(&subject, &caller(), &[]), expected, "{below}");
        }
    }
}
