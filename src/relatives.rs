//! Whom a round ends: the holders of each port, with each its instance and its tree, and what is swept.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use crate::error::Error;
use crate::facts::{Ancestry, Environ, Facts, Holder, ProcessId, Seen, Unit};
use crate::identity::{Identity, marked};
use crate::liveness::Liveness;
use crate::os::kin;
use crate::os::process::Pinned;
use crate::os::snapshot::Lazy;
use crate::os::sockets::all_listeners;
use crate::os::terminate::{Recheck, Target};
use crate::plan::Judged;
use crate::port::{Listener, PortSpec};
use crate::report::{Ending, Fate};
use crate::rules::{Rule, Verdict};
use crate::tree::{Member, Role, family};
use crate::verdict::{Context, Judgement, judge, other_instance};

/// A process that is to be ended, pinned.
pub(crate) type Stale = (Rc<Pinned>, Judged);

/// Those that are ended for one reason: a port, or the sweep.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) base: Vec<Stale>,
    pub(crate) members: Vec<(Stale, Member)>,
    /// One of the members that listens on a port which is not to be cleared, where that keeps all of them: it may be
    /// another server below the same launcher, and nobody asked for its port.
    pub(crate) elsewhere: Option<u32>,
    /// What belongs to them and is not ended: offspring, and where the descriptors do not suffice for all.
    pub(crate) left: BTreeSet<ProcessId>,
}

impl Group {
    /// Finds who is ended with `base`: its instance, and with `tree` also what that started. `cleared` are all ports
    /// that are to be cleared.
    pub(crate) fn of(
        base: Vec<Stale>,
        cleared: &[PortSpec],
        snapshot: &Lazy,
        context: &Context<'_>,
        tree: bool,
    ) -> Result<Self, Error> {
        let near = near(&base, snapshot, context, tree)?;
        let mut group = Self { base, ..Self::default() };
        let base = group.base.iter().map(|(pinned, judged)| (pinned.as_ref(), judged));
        let wanted = |member: &Member| tree || member.role != Role::Offspring;
        let (members, left) = select(base, near.clone(), context, wanted)?;
        (group.members, group.left) = (members, left.into_iter().map(|(id, _)| id).collect());
        if !tree {
            group.elsewhere = group.serves_elsewhere(near, cleared, context)?;
        }
        Ok(group)
    }

    /// A part of the instance, or what its launchers have started beside the holders. What an ended run left is stale,
    /// whatever it serves.
    fn serves_elsewhere(
        &mut self,
        near: Vec<Holder>,
        cleared: &[PortSpec],
        context: &Context<'_>,
    ) -> Result<Option<u32>, Error> {
        let current = |((_, (_, judgement)), _): &&(Stale, Member)| judgement.liveness != Liveness::Leftover;
        if !self.members.iter().any(|member| current(&member)) {
            return Ok(None);
        }
        let launchers =
            self.members.iter().filter(current).filter(|(_, member)| member.role == Role::Launcher);
        let beside = self.beside(launchers.map(|(stale, _)| pid_of(stale)).collect(), near);
        let asked = |listener: &Listener| cleared.iter().any(|spec| spec.is_refused_by(listener));
        let mut listeners = all_listeners()?;
        listeners.retain(|listener| !asked(listener));
        let mut inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
        for (pinned, _) in &self.base {
            let held = pinned.held(&inodes)?;
            inodes.retain(|inode| !held.contains(inode));
        }
        for (stale, _) in self.members.iter().filter(current) {
            if !stale.0.held(&inodes)?.is_empty() {
                return Ok(Some(pid_of(stale)));
            }
        }
        for holder in beside {
            let pins = kin::pin(std::iter::once(holder), |holder| holder.facts.id)?;
            for (pinned, holder) in pins.pinned {
                if !pinned.held(&inodes)?.is_empty() {
                    let stale = (pinned, judged(holder, context));
                    let pid = pid_of(&stale);
                    self.members.push((stale, Member { at: 0, role: Role::Offspring, below: None }));
                    return Ok(Some(pid));
                }
            }
        }
        Ok(None)
    }

