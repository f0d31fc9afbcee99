//! Find the members of a base: the rest of its instance, and the processes that it started. Pure.
//!
//! Parents and runs decide, never process groups or sessions. A process in another cgroup than its instance was moved
//! there to outlive it.

use std::collections::BTreeMap;

use super::ties::Ties;
use super::{Asked, Judged};
use crate::model::{Liveness, ProcessId, Role};

/// A relative that belongs to an instance which is to be ended.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) judged: Judged,
    pub(crate) role: Role,
    /// The process of the base that it belongs to.
    pub(crate) of: ProcessId,
    /// The member or base above it. For a process that has lost its parent: the process whose run it shares.
    pub(crate) below: Option<ProcessId>,
}

/// A base, and its relatives.
pub(crate) struct Family<'a> {
    /// Each with whether it is alive: the pid of an ended process may have been reused.
    pub(crate) base: Vec<(&'a Judged, bool)>,
    pub(crate) relatives: &'a [Judged],
}

impl Family<'_> {
    /// The relatives that belong to the base, in the order of the relatives.
    pub(crate) fn members(&self, asked: &Asked<'_>) -> Vec<Member> {
        let ties = Ties { service: &asked.policy.service, since: asked.caller.since };
        let mut found = Found::new(self.relatives, ties);
        let mut tops: Vec<Top<'_>> = Vec::new();
        for (judged, _) in self.base.iter().filter(|(_, alive)| *alive) {
            let (of, role) = (judged.id(), Role::Launcher);
            tops.push(Top { process: judged, role: Role::Holder, of });
            tops.extend(found.launchers(judged).into_iter().map(|process| Top { process, role, of }));
        }
        found.descend(tops);
        for (judged, _) in &self.base {
            found.orphans(judged);
        }
        let members = |judged: &Judged| found.members.remove(&judged.id());
        self.relatives.iter().filter_map(members).collect()
    }
}

/// A process whose children are examined next.
struct Top<'a> {
    process: &'a Judged,
    role: Role,
    /// The process of the base that it belongs to.
    of: ProcessId,
}

/// What was found so far.
struct Found<'a> {
    relatives: &'a [Judged],
    by_pid: BTreeMap<u32, &'a Judged>,
    ties: Ties<'a>,
    members: BTreeMap<ProcessId, Member>,
}

impl<'a> Found<'a> {
    fn new(relatives: &'a [Judged], ties: Ties<'a>) -> Self {
        let by_pid = relatives.iter().map(|judged| (judged.id().pid, judged)).collect();
        Self { relatives, by_pid, ties, members: BTreeMap::new() }
    }

    /// Adds a member. `false`: it was one already.
    fn add(&mut self, member: Member) -> bool {
        self.members.insert(member.judged.id(), member).is_none()
    }

