//! Decide, from the facts and the caller. Pure: no system calls, so tables can test it.

#![deny(clippy::wildcard_enum_match_arm)]

mod identity;
pub(crate) mod instance;
mod liveness;
pub(crate) mod plan;
mod protection;
mod rules;
pub(crate) mod starters;
mod supervision;
mod ties;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::{
    Ancestry, Caller, Evidence, ExecMark, Executable, Facts, Identity, Judgement, Liveness, NewerThan, Policy, Process,
    ProcessId, Protection, Service, Supervisor,
};
use identity::{Resolved, identity};
use rules::Situation;

/// The policy, the caller, and what this call has done so far. A judgement depends on these and on the process alone.
pub(crate) struct Asked<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) caller: Caller,
    service: Resolved<'a>,
    /// For the judgements: their sentences name the service.
    named: Arc<Service>,
    past: Past,
}

/// What this call has done so far.
#[derive(Default)]
struct Past {
    /// Listeners that a target held, and its exec mark. A process that holds one of them with the same mark was forked
    /// from the target: it is not newer, however young it is. After an exec it may be a successor that got the socket
    /// from the target.
    inherited: Vec<(u64, ExecMark)>,
    /// Targets that changed after they were signalled, by an exec for example. Each counts as its own successor.
    changed: BTreeSet<ProcessId>,
}

/// A process with its judgement.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) process: Rc<Process>,
    pub(crate) judgement: Judgement,
}

impl Judged {
    pub(crate) fn id(&self) -> ProcessId {
        self.process.facts.id
    }
}

impl<'a> Asked<'a> {
    /// `executables`: the service's own, with the files.
    pub(crate) fn new(policy: &'a Policy, executables: Vec<Executable>, mut caller: Caller) -> Self {
        let service = Resolved { service: &policy.service, executables };
        caller.since = since(&caller, &service);
        Self { policy, caller, service, named: Arc::new(policy.service.clone()), past: Past::default() }
    }

    pub(crate) fn judge(&self, process: Rc<Process>) -> Judged {
        let judgement = self.judgement(&process);
        Judged { process, judgement }
    }

    /// A holder: where a person is asked, the approval decides.
    pub(crate) fn judge_holder(&self, process: Rc<Process>) -> Judged {
        let judgement = self.judgement_of_holder(&process);
        Judged { process, judgement }
    }

    pub(crate) fn judgement_of_holder(&self, process: &Process) -> Judgement {
        let mut judgement = self.judgement(process);
        let (facts, Judgement { identity, verdict, .. }) = (&process.facts, &mut judgement);
        match self.policy.approval(facts) {
            None => {}
            // What a process became after a signal was never shown to the person.
            Some(true) if !self.past.changed.contains(&facts.id) => *verdict = rules::approve(identity, *verdict),
            Some(_) => *verdict = rules::decline(*verdict),
        }
        judgement
    }

    /// A relative: where a person is asked, it may be part of an approved instance, whatever the rules say of it.
    pub(crate) fn judge_relative(&self, process: Rc<Process>) -> Judged {
        let mut judged = self.judge(process);
        let Judgement { identity, verdict, .. } = &mut judged.judgement;
        if self.policy.approved.is_some() && identity.is_instance() {
            *verdict = rules::approve(identity, *verdict);
        }
        judged
    }

    pub(crate) fn judgement(&self, process: &Process) -> Judgement {
        let facts = &process.facts;
        let identity = identity(facts, &process.ancestry, &process.ports, &self.service);
        let own_unit = facts.unit().is_some_and(|unit| self.caller.owns(unit));
        let liveness = match self.callers_instance(process) {
            Some(pid) => Liveness::Protected(Protection::SameInstance(pid)),
            None => {
                // What carries the marker of a running unit is that unit's, lock or not.
                let is_marked = facts.environ.value().is_some_and(|environ| self.policy.service.is_marked(environ));
                let by_lock = matches!(identity, Identity::Instance(Evidence::Lock(_)));
                let by_lineage = identity.is_by_own_lineage() && !(by_lock && is_marked);
                let told = liveness::liveness(process, &self.caller, &self.policy.protect, by_lineage);
                // The caller's own unit is about to start, so what its ended runs left there goes, supervisors and all.
                if told == Liveness::Leftover && own_unit {
                    told
                } else {
                    self.with_supervisor(told, process, identity.is_instance())
                }
            }
        };
        let situation = Situation {
            newer: self.newer_than(facts).filter(|_| !self.has_inherited(process)),
            own_unit,
            other_instance: self.is_another_instance(facts),
        };
        let verdict = rules::decide(&identity, &liveness, situation, self.policy.ends);
        Judgement { identity, liveness, verdict, service: Arc::clone(&self.named) }
    }

