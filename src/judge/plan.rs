//! Plan for each port: all holders are ended, or none. A partial kill does harm and frees nothing. Pure.

use std::collections::BTreeSet;

use super::instance::{Family, Member};
use super::{Asked, Judged};
use crate::model::{Judgement, Listener, Liveness, PortSpec, ProcessId, Role, Verdict, Why, WhyNot, WhyUnseen, World};

/// What was decided about one port, and what led to it.
#[derive(Debug)]
pub(crate) struct PortPlan {
    pub(crate) spec: PortSpec,
    /// The listeners in the way.
    pub(crate) listeners: Vec<Listener>,
    /// Their holders.
    pub(crate) holders: Vec<Judged>,
    pub(crate) decision: Decision,
}

/// What to do about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// End all holders.
    Clear,
    /// End nothing: a rule spares a holder, and more rights would not change that.
    Held,
    /// End nothing: the holder of a listener cannot be seen, read or signalled from here.
    Unseen(WhyUnseen),
    /// Nobody listens.
    NobodyListens,
}

pub(crate) fn port(spec: PortSpec, world: &World, asked: &Asked<'_>) -> PortPlan {
    let in_the_way = |listener: &&Listener| spec.is_refused_by(listener);
    let listeners: Vec<Listener> = world.listeners.iter().filter(in_the_way).cloned().collect();
    let inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
    let holders = world.holders.iter().filter(|holder| holder.holds_any_of(&inodes));
    let holders: Vec<Judged> = holders.map(|holder| asked.judge_holder(holder.clone())).collect();
    let decision = decide(&listeners, &holders, world.settled);
    PortPlan { spec, listeners, holders, decision }
}

fn decide(listeners: &[Listener], holders: &[Judged], settled: bool) -> Decision {
    use Verdict::Spared;
    if listeners.is_empty() {
        return Decision::NobodyListens;
    }
    let verdict = |judged: &Judged| judged.judgement.verdict;
    let spared = |judged: &Judged| matches!(verdict(judged), Spared(why) if why != WhyNot::Unknown);
    if holders.iter().any(spared) {
        return Decision::Held;
    }
    if !settled {
        return Decision::Unseen(WhyUnseen::Unsettled);
    }
    if let Some(holder) = holders.iter().find(|holder| !holder.process.facts.signalable) {
        return Decision::Unseen(WhyUnseen::NotPermitted(holder.id()));
    }
    if let Some(holder) = holders.iter().find(|holder| verdict(holder) == Spared(WhyNot::Unknown)) {
        return Decision::Unseen(WhyUnseen::Unread(holder.id()));
    }
    let is_held = |inode| holders.iter().any(|holder| holder.process.inodes.contains(&inode));
    match listeners.iter().find(|listener| !is_held(listener.inode)) {
        Some(hidden) => Decision::Unseen(WhyUnseen::Hidden(hidden.uid)),
        None => Decision::Clear,
    }
}

/// Why processes are ended: for a port, or because the policy sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Port(PortSpec),
    Sweep,
}

/// Processes for one purpose: all of them are ended, or none.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) purpose: Purpose,
    /// The holders, or the processes to sweep.
    pub(crate) base: Vec<Judged>,
    /// Processes of the base that have ended since they were read. Their pids may have been reused.
    pub(crate) ended: BTreeSet<ProcessId>,
    /// The relatives of the base, in the order in which they were read.
    pub(crate) relatives: Vec<Judged>,
    /// Listeners that relatives hold, and that the base does not.
    pub(crate) serving: Vec<(ProcessId, Listener)>,
    /// Relatives that are ended with the base.
    pub(crate) members: Vec<Member>,
    /// Processes that belong to the base, and are not ended.
    pub(crate) remainder: BTreeSet<ProcessId>,
    pub(crate) refused: Option<Refused>,
}

/// Why a group is left alone as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    /// This process serves a port that is not to be cleared. It is part of the instance, or its launcher started it: it
    /// may be another server below the same launcher.
    Elsewhere(ProcessId),
    /// This part of the instance may not be signalled. The others would be ended for nothing.
    OutOfReach(ProcessId),
}