    /// Adds the launchers above a process.
    fn launchers(&mut self, of: &Judged) -> Vec<&'a Judged> {
        let mut launchers: Vec<&Judged> = Vec::new();
        let mut child = of;
        while let Some(parent) = self.by_pid.get(&child.process.facts.ppid).copied()
            && self.ties.is_launcher(parent, child)
            && self.add(Member { judged: parent.clone(), role: Role::Launcher, of: of.id(), below: None })
        {
            launchers.push(parent);
            child = parent;
        }
        launchers
    }

    /// Adds the processes below these.
    fn descend(&mut self, mut queue: Vec<Top<'a>>) {
        while let Some(Top { process: parent, role, of }) = queue.pop() {
            let id = parent.id();
            for child in self.relatives {
                let facts = &child.process.facts;
                let started_by = facts.ppid == id.pid && facts.id.start_ticks >= id.start_ticks;
                if !started_by || self.members.contains_key(&child.id()) {
                    continue;
                }
                // Offspring starts no workers: they would be an instance of their own.
                let role = if role != Role::Offspring && self.ties.is_worker(child, parent) {
                    Role::Worker
                } else if self.ties.is_offspring(child, parent) {
                    Role::Offspring
                } else {
                    continue;
                };
                self.add(Member { judged: child.clone(), role, of, below: Some(id) });
                queue.push(Top { process: child, role, of });
            }
        }
    }

    /// Adds the processes that have lost their parent, and belong to `of` by its run or as late forks. Also adds the
    /// processes below them.
    fn orphans(&mut self, of: &Judged) {
        for orphan in self.relatives {
            if self.members.contains_key(&orphan.id()) || !has_lost_its_parent(orphan) {
                continue;
            }
            // A parent is never offspring of its child. But it is ended if the same ended run left it over.
            let above = of.process.ancestry.parents().any(|facts| facts.id == orphan.id());
            if above && of.judgement.liveness != Liveness::Leftover {
                continue;
            }
            let by_run = self.ties.is_orphan(orphan, of) && !self.run_is_shared(of);
            if by_run || self.ties.is_late_fork(orphan, of) {
                let below = (!above).then_some(of.id());
                self.add(Member { judged: orphan.clone(), role: Role::Offspring, of: of.id(), below });
                self.descend(vec![Top { process: orphan, role: Role::Offspring, of: of.id() }]);
            }
        }
    }

    /// Another living instance has the same run, like two that were started from one terminal. Then the run does not
    /// show whose orphan a process is. An ended run is not shared: all its processes are left over.
    fn run_is_shared(&self, base: &Judged) -> bool {
        let rival = |other: &Judged| {
            other.judgement.identity.is_instance()
                && !self.members.contains_key(&other.id())
                && other.process.facts.shares_run(&base.process.facts)
        };
        base.judgement.liveness != Liveness::Leftover && self.relatives.iter().any(rival)
    }
}

