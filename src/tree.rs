//! The instance around a process that is to be ended, and what it started: who is ended with it. Pure.
//!
//! The tree is by parent and by run, never by process group or session. A process in another cgroup than its
//! instance was moved there to outlive it.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, Record, Seen};
use crate::identity::{Identity, marked};
use crate::liveness::Liveness;
use crate::plan::Judged;
use crate::service::Service;
use crate::verdict::{Judgement, Verdict};

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
/// `since`, in clock ticks.
pub(crate) fn family(base: &[&Judged], near: &[Judged], service: &Service, since: u64) -> Vec<Member> {
    let at_pid: BTreeMap<u32, usize> =
        near.iter().enumerate().map(|(at, (holder, _))| (holder.facts.id.pid, at)).collect();
    let mut family = Family { near, members: BTreeMap::new(), ties: Ties { service, since } };
    let mut top: Vec<(&Judged, bool)> = Vec::new();
    for judged in base {
        let mut child: &Judged = judged;
        top.push((child, true));
        while let Some(at) = at_pid.get(&child.0.facts.ppid)
            && let Some(parent) = near.get(*at)
            && family.ties.same_instance(parent, child)
            && family.add(*at, Role::Launcher, None)
        {
            top.push((parent, true));
            child = parent;
        }
    }
    family.below(top);
    for judged in base {
        for (at, orphan) in near.iter().enumerate() {
            let orphan_of = || family.ties.is_orphan(orphan, judged) && family.is_told(judged);
            if !family.members.contains_key(&at) && (orphan_of() || family.ties.is_late_fork(orphan, judged))
            {
                family.add(at, Role::Offspring, Some(judged.0.facts.id.pid));
                family.below(vec![(orphan, false)]);
            }
        }
    }
    family.members.into_values().collect()
}

struct Family<'a> {
    near: &'a [Judged],
    ties: Ties<'a>,
    members: BTreeMap<usize, Member>,
}

impl<'a> Family<'a> {
    fn add(&mut self, at: usize, role: Role, below: Option<u32>) -> bool {
        self.members.insert(at, Member { at, role, below }).is_none()
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
                let worker = instance && self.ties.same_instance(child, member);
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
        base.1.liveness != Liveness::Unsupervised || !self.near.iter().enumerate().any(rival)
    }
}

/// What ties two processes together.
struct Ties<'a> {
    service: &'a Service,
    since: u64,
}

impl Ties<'_> {
    /// Whether two processes, parent and child, are one instance.
    fn same_instance(&self, one: &Judged, other: &Judged) -> bool {
        let instance = |(_, judgement): &Judged| matches!(judgement.identity, Identity::Instance(_));
        let stale = |judged: &Judged, of: &Judged| {
            judged.1.verdict == Verdict::Stale || self.is_late_fork(judged, of)
        };
        let (a, b) = (&one.0.facts, &other.0.facts);
        instance(one)
            && instance(other)
            && stale(one, other)
            && stale(other, one)
            && a.run() == b.run()
            && same_place(a, b)
            && self.same_keys(a, b)
    }

    /// Whether a child of a member is ended with its tree.
    fn belongs(&self, (holder, judgement): &Judged, parent: &Judged) -> bool {
        let (facts, of) = (&holder.facts, &parent.0.facts);
        let instance = matches!(judgement.identity, Identity::Instance(_));
        // What the instance executed since the call began may be its successor.
        let successor = instance && self.is_late(facts) && !forked_from(facts, of);
        may_be_ended(judgement, facts)
            && same_place(facts, of)
            && !successor
            && (!instance || self.same_keys(facts, of))
            && (!of_current_run(facts) || matches!(parent.1.liveness, Liveness::Live(_)))
    }

    /// Whether a process that has lost its parent is of the same service and run as one that is to be ended.
    fn is_orphan(&self, (holder, judgement): &Judged, (base, why): &Judged) -> bool {
        let (facts, of) = (&holder.facts, &base.facts);
        let marked =
            |facts: &Facts| facts.environ.value().is_some_and(|environ| marked(environ, self.service));
        let offspring = matches!(judgement.identity, Identity::Offspring(_));
        let alike = match (&judgement.liveness, &why.liveness) {
            (Liveness::Leftover, Liveness::Leftover) => offspring || judgement.verdict == Verdict::Stale,
            // The instance's own run, which was to be ended although it lives.
            (Liveness::Live(theirs), Liveness::Live(own)) => theirs == own && offspring,
            (Liveness::Unsupervised, Liveness::Unsupervised) => offspring && !self.is_late(facts),
            _ => false,
        };
        alike
            && may_be_ended(judgement, facts)
            && marked(facts)
            && marked(of)
            && of_one_run(facts, of)
            && same_place(facts, of)
            && self.same_keys(facts, of)
    }

    /// Whether the process was forked, since the call began, from one that is to be ended.
    fn is_late_fork(&self, (holder, judgement): &Judged, (base, _): &Judged) -> bool {
        let facts = &holder.facts;
        self.is_late(facts)
            && forked_from(facts, &base.facts)
            && same_place(facts, &base.facts)
            && may_be_ended(judgement, facts)
            && !of_current_run(facts)
    }

    fn is_late(&self, facts: &Facts) -> bool {
        facts.id.start_ticks >= self.since
    }

    fn same_keys(&self, one: &Facts, other: &Facts) -> bool {
        let keys = |facts: &Facts| facts.environ.value().map(|environ| self.service.instance_of(environ));
        keys(one).is_some() && keys(one) == keys(other)
    }
}

/// Whether it executes the very same image: nothing was executed between the two (`Image`).
fn forked_from(facts: &Facts, of: &Facts) -> bool {
    let file = |facts: &Facts| facts.exe.value().map(|exe| exe.file);
    file(facts).is_some() && file(facts) == file(of) && facts.image == of.image
}

/// Not what may not be judged, and not what is to live in any case.
fn may_be_ended(judgement: &Judgement, facts: &Facts) -> bool {
    !matches!(judgement.liveness, Liveness::Protected(_))
        && judgement.identity != Identity::Unknown
        && facts.nested == Seen::Value(false)
}

fn of_current_run(facts: &Facts) -> bool {
    matches!(&facts.record, Record::Current { run, .. } if facts.run() == Some(run))
}

fn of_one_run(one: &Facts, other: &Facts) -> bool {
    one.run().is_some() && one.run() == other.run()
}

fn same_place(one: &Facts, other: &Facts) -> bool {
    one.cgroup.value().is_some() && one.cgroup == other.cgroup
}

/// The topmost process above `pid` of those that are to be ended, by who is below whom.
pub(crate) fn top(pid: u32, below: &BTreeMap<u32, u32>) -> Option<u32> {
    let mut seen = BTreeSet::from([pid]);
    let mut top = None;
    let mut next = pid;
    // A pid that was reused while the tree was read could close a circle.
    while let Some(parent) = below.get(&next).filter(|parent| seen.insert(**parent)) {
        top = Some(*parent);
        next = *parent;
    }
    top
}