    /// What is below the launchers, and neither a holder, nor below one, nor a member.
    fn beside(&self, launchers: BTreeSet<u32>, near: Vec<Holder>) -> Vec<Holder> {
        let holders: BTreeSet<u32> = self.base.iter().map(pid_of).collect();
        let members: BTreeSet<u32> = self.members.iter().map(|(stale, _)| pid_of(stale)).collect();
        let mut above = launchers;
        loop {
            let known = above.len();
            let below = |holder: &&Holder| above.contains(&holder.facts.ppid);
            let new: Vec<u32> = near.iter().filter(below).map(|holder| holder.facts.id.pid).collect();
            above.extend(new.into_iter().filter(|pid| !holders.contains(pid)));
            if above.len() == known {
                break;
            }
        }
        let beside = |holder: &Holder| above.contains(&holder.facts.id.pid);
        near.into_iter().filter(|holder| beside(holder) && !members.contains(&holder.facts.id.pid)).collect()
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.elsewhere.is_some() || self.is_out_of_reach()
    }

    /// A part of the instance that may not be signalled: without it, the rest would be ended for nothing.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        let of_instance = |role| matches!(role, Role::Launcher | Role::Worker);
        self.members
            .iter()
            .any(|((_, (holder, _)), member)| of_instance(member.role) && !holder.facts.signalable)
    }
}

/// What is to be looked at around `base`. A snapshot of all processes is only needed where there may be more than
/// the holders and what is above them: where they have children, or a run by which orphans are told.
fn near(base: &[Stale], snapshot: &Lazy, context: &Context<'_>, tree: bool) -> Result<Vec<Holder>, Error> {
    let service = context.service.service;
    let holders: Vec<&Holder> = base.iter().map(|(_, (holder, _))| holder).collect();
    let of_run = |holder: &Holder| {
        holder.facts.run().is_some() && holder.facts.environ.value().is_some_and(|own| marked(own, service))
    };
    if !tree && !holders.iter().any(|holder| of_run(holder)) {
        let above = above(&holders);
        let judged_above: Vec<Judged> = above.iter().map(|holder| judged(holder.clone(), context)).collect();
        let own: Vec<(&Judged, bool)> = base.iter().map(|(_, judged)| (judged, true)).collect();
        let launchers = family(&own, &judged_above, service, context.caller.since).into_iter();
        let launchers = launchers.filter_map(|member| above.get(member.at));
        let instance = holders.iter().copied().chain(launchers).map(|holder| holder.facts.id.pid).collect();
        if !kin::has_another_child(&instance) {
            return Ok(above);
        }
    }
    kin::near(&holders, snapshot.get()?, service)
}

/// The parents of the holders, as they were read with them.
fn above(holders: &[&Holder]) -> Vec<Holder> {
    let mut above: BTreeMap<u32, Holder> = BTreeMap::new();
    for holder in holders {
        let line = &holder.ancestry.line;
        for (at, facts) in line.iter().enumerate() {
            let line = line.get(at + 1..).unwrap_or_default().to_vec();
            let ancestry = Ancestry { line, complete: holder.ancestry.complete };
            let ancestor = Holder { facts: Facts::clone(facts), inodes: Vec::new(), ancestry };
            above.entry(facts.id.pid).or_insert(ancestor);
        }
    }
    holders.iter().for_each(|holder| drop(above.remove(&holder.facts.id.pid)));
    above.into_values().collect()
}

/// Those that are wanted, pinned, and the rest.
type Selected = (Vec<(Stale, Member)>, Vec<(ProcessId, Member)>);

