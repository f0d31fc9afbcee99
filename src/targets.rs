//! Whom a round ends: the holders of each port, with each its instance and its tree, and what is swept.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::Error;
use crate::facts::{Holder, Seen};
use crate::identity::Identity;
use crate::liveness::Liveness;
use crate::os::kin;
use crate::os::process::Pinned;
use crate::os::snapshot::Snapshot;
use crate::os::terminate::{Recheck, Target};
use crate::plan::Judged;
use crate::report::{Ending, Fate};
use crate::tree::{Member, Role, family, top};
use crate::verdict::{Context, Judgement, Rule, Verdict, judge};

/// A process that is to be ended, pinned.
pub(crate) type Stale = (Rc<Pinned>, Judged);

/// Those that are ended for one reason: a port, or the sweep.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) base: Vec<Stale>,
    pub(crate) members: Vec<(Stale, Member)>,
    /// Offspring that is not to be ended.
    pub(crate) left: Vec<Rc<Pinned>>,
}

impl Group {
    /// Finds who is ended with `base`: its instance, and with `tree` also what that started.
    pub(crate) fn of(
        base: Vec<Stale>,
        snapshot: &Snapshot,
        context: &Context<'_>,
        tree: bool,
    ) -> Result<Self, Error> {
        let holders: Vec<&Holder> = base.iter().map(|(_, (holder, _))| holder).collect();
        let near = kin::near(&holders, snapshot, context.service.service)?;
        let mut group = Self { base, ..Self::default() };
        for (stale, member) in select(group.base.iter().map(|(_, judged)| judged), near, context)? {
            if tree || member.role != Role::Offspring {
                group.members.push((stale, member));
            } else {
                group.left.push(stale.0);
            }
        }
        Ok(group)
    }

    /// A part of the instance that may not be signalled: without it, the rest would be ended for nothing.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        let of_instance = |role| matches!(role, Role::Launcher | Role::Worker);
        self.members
            .iter()
            .any(|((_, (holder, _)), member)| of_instance(member.role) && !holder.facts.signalable)
    }
}

fn select<'a>(
    base: impl Iterator<Item = &'a Judged>,
    near: Vec<Holder>,
    context: &Context<'_>,
) -> Result<Vec<(Stale, Member)>, Error> {
    let base: Vec<&Judged> = base.collect();
    let near: Vec<Judged> = near.into_iter().map(|holder| judged(holder, context)).collect();
    let members = family(&base, &near, context.service.service, context.caller.id.start_ticks);
    let wanted = members.into_iter().filter_map(|member| Some((near.get(member.at)?, member)));
    let pinned = kin::pin(wanted, |((holder, _), _)| holder.facts.id)?;
    let member = |(pinned, ((holder, judgement), member)): (Rc<Pinned>, (&Judged, Member))| {
        let mut judgement = judgement.clone();
        if judgement.verdict == Verdict::Spare {
            (judgement.verdict, judgement.rule) = (Verdict::Stale, Rule::Tree);
        }
        ((pinned, (holder.clone(), judgement)), member)
    };
    Ok(pinned.into_iter().map(member).collect())
}

fn judged(holder: Holder, context: &Context<'_>) -> Judged {
    let judgement = judge(&holder, context);
    (holder, judgement)
}

/// What ended runs of the service left behind anywhere.
pub(crate) fn leftovers(snapshot: &Snapshot, context: &Context<'_>) -> Result<Vec<Stale>, Error> {
    let near = kin::in_services(snapshot, context.service.service)?;
    let left_over = |(_, judgement): &Judged| matches!(judgement.rule, Rule::StaleLeftover | Rule::OwnUnit);
    let stale = near.into_iter().map(|holder| judged(holder, context)).filter(left_over);
    kin::pin(stale, |(holder, _)| holder.facts.id)
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
    let below: BTreeMap<u32, u32> = all
        .iter()
        .filter_map(|(pid, (_, _, below, _))| Some((*pid, below.filter(|parent| all.contains_key(parent))?)))
        .collect();
    let target = |(pid, (stale, role, _, group)): (&u32, &(&Stale, Role, Option<u32>, usize))| Target {
        pinned: stale.0.clone(),
        judged: stale.1.clone(),
        role: *role,
        top: top(*pid, &below),
        group: *group,
        ending: Ending::new(Fate::Survived('?')),
    };
    all.iter().map(target).collect()
}

/// What has come to the trees of the targets since the call began.
pub(crate) fn newcomers(targets: &[Target], context: &Context<'_>) -> Result<Vec<Target>, Error> {
    let holders: Vec<&Holder> = targets.iter().map(|target| &target.judged.0).collect();
    let since = context.caller.id.start_ticks;
    let near = kin::newcomers(&holders, since, context.service.service)?;
    let base = targets.iter().map(|target| &target.judged);
    let group =
        |pid: Option<u32>| targets.iter().find(|target| Some(target.pid()) == pid).map(|target| target.group);
    let target = |((pinned, judged), member): (Stale, Member)| Target {
        pinned,
        judged,
        role: member.role,
        top: None,
        group: group(member.below).unwrap_or_default(),
        ending: Ending::new(Fate::Survived('?')),
    };
    Ok(select(base, near, context)?.into_iter().map(target).collect())
}

/// The same process by its pidfd, and still what was judged: it may have executed another program since.
pub(crate) fn recheck(pinned: &Pinned, (holder, before): &Judged, context: &Context<'_>) -> Recheck {
    match pinned.facts(context.service.service) {
        Ok(Some(facts)) if facts.exe == Seen::Gone => Recheck::Ending,
        Ok(Some(facts)) => {
            let moved = facts.cgroup != holder.facts.cgroup || facts.nested != holder.facts.nested;
            let now = judge(&Holder { facts, ..holder.clone() }, context);
            match before.rule {
                Rule::Tree if now.identity == Identity::Unknown => Recheck::Unread,
                Rule::Tree if !moved && is_still_of_the_tree(before, &now) => Recheck::Stale,
                Rule::Tree => Recheck::Changed,
                _ if now.verdict == Verdict::Stale => Recheck::Stale,
                _ if now.rule == Rule::Unknown => Recheck::Unread,
                _ => Recheck::Changed,
            }
        }
        Ok(None) => Recheck::Gone,
        Err(_) => Recheck::Unread,
    }
}

/// Offspring may execute what it likes and is offspring still; but not become an instance.
fn is_still_of_the_tree(before: &Judgement, now: &Judgement) -> bool {
    let instance = |judgement: &Judgement| matches!(judgement.identity, Identity::Instance(_));
    !matches!(now.liveness, Liveness::Protected(_)) && (instance(before) || !instance(now))
}