/// Its parent is init or a manager: PID 1 or a process in another cgroup, and of another run.
fn has_lost_its_parent(judged: &Judged) -> bool {
    let (facts, ancestry) = (&judged.process.facts, &judged.process.ancestry);
    match ancestry.parents().next() {
        Some(parent) => (parent.id.pid == 1 || parent.cgroup != facts.cgroup) && !parent.shares_run(facts),
        None => ancestry.complete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Cgroup, Environ, Evidence, Exe, ExecMark, Facts, Identity, Judgement, Marker, Policy, Protection, Record,
        Script, Seen, Service, Supervisor, Trace, Verdict, Why, WhyNot,
    };
    use crate::testing::{ancestors, caller, facts, file, process};
    use std::ffi::OsString;
    use std::time::SystemTime;

    /// The call begins at tick 1000. Older processes start at ten times their pid.
    const SINCE: u64 = 1_000;
    const RUN: &str = "11111111111111111111111111111111";
    const NEXT: &str = "22222222222222222222222222222222";

    fn service() -> Service {
        let mut service = Service::new("gw").markers(vec![Marker::new("MARK", "gw")]);
        service.instance_keys = vec!["PROFILE".into()];
        service
    }

    /// A process in words: first `instance`, `offspring`, `foreign` or `unknown`, then its other properties.
    fn judged(pid: u32, ppid: u32, words: &str) -> Judged {
        let has = |word: &str| words.split(' ').any(|one| one == word);
        let mut facts = facts(pid, if has("late") { SINCE } else { u64::from(pid) * 10 });
        facts.ppid = ppid;
        let identity = match words.split(' ').next() {
            Some("instance") if has("hidden") => Identity::Instance(Evidence::MarkedRuntime),
            Some("instance") => Identity::Instance(Evidence::Executable),
            Some("offspring") => Identity::Offspring(Trace::OtherExecutable),
            Some("foreign") => Identity::Foreign,
            _ => Identity::Unknown,
        };
        facts.exe = Seen::Value(Exe { path: "/opt/gw".into(), replaced: false, file: file(9) });
        let stack = if has("fork") { 7 } else { u64::from(pid) };
        facts.mark = ExecMark { stack, environ_end: 0x7ffc_0000_0000 };
        facts.only_forked = has("fork");
        facts.script = if has("hidden") { Script::Hidden } else { Script::NotARuntime };
        facts.cgroup = Seen::Value(Cgroup::new(if has("scope") { "/a.scope" } else { "/gw.service" }));
        facts.nested = Seen::Value(has("nested"));
        let run = if has("next") { Some(NEXT) } else { (!has("no-run")).then_some(RUN) };
        facts.run = run.map(str::to_owned);
        let mut environ: Vec<(OsString, OsString)> = Vec::new();
        environ.extend((!has("plain")).then(|| ("MARK".into(), "gw".into())));
        environ.extend(has("profile").then(|| ("PROFILE".into(), "b".into())));
        facts.environ = Seen::Value(Environ(environ));
        facts.record = Record::Current { run: NEXT.to_owned(), since: SystemTime::UNIX_EPOCH };
        let liveness = if has("protected") {
            Liveness::Protected(Protection::Ancestor)
        } else if has("by-hand") {
            Liveness::Unsupervised
        } else if has("next") || has("live") {
            Liveness::Live(Supervisor::Unit(facts.unit().unwrap().clone()))
        } else {
            Liveness::Leftover
        };
        let stale = matches!(identity, Identity::Instance(_)) && !has("late") && liveness == Liveness::Leftover
            || has("by-hand") && words.starts_with("instance") && !has("late") && !has("profile");
        let verdict = if stale { Verdict::Stale(Why::Instance) } else { Verdict::Spared(WhyNot::Offspring) };
        let mut above = ancestors(&[ppid], true);
        above.line[0] = Facts { cgroup: facts.cgroup.clone(), ..Facts::clone(&above.line[0]) }.into();
        let judgement = Judgement { identity, liveness, verdict, service: crate::testing::service() };
        Judged { process: process(facts, above).into(), judgement }
    }

    /// The holder (pid 50, below 40 if there is one), then its relatives and the role of each.
    #[test]
    fn who_belongs_to_a_holder() {
        use Role::{Launcher, Offspring, Worker};
        type Row<'a> = (u32, u32, &'a str, Option<Role>);
        let table: [(&str, &[Row<'_>]); 16] = [
            ("instance", &[(40, 1, "instance", Some(Launcher)), (30, 1, "instance", Some(Offspring))]),
            ("instance", &[(40, 30, "instance", Some(Launcher)), (30, 1, "instance", Some(Launcher))]),
            ("instance", &[(40, 30, "offspring", Some(Offspring)), (30, 1, "instance", Some(Offspring))]),
            ("instance", &[(40, 1, "instance next", None), (41, 40, "offspring next", None)]),
            ("instance", &[(40, 1, "instance profile", None)]),
            ("instance", &[(40, 1, "instance scope", None)]),
            ("instance", &[(40, 1, "instance protected", None)]),
            // Siblings of the holder below its launcher are workers. The processes that they started go with them.
            (
                "instance",
                &[
                    (40, 1, "instance", Some(Launcher)),
                    (51, 40, "instance", Some(Worker)),
                    (52, 51, "offspring", Some(Offspring)),
                    (53, 52, "foreign plain", Some(Offspring)),
                    (54, 53, "instance", Some(Offspring)),
                ],
            ),
            (
                "instance",
                &[
                    (51, 50, "instance profile", None),
                    (52, 51, "offspring profile", None),
                    (53, 50, "offspring scope", None),
                    (54, 53, "offspring scope", None),
                    (55, 50, "offspring protected", None),
                    (56, 50, "offspring nested", None),
                    (57, 50, "unknown", None),
                    (58, 50, "offspring next", None),
                ],
            ),
            // A process that hides its script is a launcher or a worker only where a fork shows it.
            (
                "instance hidden fork",
                &[
                    (40, 1, "instance hidden", Some(Launcher)),
                    (51, 50, "instance hidden", Some(Offspring)),
                    (52, 50, "instance hidden fork", Some(Worker)),
                    (53, 50, "instance", Some(Worker)),
                ],
            ),
            // A process that it executed since the call began may be its successor. A fork is none.
            (
                "instance fork",
                &[
                    (51, 50, "instance late", None),
                    (52, 51, "offspring late", None),
                    (53, 50, "instance late fork", Some(Offspring)),
                    (54, 50, "offspring late", Some(Offspring)),
                    (55, 1, "instance late fork", Some(Offspring)),
                    (56, 1, "instance late", None),
                ],
            ),
            // A fork that is another process's child belongs to that process.
            ("instance fork", &[(60, 59, "instance late fork", None), (59, 1, "foreign", None)]),
            // By the run: each process with the marker, and the processes below it.
            (
                "instance",
                &[
                    (51, 1, "offspring", Some(Offspring)),
                    (52, 51, "foreign plain no-run", Some(Offspring)),
                    (53, 1, "offspring late", Some(Offspring)),
                    (54, 1, "offspring no-run", None),
                    (55, 1, "offspring next", None),
                    (56, 1, "offspring plain", None),
                    (57, 1, "offspring profile", None),
                    (58, 1, "foreign", None),
                    (59, 1, "offspring by-hand", None),
                ],
            ),
            ("instance no-run", &[(51, 1, "offspring no-run", None), (52, 50, "offspring no-run", Some(Offspring))]),
            // Started by hand in one run: the orphan is nobody's if a second instance lives.
            (
                "instance by-hand",
                &[(51, 1, "offspring by-hand", Some(Offspring)), (52, 1, "offspring by-hand late", None)],
            ),
            (
                "instance by-hand",
                &[
                    (51, 1, "offspring by-hand", None),
                    (52, 50, "offspring by-hand", Some(Offspring)),
                    (53, 1, "instance by-hand", None),
                ],
            ),
        ];
        let policy = Policy::new(service());
        let mut asked = Asked::new(&policy, Vec::new(), caller());
        asked.caller.since = SINCE;
        for (base, rows) in table {
            let parent = if rows.iter().any(|(pid, ..)| *pid == 40) { 40 } else { 1 };
            let base = judged(50, parent, base);
            let relatives: Vec<Judged> = rows.iter().map(|(pid, ppid, words, _)| judged(*pid, *ppid, words)).collect();
            let members = Family { base: vec![(&base, true)], relatives: &relatives }.members(&asked);
            for (pid, _, words, expected) in rows {
                let role = members.iter().find(|member| member.judged.id().pid == *pid);
                let role = role.map(|member| member.role);
                assert_eq!(role, *expected, "{pid} {words}, of {rows:?}");
            }
        }
    }

    /// Two are ended in one call, pid 50 and pid 60. Each process around them belongs to one of them, and to neither by
    /// default.
    #[test]
    fn whose_a_member_is() {
        let near = [
            (51, 50, "offspring", 50),
            (52, 51, "offspring late", 50),
            (58, 1, "instance", 60),
            (59, 58, "instance", 60),
            (61, 60, "offspring late", 60),
            (62, 61, "offspring late", 60),
            (63, 62, "offspring late", 60),
            // A late fork that has lost its parent, and late forks below it.
            (64, 1, "instance late fork", 60),
            (65, 64, "offspring late", 60),
            (66, 65, "offspring late", 60),
        ];
        let policy = Policy::new(service());
        let mut asked = Asked::new(&policy, Vec::new(), caller());
        asked.caller.since = SINCE;
        let [first, second] = [judged(50, 1, "instance"), judged(60, 58, "instance fork")];
        for both in [[&first, &second], [&second, &first]] {
            let mut relatives: Vec<Judged> =
                near.iter().map(|(pid, ppid, words, _)| judged(*pid, *ppid, words)).collect();
            for _ in 0..2 {
                let base = both.map(|judged| (judged, true)).to_vec();
                let members = Family { base, relatives: &relatives }.members(&asked);
                let mut of: Vec<_> = members.iter().map(|member| (member.judged.id().pid, member.of.pid)).collect();
                of.sort_unstable();
                assert_eq!(of, near.map(|(pid, _, _, of)| (pid, of)));
                relatives.reverse();
            }
        }
    }
}