/// Who belongs to `base`.
fn select<'a>(
    base: impl Iterator<Item = (&'a Pinned, &'a Judged)>,
    near: Vec<Holder>,
    context: &Context<'_>,
    wanted: impl Fn(&Member) -> bool,
) -> Result<Selected, Error> {
    // Now, after all the others were read: who has ended is nobody's parent, and its pid may be another's.
    let base: Vec<(&Judged, bool)> =
        base.map(|(pinned, judged)| Ok((judged, pinned.pidfd.is_alive()?))).collect::<Result<_, Error>>()?;
    let near: Vec<Judged> = near.into_iter().map(|holder| judged(holder, context)).collect();
    let id = |member: Member| Some((near.get(member.at)?.0.facts.id, member));
    let members = family(&base, &near, context.service.service, context.caller.since);
    let (members, left): (Vec<Member>, Vec<Member>) = members.into_iter().partition(&wanted);
    let members = members.into_iter().filter_map(|member| Some((near.get(member.at)?, member)));
    let pins = kin::pin(members, |((holder, _), _)| holder.facts.id)?;
    let member = |(pinned, ((holder, judgement), member)): (Rc<Pinned>, (&Judged, Member))| {
        let mut judgement = judgement.clone();
        if judgement.verdict == Verdict::Spare {
            (judgement.verdict, judgement.rule) = (Verdict::Stale, Rule::Tree);
        }
        ((pinned, (holder.clone(), judgement)), member)
    };
    let rest = pins.rest.into_iter().map(|((holder, _), member)| (holder.facts.id, member));
    let left = left.into_iter().filter_map(id).chain(rest).collect();
    Ok((pins.pinned.into_iter().map(member).collect(), left))
}

fn pid_of((_, (holder, _)): &Stale) -> u32 {
    holder.facts.id.pid
}

fn judged(holder: Holder, context: &Context<'_>) -> Judged {
    let judgement = judge(&holder, context);
    (holder, judgement)
}

/// What ended runs of the service left behind anywhere, but for what is in the way of a port: that is judged with
/// the port. And what went wrong with one of them.
///
/// By its marker, or in the caller's own unit: a gateway that was started by cron.service, whose run may have ended
/// long ago, is nothing that a run of the service left.
pub(crate) fn leftovers(
    snapshot: &Lazy,
    ports: &BTreeSet<ProcessId>,
    context: &Context<'_>,
) -> Result<(Group, Option<Error>), Error> {
    let service = context.service.service;
    let wanted = |unit: &Unit, environ: &Environ| marked(environ, service) || context.caller.owns(unit);
    let (near, error) = kin::in_services(snapshot.get()?, service, wanted);
    let left_over = |(holder, judgement): &Judged| match judgement.rule {
        Rule::OwnUnit => true,
        Rule::StaleLeftover => !other_instance(holder, context),
        _ => false,
    };
    let elsewhere = near.into_iter().filter(|holder| !ports.contains(&holder.facts.id));
    let stale = elsewhere.map(|holder| judged(holder, context)).filter(left_over);
    let pins = kin::pin(stale, |(holder, _)| holder.facts.id)?;
    let left = pins.rest.into_iter().map(|(holder, _)| holder.facts.id).collect();
    Ok((Group { base: pins.pinned, left, ..Group::default() }, error))
}

