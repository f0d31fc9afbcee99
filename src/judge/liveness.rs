//! Decide who looks after a process now, if anybody. Pure.

use std::time::Duration;

use crate::judge::protection::protection;
use crate::model::{Caller, Facts, Liveness, Manager, Process, Record, Seen, Supervisor};

/// Who looks after a process now. `by_lineage`: its own executable or script shows that it is an instance.
pub(crate) fn liveness(process: &Process, caller: &Caller, protect: &[u32], by_lineage: bool) -> Liveness {
    let facts = &process.facts;
    if let Some(protection) = protection(process, caller, protect) {
        return Liveness::Protected(protection);
    }
    let container = facts.cgroup.value().and_then(|cgroup| cgroup.container.as_ref());
    let contained = || Liveness::Live(Supervisor::Container(container.map(|name| name.to_string_lossy().into_owned())));
    match facts.nested {
        Seen::Value(true) => contained(),
        // It shares the pid namespace of its host (docker run --pid=host), or of the other containers of its pod.
        Seen::Value(false)
            if facts.unit().is_none() && container.is_some() && container != caller.container.as_ref() =>
        {
            contained()
        }
        Seen::Value(false) if facts.cgroup.value().is_none() => Liveness::Unknown,
        Seen::Value(false) if facts.unit().is_some() => in_a_unit(facts, caller),
        Seen::Value(false) => in_no_unit(facts, by_lineage),
        Seen::Denied | Seen::Gone => Liveness::Unknown,
    }
}

fn in_no_unit(facts: &Facts, by_lineage: bool) -> Liveness {
    match &facts.record {
        // systemd started it. Its unit asks for a login (PAMName=), and that moved it to a session.
        Record::Outside(unit) if facts.ppid == 1 && unit.manager == Manager::System && !unit.is_scope() => {
            Liveness::Live(Supervisor::Unit(unit.clone()))
        }
        // A person may have set the marker, and the run may be a terminal's.
        _ if by_lineage => Liveness::Unsupervised,
        Record::Denied => Liveness::Unknown,
        // Nobody looks after a process in a scope.
        Record::Outside(unit) if !unit.is_scope() => Liveness::Live(Supervisor::Unit(unit.clone())),
        Record::Outside(_) | Record::None | Record::Inactive | Record::Current { .. } => Liveness::Unsupervised,
    }
}

/// The kernel rounds a start down to whole ticks of 10 ms. One more millisecond may pass between the readings of the
/// two clocks.
const CLOCK_SLACK: Duration = Duration::from_millis(11);

