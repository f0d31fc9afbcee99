//! Find the targets of a round: the holders with their members, and the processes that ended runs left behind.

use std::collections::{BTreeMap, BTreeSet};

use super::target::Target;
use crate::judge::instance::Family;
use crate::judge::plan::{Group, Purpose};
use crate::judge::{Asked, Judged};
use crate::model::{Environ, Error, Process, ProcessId, Role, Unit, Verdict, Why};
use crate::read::{self, Partly, Pinned, Pins, Processes};

/// Reads the relatives of a group, and finds its members among them.
pub(crate) fn gather(
    group: &mut Group, pins: &Pins, processes: &mut Processes, asked: &Asked<'_>,
) -> Result<(), Error> {
    group.relatives = relatives(&group.base, processes, asked)?;
    // After the relatives were read: an ended process is nobody's parent, and its pid may have been reused.
    for id in group.base.iter().map(Judged::id) {
        if !pins.get(id)?.pidfd().is_alive()? {
            group.ended.insert(id);
        }
    }
    group.find_members(asked);
    if !asked.policy.ends.tree && group.purpose != Purpose::Sweep {
        serving(group, pins)?;
    }
    Ok(())
}

/// The relatives of the base. It lists all processes only if there may be more than the parents: if the instance has
/// other children, or a run that shows its orphans.
fn relatives(base: &[Judged], processes: &mut Processes, asked: &Asked<'_>) -> Result<Vec<Judged>, Error> {
    let service = &asked.policy.service;
    let judged = |found: Vec<Process>| found.into_iter().map(|process| asked.judge_relative(process.into())).collect();
    let has_orphans = |judged: &Judged| {
        let facts = &judged.process.facts;
        facts.run.is_some() && facts.environ.value().is_some_and(|environ| service.is_marked(environ))
    };
    if !asked.policy.ends.tree && !base.iter().any(has_orphans) {
        let above: Vec<Judged> = judged(above(base));
        let alive = base.iter().map(|judged| (judged, true)).collect();
        let launchers = Family { base: alive, relatives: &above }.members(asked);
        let instance = base.iter().map(Judged::id).chain(launchers.iter().map(|member| member.judged.id()));
        if !read::has_another_child(&instance.map(|id| id.pid).collect()) {
            return Ok(above);
        }
    }
    let base: Vec<&Process> = base.iter().map(|judged| &*judged.process).collect();
    Ok(judged(read::relatives(&base, processes.get()?, service)?))
}

/// The parents of the base, as they were read with it.
fn above(base: &[Judged]) -> Vec<Process> {
    let mut above: BTreeMap<u32, Process> = BTreeMap::new();
    for (facts, ancestry) in base.iter().flat_map(|judged| judged.process.ancestry.with_ancestries()) {
        let process = || Process { facts: (**facts).clone(), inodes: Vec::new(), ports: Vec::new(), ancestry };
        above.entry(facts.id.pid).or_insert_with(process);
    }
    base.iter().for_each(|judged| drop(above.remove(&judged.id().pid)));
    above.into_values().collect()
}

/// Reads the listeners of relatives that may serve another port.
fn serving(group: &mut Group, pins: &Pins) -> Result<(), Error> {
    let relatives = group.may_serve_elsewhere();
    if relatives.is_empty() {
        return Ok(());
    }
    let mut listeners = read::all_listeners()?;
    for holder in &group.base {
        let inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
        let held = pins.get(holder.id())?.held(&inodes)?;
        listeners.retain(|listener| !held.contains(&listener.inode));
    }
    let inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
    for id in relatives {
        let Some(pinned) = Pinned::again(id)? else { continue };
        let held = pinned.held(&inodes)?;
        let held = listeners.iter().filter(|listener| held.contains(&listener.inode));
        group.serving.extend(held.map(|listener| (id, listener.clone())));
    }
    Ok(())
}

/// The group to sweep. Its errors do not keep a port from being cleared. The `holders` belong to their port. `None`: the
/// policy does not sweep, and there is no rival to end.
pub(crate) fn sweep(
    holders: &BTreeSet<ProcessId>, pins: &mut Pins, processes: &mut Processes, asked: &Asked<'_>,
) -> Option<Partly<Group>> {
    let mut group = Group::new(Purpose::Sweep);
    let mut status = Ok(());
    let mut gathered = || {
        if asked.policy.ends.sweep {
            let Partly { found, status: of_search } = leftovers(holders, processes, asked);
            status = of_search;
            let held = pins.pin(found.into_iter(), Judged::id)?;
            (group.base, group.remainder) = (held.pinned, held.unpinned.iter().map(Judged::id).collect());
            gather(&mut group, pins, processes, asked)?;
        }
        if let Some(rival) = rival(holders, pins, processes, asked)? {
            group.join(rival);
        }
        pin_members(&mut group, pins)
    };
    match gathered() {
        Ok(()) if group.base.is_empty() && !asked.policy.ends.sweep => None,
        Ok(()) => Some(Partly { found: group, status }),
        Err(error) => Some(Partly { found: Group::new(Purpose::Sweep), status: Err(error) }),
    }
}