    /// A living supervisor looks after its process, whatever systemd says of the unit that both are in.
    fn with_supervisor(&self, told: Liveness, process: &Process, is_instance: bool) -> Liveness {
        if told.is_final() {
            return told;
        }
        if let Some(name) = supervision::holds_ports(&process.facts) {
            return Liveness::Protected(Protection::Supervisor(name));
        }
        let is_other = |facts: &Facts, above: &Ancestry| identity(facts, above, &[], &self.service).is_instance();
        match supervision::supervised(process, is_instance, is_other) {
            Some(supervised) => Liveness::Live(Supervisor::Program(supervised)),
            None if self.caller.init_is_hidden && process.topmost().ppid == 1 => Liveness::Unknown,
            None => told,
        }
    }

    /// The process is not older than the caller, or has changed since it was signalled.
    pub(crate) fn is_newer(&self, facts: &Facts) -> bool {
        self.newer_than(facts).is_some()
    }

    fn newer_than(&self, facts: &Facts) -> Option<NewerThan> {
        match () {
            () if self.past.changed.contains(&facts.id) => Some(NewerThan::Signal),
            () if !self.caller.is_newer(facts) => None,
            () if facts.id.start_ticks >= self.caller.id.start_ticks => Some(NewerThan::Caller),
            () => Some(NewerThan::Server),
        }
    }

    /// The process is an instance of another profile or state folder than the caller's. Only a caller with the marker
    /// has a profile of its own.
    pub(crate) fn is_another_instance(&self, facts: &Facts) -> bool {
        let Some(callers) = &self.caller.instance else { return false };
        // The lock names the folder, whatever the variables were, and whatever a title has overwritten.
        if let Some(folder) = facts.lock.as_ref().and_then(|lock| lock.state_dir.as_ref()) {
            return self.caller.state_dir.as_ref() != Some(folder);
        }
        let instance = facts.environ.value().map(|environ| self.policy.service.instance_of(environ));
        instance.is_some_and(|instance| instance != *callers)
    }

    /// Remembers a target that has ended or changed, with the listeners that it held.
    pub(crate) fn remember(&mut self, process: &Process, has_changed: bool) {
        let mark = process.facts.mark;
        self.past.inherited.extend(process.inodes.iter().map(|inode| (*inode, mark)));
        if has_changed {
            self.past.changed.insert(process.facts.id);
        }
    }

    fn has_inherited(&self, process: &Process) -> bool {
        let fork = |(inode, mark): &(u64, ExecMark)| process.inodes.contains(inode) && process.facts.is_fork_of(mark);
        self.past.inherited.iter().any(fork)
    }

    /// The instance that the caller descends from, if the process is another part of it: a gateway's sidecar must not
    /// end the gateway's worker.
    fn callers_instance(&self, process: &Process) -> Option<u32> {
        let callers = |facts: &&Facts| self.caller.ancestors.contains(&facts.id.pid);
        instances(&process.ancestry, &self.service).find(callers).map(|facts| facts.id.pid)
    }
}

/// The start of the asking server: the earliest start of the caller and of the instances that it descends from. A
/// server may start a program to ask for it. A rival that started in between is older than the program, but newer than
/// the server.
fn since(caller: &Caller, service: &Resolved<'_>) -> u64 {
    let parents = Ancestry { line: caller.parents.clone(), complete: true };
    instances(&parents, service).map(|facts| facts.id.start_ticks).fold(caller.id.start_ticks, u64::min)
}