impl Group {
    pub(crate) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            base: Vec::new(),
            ended: BTreeSet::new(),
            relatives: Vec::new(),
            serving: Vec::new(),
            members: Vec::new(),
            remainder: BTreeSet::new(),
            refused: None,
        }
    }

    /// Adds another group for the same purpose. What is in both stays as it is here.
    pub(crate) fn join(&mut self, other: Self) {
        let is_new = |judged: &Judged| !self.base.iter().any(|known| known.id() == judged.id());
        let base: Vec<Judged> = other.base.into_iter().filter(is_new).collect();
        self.base.extend(base);
        self.members.extend(other.members);
        self.remainder.extend(other.remainder);
    }

    /// Splits the family into members and remainder. Offspring is remainder, unless the policy ends the tree.
    pub(crate) fn find_members(&mut self, asked: &Asked<'_>) {
        let base = self.base.iter().map(|judged| (judged, !self.ended.contains(&judged.id()))).collect();
        let all = Family { base, relatives: &self.relatives }.members(asked);
        let wanted = |member: &Member| asked.policy.ends.tree || member.role != Role::Offspring;
        let (members, remainder): (Vec<_>, Vec<_>) = all.into_iter().partition(wanted);
        self.remainder.extend(remainder.iter().map(|member| member.judged.id()));
        self.members = members.into_iter().map(Member::ended_with_its_instance).collect();
    }

    /// Where a person is asked, a member that was not approved is left alone: it may have come after the question.
    pub(crate) fn keep_approved(&mut self, asked: &Asked<'_>) {
        let is_approved = |member: &Member| asked.policy.approval(&member.judged.process.facts) != Some(false);
        let (approved, others) = std::mem::take(&mut self.members).into_iter().partition(is_approved);
        self.members = approved;
        self.remainder.extend(others.iter().map(|member: &Member| member.judged.id()));
    }

    /// Relatives that may serve another port: members, and processes that the launchers started beside the holders. A
    /// process that an ended run left behind is stale, whatever it serves.
    pub(crate) fn may_serve_elsewhere(&self) -> Vec<ProcessId> {
        let is_current = |member: &&Member| member.judged.judgement.liveness != Liveness::Leftover;
        let current: Vec<&Member> = self.members.iter().filter(is_current).collect();
        let launcher = |pid| current.iter().any(|m| m.role == Role::Launcher && m.judged.id().pid == pid);
        let holder = |pid| self.base.iter().any(|judged| judged.id().pid == pid);
        let is_beside = |relative: &&Judged| {
            let mut above = relative.process.ancestry.parents().map(|facts| facts.id.pid);
            above.find(|pid| launcher(*pid) || holder(*pid)).is_some_and(launcher)
        };
        let is_member = |id| self.members.iter().any(|member| member.judged.id() == id);
        let beside = self.relatives.iter().filter(is_beside).map(Judged::id).filter(|id| !is_member(*id));
        current.iter().map(|member| member.judged.id()).chain(beside).collect()
    }

    fn refusal(&self, cleared: &[PortSpec]) -> Option<Refused> {
        let in_the_way = |listener: &Listener| cleared.iter().any(|spec| spec.is_refused_by(listener));
        if let Some((id, _)) = self.serving.iter().find(|(_, listener)| !in_the_way(listener)) {
            return Some(Refused::Elsewhere(*id));
        }
        let out_of_reach = |member: &&Member| {
            let of_instance = matches!(member.role, Role::Launcher | Role::Worker);
            of_instance && !member.judged.process.facts.signalable
        };
        self.members.iter().find(out_of_reach).map(|member| Refused::OutOfReach(member.judged.id()))
    }

    /// Puts the relative that serves another port among the members, so that the report shows it.
    fn spare(&mut self, id: ProcessId) {
        let verdict = Verdict::Spared(WhyNot::Elsewhere);
        if let Some(member) = self.members.iter_mut().find(|member| member.judged.id() == id) {
            member.judged.judgement.verdict = verdict;
        } else if let Some(judged) = self.relatives.iter().find(|relative| relative.id() == id) {
            let judgement = Judgement { verdict, ..judged.judgement.clone() };
            let judged = Judged { judgement, process: judged.process.clone() };
            self.members.push(Member { judged, role: Role::Offspring, of: id, below: None });
        }
    }
}

impl Member {
    /// A member goes with its instance, whatever its own verdict was.
    pub(crate) fn ended_with_its_instance(mut self) -> Self {
        let verdict = &mut self.judged.judgement.verdict;
        if !verdict.is_stale() {
            *verdict = Verdict::Stale(Why::Tree);
        }
        self
    }
}

