//! The instance around a process that is to be ended, and what it started: who is ended with it. Pure.
//!
//! The tree is by parent and by run, never by process group or session. A process in another cgroup than its
//! instance was moved there to outlive it.

use std::collections::BTreeMap;

use crate::identity::Identity;
use crate::liveness::Liveness;
use crate::plan::Judged;
use crate::service::Service;
use crate::ties::{Ties, of_one_run};

/// What a process is to the port, or to the instance that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It holds a listener of the port.
    Holder,
    /// The same instance as the holder, above it.
    Launcher,
    /// The same instance as the holder, below it.
    Worker,
    /// Started by the instance.
    Offspring,
    /// Left behind by an ended run.
    Leftover,
}

/// One of the processes near an instance that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place among the processes that were looked at.
    pub(crate) at: usize,
    pub(crate) role: Role,
    /// The member that it is below of; for what has lost its parent, the one whose run it is of.
    pub(crate) below: Option<u32>,
}

/// Who of the processes `near` belongs to the instances of `base`, which are to be ended in a call that began at
/// `since`, in clock ticks. With each of them, whether it is alive: the pid of who has ended may be another's.
pub(crate) fn family(
    base: &[(&Judged, bool)],
    near: &[Judged],
    service: &Service,
    since: u64,
) -> Vec<Member> {
    let at_pid: BTreeMap<u32, usize> =
        near.iter().enumerate().map(|(at, (holder, _))| (holder.facts.id.pid, at)).collect();
    let mut family = Family { near, at_pid, members: BTreeMap::new(), ties: Ties { service, since } };
    let mut top: Vec<(&Judged, bool)> = Vec::new();
    for (judged, _) in base.iter().filter(|(_, alive)| *alive) {
        let mut child: &Judged = judged;
        top.push((child, true));
        while let Some((at, parent)) = family.parent(child)
            && family.ties.is_launcher(parent, child)
            && family.add(at, Role::Launcher, None)
        {
            top.push((parent, true));
            child = parent;
        }
    }
    family.below(top);
    for (judged, _) in base {
        for (at, orphan) in near.iter().enumerate() {
            if family.members.contains_key(&at) || !has_lost_its_parent(orphan) {
                continue;
            }
            // What is above an instance is none of its offspring. Left over from the same ended run it goes, too.
            let above = judged.0.ancestry.line.iter().any(|facts| facts.id == orphan.0.facts.id);
            if above && judged.1.liveness != Liveness::Leftover {
                continue;
            }
            let told = family.ties.is_orphan(orphan, judged) && family.is_told(judged);
            if told || family.ties.is_late_fork(orphan, judged) {
                family.add(at, Role::Offspring, (!above).then_some(judged.0.facts.id.pid));
                family.below(vec![(orphan, false)]);
            }
        }
    }
    family.members.into_values().collect()
}

struct Family<'a> {
    near: &'a [Judged],
    at_pid: BTreeMap<u32, usize>,
    ties: Ties<'a>,
    members: BTreeMap<usize, Member>,
}

impl<'a> Family<'a> {
    fn add(&mut self, at: usize, role: Role, below: Option<u32>) -> bool {
        self.members.insert(at, Member { at, role, below }).is_none()
    }

    fn parent(&self, of: &Judged) -> Option<(usize, &'a Judged)> {
        let at = *self.at_pid.get(&of.0.facts.ppid)?;
        Some((at, self.near.get(at)?))
    }