/// The instances in a line of parents, nearest first.
fn instances<'a>(ancestry: &'a Ancestry, service: &'a Resolved<'a>) -> impl Iterator<Item = &'a Facts> {
    let is_instance = |(facts, above): &(&Arc<Facts>, Ancestry)| {
        matches!(identity(facts, above, &[], service), Identity::Instance(_))
    };
    ancestry.with_ancestries().filter(is_instance).map(|(facts, _)| &**facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Also, Cgroup, Exe, Record, Seen, Service, Verdict, Why, WhyNot};
    use crate::testing::{ancestors, caller, facts, file, process};

    fn asked(policy: &Policy) -> Asked<'_> {
        let id = ProcessId { pid: 500, start_ticks: 5_000 };
        let (ancestors, service_pid) = (vec![400, 1], None);
        let caller = Caller { id, ancestors, service_pid, unit: None, ..caller() };
        let mut asked = Asked::new(policy, vec![Executable { path: "/opt/gw".into(), file: Some(file(9)) }], caller);
        asked.past.inherited.push((7, ExecMark { stack: 7, environ_end: 0x7ffc_0000_0000 }));
        asked
    }

    fn asked_of(policy: &Policy, caller: Caller) -> Asked<'_> {
        Asked::new(policy, Vec::new(), caller)
    }

    fn policy() -> Policy {
        Policy::new(Service::new("gw").executable("/opt/gw")).also_end(Also::AnyOwner)
    }

    #[test]
    fn a_worker_of_the_callers_own_instance_is_protected() {
        let policy = policy();
        let asked = asked(&policy);
        let gateway = |pid| {
            let mut facts = facts(pid, 10);
            facts.exe = Seen::Value(Exe { path: "/opt/gw".into(), replaced: false, file: file(9) });
            facts
        };
        let below = |parent: Facts| process(gateway(600), Ancestry { line: vec![parent.into()], complete: true });
        // Its parent is an instance and the caller's ancestor. Below: only an ancestor, only an instance.
        let own = asked.judgement(&below(gateway(400)));
        assert_eq!(own.liveness, Liveness::Protected(Protection::SameInstance(400)));
        assert_eq!(own.verdict, Verdict::Spared(WhyNot::Protected));
        for parent in [facts(400, 10), gateway(401)] {
            assert_eq!(asked.judgement(&below(parent)).verdict, Verdict::Stale(Why::Instance));
        }
    }

    #[test]
    fn who_asks_is_as_old_as_the_oldest_instance_it_descends_from() {
        let policy = policy();
        let asked = asked(&policy);
        let executing = |start, exe: &str| {
            let mut facts = facts(400, start);
            let of = if exe == "/opt/gw" { file(9) } else { file(1) };
            facts.exe = Seen::Value(Exe { path: exe.into(), replaced: false, file: of });
            facts
        };
        let (gw, sh) = (|start| executing(start, "/opt/gw"), |start| executing(start, "/bin/sh"));
        let unreadable = |start| Facts { exe: Seen::Denied, ..gw(start) };
        // The parents, nearest first, of a caller that started at 5000 → the start that counts
        let table = [
            (vec![], 5_000),
            (vec![sh(4_000), sh(10)], 5_000),
            (vec![unreadable(4_000)], 5_000),
            (vec![gw(4_000), sh(10)], 4_000),
            (vec![sh(4_500), gw(4_000), sh(10)], 4_000),
            (vec![gw(4_000), sh(3_500), gw(3_000)], 3_000),
            (vec![gw(5_000)], 5_000),
        ];
        for (line, since) in table {
            let parents = line.iter().cloned().map(Arc::new).collect();
            assert_eq!(super::since(&Caller { parents, ..caller() }, &asked.service), since, "{line:?}");
        }
    }

    /// pm2's daemon, in this unit, whose run has ended.
    fn god(unit: &str) -> Process {
        let mut facts = facts(600, 10);
        facts.exe = Seen::Value(Exe { path: "/usr/bin/node".into(), replaced: false, file: file(1) });
        facts.argv = Seen::Value(vec!["PM2 v7.0.4: God Daemon (/root/.pm2)".into()]);
        facts.cgroup = Seen::Value(Cgroup::new(format!("/system.slice/{unit}")));
        facts.record = Record::Inactive;
        process(facts, ancestors(&[1], true))
    }

    #[test]
    fn a_supervisor_that_holds_a_port_is_protected_but_not_in_the_callers_own_ended_run() {
        let policy = policy();
        let asked = asked_of(&policy, caller());
        assert_eq!(asked.judgement(&god("other.service")).liveness, Liveness::Protected(Protection::Supervisor("pm2")));
        assert_eq!(asked.judgement(&god("own.service")).verdict, Verdict::Stale(Why::OwnUnit));
    }

    #[test]
    fn below_a_hidden_pid_1_that_is_not_systemd_it_may_be_a_containers_main_process() {
        let policy = policy();
        let orphan = || process(facts(600, 10), ancestors(&[], true));
        for (init_is_hidden, expected) in [(true, Liveness::Unknown), (false, Liveness::Unsupervised)] {
            let asked = asked_of(&policy, Caller { init_is_hidden, ..caller() });
            assert_eq!(asked.judgement(&orphan()).liveness, expected);
        }
    }

    #[test]
    fn a_fork_of_what_was_ended_is_no_newcomer_and_an_exec_is() {
        let policy = policy();
        let asked = asked(&policy);
        let young = |inode, stack: u64, forked| {
            let mut holder = process(facts(600, 6_000), ancestors(&[1], true));
            holder.inodes = vec![inode];
            holder.facts.mark = ExecMark { stack, environ_end: 0x7ffc_0000_0000 };
            holder.facts.only_forked = forked;
            asked.judgement(&holder).verdict
        };
        assert_eq!(young(7, 7, true), Verdict::Stale(Why::AnyOwner));
        assert_eq!(young(7, 7, false), Verdict::Spared(WhyNot::Newer(NewerThan::Caller)));
        assert_eq!(young(7, 8, true), Verdict::Spared(WhyNot::Newer(NewerThan::Caller)));
        assert_eq!(young(8, 7, true), Verdict::Spared(WhyNot::Newer(NewerThan::Caller)));
    }
}
