//! Whose is it now? Pure.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::facts::{Blind, Facts, Holder, Manager, ProcessId, Record, Seen, Unit};
use crate::parse;
use crate::protection::{Protection, protection};

/// Whether somebody looks after a process now, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// Who runs a live process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supervisor {
    /// A container: the process lives in a pid namespace of its own, or in a container's cgroup that is not the
    /// caller's. The name is what its cgroup says.
    Container(Option<String>),
    /// A systemd unit, whose current run it belongs to.
    Unit(Unit),
}

/// Who asks. The caller is never ended, nor what it descends from, nor what it started.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) id: ProcessId,
    /// When the server started that asks, in clock ticks since boot: the caller itself, or the instance that it
    /// was started by. What is older than the call may still be newer than that server.
    pub(crate) since: u64,
    pub(crate) uid: u32,
    pub(crate) ancestors: Vec<u32>,
    pub(crate) ancestry_complete: bool,
    /// What keeps it from seeing other processes.
    pub(crate) blinds: Option<Blind>,
    /// The unit it runs in.
    pub(crate) unit: Option<Unit>,
    /// The container it runs in, as its cgroup says.
    pub(crate) container: Option<OsString>,
    /// It is of the unit's current run, by its own INVOCATION_ID: a hook or a process of the service. What an
    /// ended run left there is then its own. A job of cron or a session of sshd is in the unit's cgroup too,
    /// and the unit's other jobs are none of its business.
    pub(crate) of_current_run: bool,
    /// Where it carries the service's marker, the values of the instance keys.
    pub(crate) instance: Option<Vec<Option<OsString>>>,
    /// The service's own process, by the pid that the caller inherited.
    pub(crate) service_pid: Option<u32>,
}

impl Caller {
    /// Whether what an ended run left in the unit is the caller's own.
    pub(crate) fn owns(&self, unit: &Unit) -> bool {
        self.of_current_run && self.unit.as_ref() == Some(unit)
    }

    /// An instance that did not start before the server that asks is newer than it, not stale. Ticks are too
    /// coarse to order two starts within one: a tie is not older.
    pub(crate) fn is_newer(&self, facts: &Facts) -> bool {
        facts.id.start_ticks >= self.since
    }
}

/// `told`: what it executes tells that it is an instance.
pub(crate) fn liveness(holder: &Holder, caller: &Caller, protect: &[u32], told: bool) -> Liveness {
    let facts = &holder.facts;
    if let Some(protection) = protection(holder, caller, protect) {
        return Liveness::Protected(protection);
    }
    let container = facts.cgroup.value().and_then(|path| parse::container(path));
    let contained = |name: Option<&OsStr>| {
        Liveness::Live(Supervisor::Container(name.map(|name| name.to_string_lossy().into_owned())))
    };
    match facts.nested {
        Seen::Value(true) => contained(container),
        // It shares the pid namespace of its host (docker run --pid=host), or of the other containers of its pod.
        Seen::Value(false)
            if facts.unit().is_none() && container.is_some() && container != caller.container.as_deref() =>
        {
            contained(container)
        }
        Seen::Value(false) => in_unit(facts, caller, told),
        Seen::Denied | Seen::Gone => Liveness::Unknown,
    }
}

/// A start is counted in whole ticks of 10 ms, so it looks up to one tick earlier than it was; the rest is for
/// reading two clocks one after the other.
const TICKS: Duration = Duration::from_millis(11);