    /// Takes in what is below these, which are of the instance itself or started by it.
    fn below(&mut self, mut queue: Vec<(&'a Judged, bool)>) {
        while let Some((member, instance)) = queue.pop() {
            let pid = member.0.facts.id.pid;
            for (at, child) in self.near.iter().enumerate() {
                let facts = &child.0.facts;
                let started_by = facts.ppid == pid && facts.id.start_ticks >= member.0.facts.id.start_ticks;
                if !started_by || self.members.contains_key(&at) {
                    continue;
                }
                let worker = instance && self.ties.is_worker(child, member);
                if worker || self.ties.belongs(child, member) {
                    self.add(at, if worker { Role::Worker } else { Role::Offspring }, Some(pid));
                    queue.push((child, worker));
                }
            }
        }
    }

    /// Whether it can be told whose orphans those of this run are: an ended run's are all left over; a run that
    /// another living instance shares, as two that were started from one terminal do, tells nothing.
    fn is_told(&self, base: &Judged) -> bool {
        let rival = |(at, other): (usize, &Judged)| {
            matches!(other.1.identity, Identity::Instance(_))
                && !self.members.contains_key(&at)
                && of_one_run(&other.0.facts, &base.0.facts)
        };
        base.1.liveness == Liveness::Leftover || !self.near.iter().enumerate().any(rival)
    }
}

/// It is the child of init or of a manager: of nobody in its own cgroup or run.
fn has_lost_its_parent((holder, _): &Judged) -> bool {
    match holder.ancestry.line.first() {
        Some(parent) => {
            let init = parent.id.pid == 1;
            (init || parent.cgroup != holder.facts.cgroup) && !of_one_run(parent, &holder.facts)
        }
        None => holder.ancestry.complete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Entry, Environ, Exe, Facts, Image, Record, Seen};
    use crate::identity::{Evidence, Trace};
    use crate::liveness::Supervisor;
    use crate::protection::Protection;
    use crate::rules::{Rule, Verdict};
    use crate::testing::{ancestors, facts, holder};
    use crate::verdict::Judgement;
    use std::ffi::OsString;
    use std::time::SystemTime;

    /// The call begins at tick 1000. Older processes start at ten times their pid.
    const SINCE: u64 = 1_000;
    const RUN: &str = "11111111111111111111111111111111";
    const NEXT: &str = "22222222222222222222222222222222";

    fn service() -> Service {
        let mut service = Service::new("gw").markers(vec![crate::Marker::new("MARK", "gw")]);
        service.instance_keys = vec!["PROFILE".into()];
        service
    }

    /// A process in words: `instance`, `offspring`, `foreign` or `unknown`, and what else there is to it.
    fn process(pid: u32, ppid: u32, words: &str) -> Judged {
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
        facts.exe = Seen::Value(Exe { path: "/opt/gw".into(), replaced: false, file: (9, 9) });
        let stack = if has("fork") { 7 } else { u64::from(pid) };
        facts.image = Image { stack, environ_end: 0x7ffc_0000_0000 };
        facts.only_forked = has("fork");
        facts.entry = if has("hidden") { Entry::Untold } else { Entry::NotARuntime };
        facts.cgroup = Seen::Value(if has("scope") { "/a.scope" } else { "/gw.service" }.into());
        facts.nested = Seen::Value(has("nested"));
        let run = if has("next") { Some(NEXT) } else { (!has("no-run")).then_some(RUN) };
        let mut environ: Vec<(OsString, OsString)> = Vec::new();
        environ.extend(run.map(|run| ("INVOCATION_ID".into(), run.into())));
        environ.extend((!has("plain")).then(|| ("MARK".into(), "gw".into())));
        environ.extend(has("profile").then(|| ("PROFILE".into(), "b".into())));
        facts.environ = Seen::Value(Environ(environ));
        facts.record = Record::Current { run: NEXT.to_owned(), since: SystemTime::UNIX_EPOCH };
        let liveness = if has("protected") {
            Liveness::Protected(Protection::Ancestor)
        } else if has("by-hand") {
            Liveness::Unsupervised
        } else if has("next") || has("live") {
            Liveness::Live(Supervisor::Unit(facts.unit().unwrap()))
        } else {
            Liveness::Leftover
        };
        let stale =
            matches!(identity, Identity::Instance(_)) && !has("late") && liveness == Liveness::Leftover
                || has("by-hand") && words.starts_with("instance") && !has("late") && !has("profile");
        let (verdict, rule) =
            if stale { (Verdict::Stale, Rule::StaleInstance) } else { (Verdict::Spare, Rule::Offspring) };
        let mut above = ancestors(&[ppid], true);
        above.line[0] = Facts { cgroup: facts.cgroup.clone(), ..Facts::clone(&above.line[0]) }.into();
        (holder(facts, above), Judgement { identity, liveness, verdict, rule })
    }

    /// Each of the second list is beside the holder, pid 50 below 40, of the first.
    #[test]
    fn who_belongs_to_a_holder() {
        use Role::{Launcher, Offspring, Worker};
        type Near<'a> = (u32, u32, &'a str, Option<Role>);
        let table: [(&str, &[Near<'_>]); 16] = [
            ("instance", &[(40, 1, "instance", Some(Launcher)), (30, 1, "instance", Some(Offspring))]),
            ("instance", &[(40, 30, "instance", Some(Launcher)), (30, 1, "instance", Some(Launcher))]),
            ("instance", &[(40, 30, "offspring", Some(Offspring)), (30, 1, "instance", Some(Offspring))]),
            ("instance", &[(40, 1, "instance next", None), (41, 40, "offspring next", None)]),
            ("instance", &[(40, 1, "instance profile", None)]),
            ("instance", &[(40, 1, "instance scope", None)]),
            ("instance", &[(40, 1, "instance protected", None)]),
            // Siblings of the holder below its launcher are workers, and what each started goes with it.
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
            // What hides its script may be anything below an instance, and above one it is its launcher.
            (
                "instance hidden fork",
                &[
                    (40, 1, "instance hidden", Some(Launcher)),
                    (51, 50, "instance hidden", Some(Offspring)),
                    (52, 50, "instance hidden fork", Some(Worker)),
                    (53, 50, "instance", Some(Worker)),
                ],
            ),
            // What it executed since the call began may be its successor; what it forked is none.
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
            // A fork of it that is another's child is another's.
            ("instance fork", &[(60, 59, "instance late fork", None), (59, 1, "foreign", None)]),
            // By the run: whoever carries the marker, and what is below that.
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
            (
                "instance no-run",
                &[(51, 1, "offspring no-run", None), (52, 50, "offspring no-run", Some(Offspring))],
            ),
            // Of one run and started by hand: nobody's, where a second instance lives.
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
        for (base, near) in table {
            let parent = if near.iter().any(|(pid, ..)| *pid == 40) { 40 } else { 1 };
            let base = process(50, parent, base);
            let processes: Vec<Judged> =
                near.iter().map(|(pid, ppid, words, _)| process(*pid, *ppid, words)).collect();
            let members = family(&[(&base, true)], &processes, &service(), SINCE);
            for (at, (pid, _, words, expected)) in near.iter().enumerate() {
                let role = members.iter().find(|member| member.at == at).map(|member| member.role);
                assert_eq!(role, *expected, "{pid} {words}, of {near:?}");
            }
        }
    }
}