/// Processes that ended runs of the service left behind anywhere.
///
/// They carry the marker, or are in the caller's own unit. A gateway that cron.service started is not swept without a
/// marker: its ended run was no run of the service.
fn leftovers(holders: &BTreeSet<ProcessId>, processes: &mut Processes, asked: &Asked<'_>) -> Partly<Vec<Judged>> {
    let service = &asked.policy.service;
    let wanted = |unit: &Unit, environ: &Environ| service.is_marked(environ) || asked.caller.owns(unit);
    let Partly { found, status } = match processes.get() {
        Ok(snapshot) => read::in_services(snapshot, service, wanted),
        Err(error) => Partly { found: Vec::new(), status: Err(error) },
    };
    let is_left_over = |judged: &Judged| match judged.judgement.verdict {
        Verdict::Stale(Why::OwnUnit) => true,
        Verdict::Stale(Why::Leftover) => !asked.is_another_instance(&judged.process.facts),
        Verdict::Stale(_) | Verdict::Spared(_) => false,
    };
    let others = found.into_iter().filter(|process| !holders.contains(&process.id()));
    let found = others.map(|process| asked.judge(process.into())).filter(is_left_over).collect();
    Partly { found, status }
}

/// The stale instance that uses the caller's state folder, on whatever port: the service refuses to start beside it. No
/// run has ended for it, so a part of it that serves another port spares it, as it would a holder. Where nothing is
/// swept, it is one that an ended run left in the caller's own unit: everything that such a run left there is stale.
fn rival(
    holders: &BTreeSet<ProcessId>, pins: &mut Pins, processes: &mut Processes, asked: &Asked<'_>,
) -> Result<Option<Group>, Error> {
    let named = read::rival(&asked.policy.service).filter(|named| !holders.contains(&named.id));
    let Some(named) = named else { return Ok(None) };
    let Some(process) = read::process(named.id, &asked.policy.service)? else { return Ok(None) };
    let rival = asked.judge(process.into());
    let is_ended = match rival.judgement.verdict {
        Verdict::Stale(Why::Instance | Why::Leftover) => asked.policy.ends.sweep,
        Verdict::Stale(Why::OwnUnit) => asked.policy.ends.sweep || rival.judgement.identity.is_instance(),
        Verdict::Stale(_) | Verdict::Spared(_) => false,
    };
    if !is_ended {
        return Ok(None);
    }
    let mut group = Group::new(Purpose::Sweep);
    group.base = pins.pin(std::iter::once(rival), Judged::id)?.pinned;
    gather(&mut group, pins, processes, asked)?;
    serving(&mut group, pins)?;
    Ok(group.serving.is_empty().then_some(group))
}

/// Pins the members of a group that is to be ended. Members for which there are too few descriptors become remainder.
pub(crate) fn pin_members(group: &mut Group, pins: &mut Pins) -> Result<(), Error> {
    let held = pins.pin(std::mem::take(&mut group.members).into_iter(), |member| member.judged.id())?;
    group.members = held.pinned;
    group.remainder.extend(held.unpinned.iter().map(|member| member.judged.id()));
    Ok(())
}

/// A sweep takes what ended runs left behind, and a rival. No run has left that one behind.
const fn role(judged: &Judged, swept: bool) -> Role {
    match judged.judgement.verdict {
        _ if !swept => Role::Holder,
        Verdict::Stale(Why::Instance) => Role::Rival,
        Verdict::Stale(_) | Verdict::Spared(_) => Role::Leftover,
    }
}

/// All targets, each once, and for each the target that is asked before it. A process with several roles is first a
/// holder, then a member of a port, then swept.
pub(crate) fn targets(groups: &[Group], pins: &Pins) -> Result<Vec<Target>, Error> {
    let mut all: BTreeMap<ProcessId, Target> = BTreeMap::new();
    let mut add = |target: Target| {
        all.entry(target.id()).or_insert(target);
    };
    for swept in [false, true] {
        let is_of_now = |group: &&Group| group.refused.is_none() && (group.purpose == Purpose::Sweep) == swept;
        for group in groups.iter().filter(is_of_now) {
            for judged in &group.base {
                let pinned = pins.get(judged.id())?.clone();
                add(Target::new(pinned, group.purpose, role(judged, swept), judged.clone()));
            }
        }
        for group in groups.iter().filter(is_of_now) {
            for member in &group.members {
                let pinned = pins.get(member.judged.id())?.clone();
                add(Target::of_member(pinned, group.purpose, member.clone()));
            }
        }
    }
    let by_pid: BTreeMap<u32, ProcessId> = all.keys().map(|id| (id.pid, *id)).collect();
    for target in all.values_mut() {
        let parent = by_pid.get(&target.judged.process.facts.ppid).copied();
        let above = target.above.filter(|id| by_pid.get(&id.pid) == Some(id)).or(parent);
        target.above = above.filter(|id| *id != target.id());
    }
    Ok(all.into_values().collect())
}