/// All that is to be ended, each process once, and who is to be asked before whom. What holds a port is that
/// before it is anything else.
pub(crate) fn targets(groups: &[Group], sweep: Option<usize>) -> Vec<Target> {
    let mut all: BTreeMap<u32, (&Stale, Role, Option<u32>, usize)> = BTreeMap::new();
    let mut add = |stale, role, below: Option<u32>, group| {
        let (_, (holder, _)): &Stale = stale;
        let below = below.or(Some(holder.facts.ppid));
        all.entry(holder.facts.id.pid).or_insert((stale, role, below, group));
    };
    for swept in [false, true] {
        let role = if swept { Role::Leftover } else { Role::Holder };
        let groups = || groups.iter().enumerate().filter(|(at, _)| (sweep == Some(*at)) == swept);
        for (at, group) in groups() {
            group.base.iter().for_each(|stale| add(stale, role, None, at));
        }
        for (at, group) in groups() {
            group.members.iter().for_each(|(stale, member)| add(stale, member.role, member.below, at));
        }
    }
    let target = |(pid, (stale, role, below, group)): (&u32, &(&Stale, Role, Option<u32>, usize))| Target {
        pinned: stale.0.clone(),
        judged: stale.1.clone(),
        role: *role,
        below: below.filter(|parent| parent != pid && all.contains_key(parent)),
        group: *group,
        ending: Ending::new(Fate::Survived('?')),
    };
    all.iter().map(target).collect()
}

/// Newcomers to the trees of the targets, and those that the descriptors did not suffice for, each with its group.
type Newcomers = (Vec<Target>, BTreeSet<(usize, ProcessId)>);

/// What has come to the trees of the targets since the call began, as far as it was found by `until`.
pub(crate) fn newcomers(
    targets: &[Target],
    until: Instant,
    context: &Context<'_>,
) -> Result<Newcomers, Error> {
    let known: Vec<&Holder> = targets.iter().map(|target| &target.judged.0).collect();
    let near = kin::newcomers(&known, context.caller.since, until, context.service.service)?;
    let base = targets.iter().map(|target| (target.pinned.as_ref(), &target.judged));
    let group = |member: Member| {
        let above = targets.iter().find(|target| Some(target.pid()) == member.below);
        above.map(|target| target.group).unwrap_or_default()
    };
    let target = |((pinned, judged), member): (Stale, Member)| Target {
        pinned,
        judged,
        role: member.role,
        below: member.below,
        group: group(member),
        ending: Ending::new(Fate::Survived('?')),
    };
    let (members, rest) = select(base, near, context, |_| true)?;
    let rest = rest.into_iter().map(|(id, member)| (group(member), id));
    Ok((members.into_iter().map(target).collect(), rest.collect()))
}

/// The same process by its pidfd, and still what was judged: it may have executed another program since.
pub(crate) fn recheck(pinned: &Pinned, (holder, before): &Judged, context: &Context<'_>) -> Recheck {
    match pinned.facts(context.service.service) {
        Ok(Some(facts)) if facts.exe == Seen::Gone => Recheck::Ending,
        Ok(Some(facts)) => {
            let moved = facts.cgroup != holder.facts.cgroup || facts.nested != holder.facts.nested;
            // An image that others have, too, tells no exec from none.
            let same_image = facts.image == holder.facts.image;
            let executed = !same_image || !facts.image.is_unique();
            let now = judge(&Holder { facts, ..holder.clone() }, context);
            match before.rule {
                // It was put where it outlives.
                _ if moved => Recheck::Changed,
                Rule::Tree if now.identity == Identity::Unknown => Recheck::Unread,
                Rule::Tree if is_still_of_the_tree(before, &now, executed) => Recheck::Stale,
                Rule::Tree => Recheck::Changed,
                // A server that executes itself anew to serve on, with the listener it has, is its own successor.
                _ if now.verdict == Verdict::Stale && same_image => Recheck::Stale,
                _ if now.rule == Rule::Unknown => Recheck::Unread,
                _ => Recheck::Changed,
            }
        }
        Ok(None) => Recheck::Gone,
        Err(_) => Recheck::Unread,
    }
}

/// Offspring may execute what it likes and is offspring still. An instance that was executed since may be the
/// successor, and what a late fork has executed is not what was judged.
fn is_still_of_the_tree(before: &Judgement, now: &Judgement, executed: bool) -> bool {
    let instance = |judgement: &Judgement| matches!(judgement.identity, Identity::Instance(_));
    let same = !executed || !instance(before) && !instance(now);
    same && !matches!(now.liveness, Liveness::Protected(_))
}