/// The run decides, and nothing else: a healthy service may have any parent, and its main process may be a
/// launcher whose child listens.
fn in_unit(facts: &Facts, caller: &Caller, told: bool) -> Liveness {
    if !matches!(facts.cgroup, Seen::Value(_)) {
        return Liveness::Unknown;
    }
    let Some(unit) = facts.unit() else {
        return match &facts.record {
            // systemd started it, and the login that its unit asks for moved it to a session (PAMName=).
            Record::Outside(unit)
                if facts.ppid == 1 && unit.manager == Manager::System && !unit.is_scope() =>
            {
                Liveness::Live(Supervisor::Unit(unit.clone()))
            }
            // The marker may be a person's, and the run that of a terminal.
            _ if told => Liveness::Unsupervised,
            Record::Denied => Liveness::Unknown,
            // Nobody looks after what is in a scope.
            Record::Outside(unit) if !unit.is_scope() => Liveness::Live(Supervisor::Unit(unit.clone())),
            _ => Liveness::Unsupervised,
        };
    };
    let (run, since) = match &facts.record {
        Record::None | Record::Outside(_) => return Liveness::Unsupervised,
        Record::Inactive => return Liveness::Leftover,
        Record::Denied => return Liveness::Unknown,
        Record::Current { run, since } => (run, since),
    };
    if !matches!(facts.environ, Seen::Value(_)) {
        return Liveness::Unknown;
    }
    // Both signs must say that the run is over: a unit may hand its processes any INVOCATION_ID, and a clock
    // may be set.
    let started_before = facts.started.is_some_and(|started| started + TICKS < *since);
    match facts.run() {
        Some(own) if own == run => Liveness::Live(Supervisor::Unit(unit)),
        _ if !started_before => Liveness::Live(Supervisor::Unit(unit)),
        Some(_) => Liveness::Leftover,
        // By the clock alone it is only believed of the unit that is being started.
        None if caller.owns(&unit) => Liveness::Leftover,
        None => Liveness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Environ;
    use crate::testing::{ancestors, caller, facts, holder};
    use std::path::PathBuf;
    use std::time::SystemTime;

    #[test]
    fn another_pid_namespace_is_live_and_the_rest_unsupervised() {
        let mut subject = holder(facts(700, 4_000), ancestors(&[1], true));
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unsupervised);
        subject.facts.nested = Seen::Denied;
        assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
        subject.facts.nested = Seen::Value(true);
        subject.facts.cgroup = Seen::Value(PathBuf::from("/system.slice/docker-0a1b.scope"));
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
            // A service of such a name is the system's.
            ("/system.slice/docker-gateway.service", None, Liveness::Unsupervised),
            ("/user.slice/user-1000.slice/session-1.scope", None, Liveness::Unsupervised),
        ];
        for (cgroup, callers, expected) in table {
            let mut subject = holder(facts(700, 4_000), ancestors(&[1], true));
            subject.facts.cgroup = Seen::Value(PathBuf::from(cgroup));
            let caller = Caller { container: callers.map(OsString::from), ..caller() };
            assert_eq!(liveness(&subject, &caller, &[], false), expected, "{cgroup} from {callers:?}");
        }
    }

    #[test]
    fn what_a_live_run_started_outside_of_its_unit_is_live() {
        let mut subject = holder(facts(700, 4_000), ancestors(&[1], true));
        subject.facts.cgroup = Seen::Value(PathBuf::from("/user.slice/user-1000.slice/session-1.scope"));
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
            let mut subject = holder(facts(700, 4_000), ancestors(&[1], true));
            subject.facts.cgroup = Seen::Value(PathBuf::from("/system.slice/gw.service"));
            let run = run.map(|run| (OsString::from("INVOCATION_ID"), OsString::from(run)));
            let by_clock = run.is_none() && expected == Liveness::Unknown;
            subject.facts.environ = Seen::Value(Environ(run.into_iter().collect()));
            subject.facts.started = started;
            subject.facts.record = record;
            assert_eq!(liveness(&subject, &caller(), &[], false), expected, "{:?}", subject.facts);
            // In the caller's own unit the clock alone is believed, if the caller is of the unit's run.
            let owner = Caller { unit: Some(unit()), ..caller() };
            let own = if by_clock { Liveness::Leftover } else { expected.clone() };
            assert_eq!(liveness(&subject, &owner, &[], false), own, "{:?}", subject.facts);
            let guest = Caller { of_current_run: false, ..owner };
            assert_eq!(liveness(&subject, &guest, &[], false), expected, "{:?}", subject.facts);
            subject.facts.environ = Seen::Denied;
            if matches!(subject.facts.record, Record::Current { .. }) {
                assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
            }
            subject.facts.cgroup = Seen::Value(PathBuf::from("/user.slice/session-1.scope"));
            assert_eq!(liveness(&subject, &caller(), &[], true), Liveness::Unsupervised);
            subject.facts.cgroup = Seen::Denied;
            assert_eq!(liveness(&subject, &caller(), &[], false), Liveness::Unknown);
        }
    }

    #[test]
    fn a_tie_in_ticks_is_not_older() {
        for (start, newer) in [(4_999, false), (5_000, true), (5_001, true)] {
            assert_eq!(caller().is_newer(&facts(7, start)), newer);
            // Asked for a server that started before: its start counts.
            let asked_for = Caller { since: 4_999, ..caller() };
            assert!(asked_for.is_newer(&facts(7, start)));
        }
        assert!(!Caller { since: 4_999, ..caller() }.is_newer(&facts(7, 4_998)));
    }
}