/// Only the run decides: a healthy process may have any parent, and the main process of a unit may be a launcher whose
/// child listens.
fn in_a_unit(facts: &Facts, caller: &Caller) -> Liveness {
    let (run, since) = match &facts.record {
        Record::None | Record::Outside(_) => return Liveness::Unsupervised,
        Record::Inactive => return Liveness::Leftover,
        Record::Denied => return Liveness::Unknown,
        Record::Current { run, since } => (run, since),
    };
    let (Some(unit), Seen::Value(_)) = (facts.unit(), &facts.environ) else { return Liveness::Unknown };
    // Both signs must say that the run is over: a unit may hand its processes any INVOCATION_ID, and somebody may
    // set the clock.
    let started_before = facts.started.is_some_and(|started| started + CLOCK_SLACK < *since);
    match &facts.run {
        Some(own) if own == run => Liveness::Live(Supervisor::Unit(unit.clone())),
        _ if !started_before => Liveness::Live(Supervisor::Unit(unit.clone())),
        Some(_) => Liveness::Leftover,
        // Without a run of its own, the clock decides only in the unit that is being started.
        None if caller.owns(unit) => Liveness::Leftover,
        None => Liveness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cgroup, Environ, Unit};
    use crate::testing::{ancestors, caller, facts, process};
    use std::ffi::OsString;
    use std::time::SystemTime;

    #[test]
    fn another_pid_namespace_is_live_and_the_rest_unsupervised() {
        let mut subject = process(facts(700, 4_000), ancestors(&[1], true));
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unsupervised);
        subject.facts.nested = Seen::Denied;
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
        subject.facts.nested = Seen::Value(true);
        subject.facts.cgroup = Seen::Value(Cgroup::new("/system.slice/docker-0a1b.scope"));
        let docker = Supervisor::Container(Some("docker-0a1b.scope".to_owned()));
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Live(docker));
        subject.facts.cgroup = Seen::Denied;
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Live(Supervisor::Container(None)));
    }

    #[test]
    fn who_shares_the_pid_namespace_is_told_by_the_cgroup() {
        let container = |name: &str| Liveness::Live(Supervisor::Container(Some(name.to_owned())));
        // its cgroup, the caller's container → liveness
        let table = [
            ("/system.slice/docker-0a1b.scope", None, container("docker-0a1b.scope")),
            ("/docker/0a1b", None, container("0a1b")),
            ("/docker/0a1b", Some("2c3d"), container("0a1b")),
            ("/docker/0a1b", Some("0a1b"), Liveness::Unsupervised),
            ("/../libpod-0a1b.scope", None, container("libpod-0a1b.scope")),
            // A service may have such a name. It is no container.
            ("/system.slice/docker-gateway.service", None, Liveness::Unsupervised),
            ("/user.slice/user-1000.slice/session-1.scope", None, Liveness::Unsupervised),
        ];
        for (cgroup, callers, expected) in table {
            let mut subject = process(facts(700, 4_000), ancestors(&[1], true));
            subject.facts.cgroup = Seen::Value(Cgroup::new(cgroup));
            let caller = Caller { container: callers.map(OsString::from), ..caller() };
            assert_eq!(liveness(&subject, &caller, &[], false), expected, "{cgroup} from {callers:?}");
        }
    }

    #[test]
    fn what_a_live_run_started_outside_of_its_unit_is_live() {
        let mut subject = process(facts(700, 4_000), ancestors(&[1], true));
        subject.facts.cgroup = Seen::Value(Cgroup::new("/user.slice/user-1000.slice/session-1.scope"));
        let unit = |name: &str| Unit { name: name.into(), manager: Manager::User(1000) };
        subject.facts.record = Record::Outside(unit("gw.service"));
        let live = Liveness::Live(Supervisor::Unit(unit("gw.service")));
        assert_eq!(liveness(&subject, &caller(), &[], false), live);
        assert_eq!(liveness(&subject, &caller(), &[], true), Liveness::Unsupervised);
        let system = Unit { name: "gw.service".into(), manager: Manager::System };
        subject.facts.record = Record::Outside(system.clone());
        assert_eq!(liveness(&subject, &caller(), &[], true), Liveness::Live(Supervisor::Unit(system)));
        subject.facts.ppid = 300;
        assert_eq!(liveness(&subject, &caller(), &[], true), Liveness::Unsupervised);
        subject.facts.record = Record::Outside(unit("gw.scope"));
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unsupervised);
        subject.facts.record = Record::Denied;
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
        assert_eq!(liveness(&subject, &caller(), &[], true), Liveness::Unsupervised);
    }

    #[test]
    fn the_run_decides_between_live_and_leftover() {
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let current = || Record::Current { run: one.clone(), since };
        let unit = || Unit { name: "gw.service".into(), manager: Manager::System };
        let live = || Liveness::Live(Supervisor::Unit(unit()));
        let at = |seconds: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        // record, own run, start → liveness
        let table = [
            (current(), Some(&one), at(0), live()),
            (current(), Some(&one), at(2_000_000), live()),
            (current(), Some(&two), at(999_999), Liveness::Leftover),
            (current(), Some(&two), at(1_000_000), live()),
            (current(), Some(&two), None, live()),
            (current(), None, at(1_000_001), live()),
            (current(), None, at(999_999), Liveness::Unknown),
            (current(), None, None, live()),
            (Record::Inactive, Some(&one), at(0), Liveness::Leftover),
            (Record::Inactive, None, at(0), Liveness::Leftover),
            (Record::Denied, Some(&one), at(0), Liveness::Unknown),
        ];
        for (record, run, started, expected) in table {
            let mut subject = process(facts(700, 4_000), ancestors(&[1], true));
            subject.facts.cgroup = Seen::Value(Cgroup::new("/system.slice/gw.service"));
            let by_clock = run.is_none() && expected == Liveness::Unknown;
            subject.facts.environ = Seen::Value(Environ::default());
            subject.facts.run = run.cloned();
            subject.facts.started = started;
            subject.facts.record = record;
            assert_eq!(liveness(&subject, &caller(), &[], false), expected, "{:?}", subject.facts);
            // In the caller's own unit the clock alone decides, if the caller is of the unit's current run.
            let owner = Caller { unit: Some(unit()), ..caller() };
            let own = if by_clock { Liveness::Leftover } else { expected.clone() };
            assert_eq!(liveness(&subject, &owner, &[], false), own, "{:?}", subject.facts);
            let guest = Caller { of_current_run: false, ..owner };
            assert_eq!(liveness(&subject, &guest, &[], false), expected, "{:?}", subject.facts);
            subject.facts.environ = Seen::Denied;
            if matches!(subject.facts.record, Record::Current { .. }) {
                assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
            }
            subject.facts.cgroup = Seen::Value(Cgroup::new("/user.slice/session-1.scope"));
            assert_eq!(liveness(&subject, &caller(), &[], true), Liveness::Unsupervised);
            subject.facts.cgroup = Seen::Denied;
            assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
        }
    }

    #[test]
    fn a_tie_in_ticks_is_not_older() {
        for (start, newer) in [(4_999, false), (5_000, true), (5_001, true)] {
            assert_eq!(caller().is_newer(&facts(7, start)), newer);
            // The asking server may have started before the caller: then its start counts.
            let asked_for = Caller { since: 4_999, ..caller() };
            assert!(asked_for.is_newer(&facts(7, start)));
        }
        assert!(!Caller { since: 4_999, ..caller() }.is_newer(&facts(7, 4_998)));
    }
}