/// Refuses the groups that cannot be ended as a whole. A member may serve another port that is to be cleared, too. If
/// that port is refused later, this group is refused as well: hence the loop.
pub(crate) fn all_or_nothing(groups: &mut [Group]) {
    let port = |group: &Group| match group.purpose {
        Purpose::Port(spec) => Some(spec),
        Purpose::Sweep => None,
    };
    let mut cleared: Vec<PortSpec> = groups.iter().filter_map(port).collect();
    loop {
        for group in groups.iter_mut() {
            group.refused = group.refusal(&cleared);
        }
        let left: Vec<PortSpec> = groups.iter().filter(|group| group.refused.is_none()).filter_map(port).collect();
        if left.len() == cleared.len() {
            break;
        }
        cleared = left;
    }
    for group in groups {
        if let Some(Refused::Elsewhere(id)) = group.refused {
            group.spare(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Evidence, Facts, Identity};
    use crate::testing::{ancestors, facts, process, service};

    fn judged(inodes: &[u64], verdict: Verdict, signalable: bool) -> Judged {
        let mut holder = process(facts(7, 10), ancestors(&[1], true));
        holder.inodes = inodes.to_vec();
        holder.facts.signalable = signalable;
        let identity = Identity::Instance(Evidence::Executable);
        let judgement = Judgement { identity, liveness: Liveness::Unsupervised, verdict, service: service() };
        Judged { process: holder.into(), judgement }
    }

    #[test]
    fn one_spared_or_unseen_holder_spares_them_all() {
        use Decision::{Clear, Held, NobodyListens, Unseen};
        use Verdict::{Spared, Stale};
        let stale = |inodes: &[u64]| judged(inodes, Stale(Why::Instance), true);
        let any = |inodes: &[u64]| judged(inodes, Stale(Why::AnyOwner), true);
        let spared = |inodes: &[u64], why| judged(inodes, Spared(why), true);
        let foreign = |inodes: &[u64]| spared(inodes, WhyNot::Foreign);
        let unread = |inodes: &[u64]| spared(inodes, WhyNot::Unknown);
        let id = judged(&[], Stale(Why::Instance), true).id();
        // inodes of the listeners, holders → decision
        let table = [
            (vec![1], vec![stale(&[1])], Clear),
            (vec![1, 2], vec![stale(&[1]), stale(&[2])], Clear),
            (vec![1, 2], vec![any(&[1, 2])], Clear),
            (vec![1], vec![stale(&[1]), foreign(&[1])], Held),
            (vec![1, 2], vec![stale(&[1]), spared(&[2], WhyNot::Live)], Held),
            (vec![1, 2], vec![stale(&[1])], Unseen(WhyUnseen::Hidden(9))),
            (vec![1], vec![], Unseen(WhyUnseen::Hidden(9))),
            (vec![], vec![], NobodyListens),
            (vec![1], vec![stale(&[1]), unread(&[1])], Unseen(WhyUnseen::Unread(id))),
            (
                vec![1],
                vec![stale(&[1]), judged(&[1], Stale(Why::Instance), false)],
                Unseen(WhyUnseen::NotPermitted(id)),
            ),
            (vec![1], vec![unread(&[1]), foreign(&[1])], Held),
            (vec![1, 2], vec![judged(&[1], Spared(WhyNot::Foreign), false)], Held),
        ];
        for (inodes, holders, expected) in table {
            let local = "127.0.0.1:80".parse().unwrap();
            let listener = |inode: &u64| Listener { local, inode: *inode, uid: 9, v6only: None };
            let listeners: Vec<Listener> = inodes.iter().map(listener).collect();
            assert_eq!(decide(&listeners, &holders, true), expected, "{inodes:?} {holders:?}");
            let unsettled = match expected {
                Held | NobodyListens => expected,
                Clear | Unseen(_) => Unseen(WhyUnseen::Unsettled),
            };
            assert_eq!(decide(&listeners, &holders, false), unsettled, "{inodes:?} {holders:?}");
        }
    }

    /// A holder of the port, and a worker that also serves `serves`.
    fn group(port: u16, pid: u32, serves: Option<u16>, signalable: bool) -> Group {
        let spec = PortSpec::any(port.try_into().unwrap());
        let relative = |pid| {
            let facts = Facts { signalable, ..facts(pid, 10) };
            let process = process(facts, ancestors(&[1], true)).into();
            Judged { process, ..judged(&[], Verdict::Stale(Why::Instance), signalable) }
        };
        let mut group = Group::new(Purpose::Port(spec));
        (group.base, group.relatives) = (vec![relative(pid)], vec![relative(pid + 1)]);
        let of = group.base[0].id();
        let worker = Member { judged: group.relatives[0].clone(), role: Role::Worker, of, below: Some(of) };
        let local = |port: u16| ([127, 0, 0, 1], port).into();
        let listener = |port| Listener { local: local(port), inode: 1, uid: 0, v6only: None };
        group.serving = serves.into_iter().map(|port| (worker.judged.id(), listener(port))).collect();
        group.members = vec![worker];
        group
    }

    #[test]
    fn a_worker_may_serve_a_port_that_is_cleared_too_and_no_other() {
        // port, what its worker serves beside it, may it be signalled → refused
        let elsewhere = |group: &Group| matches!(group.refused, Some(Refused::Elsewhere(_)));
        let table = [
            (vec![(80, Some(81), true)], vec![true]),
            (vec![(80, None, true)], vec![false]),
            (vec![(80, Some(81), true), (81, Some(80), true)], vec![false, false]),
            // The second is out of reach, so its port is not cleared, and the first and the third serve a port that stays.
            (vec![(80, Some(81), true), (81, None, false), (82, Some(80), true)], vec![true, false, true]),
        ];
        for (ports, refused) in table {
            let made = ports
                .iter()
                .zip(1..)
                .map(|((port, serves, signalable), at)| group(*port, at * 10, *serves, *signalable));
            let mut groups: Vec<Group> = made.collect();
            all_or_nothing(&mut groups);
            assert_eq!(groups.iter().map(elsewhere).collect::<Vec<_>>(), refused, "{ports:?}");
            for group in groups.iter().filter(|group| elsewhere(group)) {
                let verdict = group.members[0].judged.judgement.verdict;
                assert_eq!(verdict, Verdict::Spared(WhyNot::Elsewhere), "{ports:?}");
            }
        }
    }
}
