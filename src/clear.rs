//! The flow: probe, survey, judge, plan, terminate, probe. One way; a second round only for what the first
//! left behind.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use crate::error::Error;
use crate::facts::Holder;
use crate::identity::Resolved;
use crate::job::{Job, take};
use crate::os::ancestry::Known;
use crate::os::process::Pinned;
use crate::os::read::file_id;
use crate::os::snapshot::Lazy;
use crate::os::survey::{Survey, survey};
use crate::os::terminate::{Deadline, Look, Observer, Recheck, Target, terminate};
use crate::os::{ancestry, kin, snapshot};
use crate::policy::Policy;
use crate::port::PortSpec;
use crate::report::{Fate, PortReport, Report, SweepReport};
use crate::targets::{Group, Stale, leftovers, newcomers, recheck, targets};
use crate::tree::Role;
use crate::verdict::{Context, judge};

/// What forks while it is ended leaves a child that holds the same socket, and what changes while it is judged
/// is looked at again. Neither is chased for ever.
const ROUNDS: usize = 5;

pub(crate) fn run(specs: &[PortSpec], policy: &Policy, act: bool, observer: Observer<'_>) -> Report {
    let (mut jobs, swept) = work(specs, policy, act, observer);
    for job in &mut jobs {
        if let Err(error) = job.count_remainder() {
            job.close(Err(error));
        }
    }
    Report { ports: jobs.into_iter().map(|job| job.report).collect(), swept }
}

/// For a caller that binds next: nothing is counted or swept in between, while somebody else might take the port.
pub(crate) fn before_a_bind(spec: PortSpec, policy: &Policy) -> Option<PortReport> {
    let (mut jobs, _) = work(&[spec], &policy.clone().sweep(false), true, None);
    jobs.pop().map(|job| job.report)
}

fn work(
    specs: &[PortSpec],
    policy: &Policy,
    act: bool,
    observer: Observer<'_>,
) -> (Vec<Job>, Option<SweepReport>) {
    let start = Instant::now();
    let mut jobs: Vec<Job> = Vec::with_capacity(specs.len());
    for spec in specs {
        // A free port, the usual case, costs this bind and nothing else.
        if !jobs.iter().any(|job| job.report.spec == *spec) {
            jobs.push(Job::new(*spec, start));
        }
    }
    let mut swept = None;
    if (jobs.iter().any(|job| job.open) || policy.sweep)
        && let Err(error) = rounds(&mut jobs, &mut swept, policy, act, observer)
    {
        for job in jobs.iter_mut().filter(|job| job.open) {
            job.close(Err(error.clone()));
        }
        swept = policy.sweep.then(|| SweepReport { status: Err(error), ..swept.unwrap_or_default() });
    }
    (jobs, swept)
}

fn rounds(
    jobs: &mut [Job],
    swept: &mut Option<SweepReport>,
    policy: &Policy,
    act: bool,
    mut observer: Observer<'_>,
) -> Result<(), Error> {
    let mut known = Known::default();
    let mut context = context(policy, &mut known)?;
    let users = snapshot::user_names();
    let mut deadline = None;
    for _ in 0..ROUNDS {
        let (mut of_job, mut groups, mut sweep_status) = (Vec::new(), Vec::new(), Ok(()));
        let to_clear = look(jobs, &context, &users, std::mem::take(&mut known))?;
        let sweeps = policy.sweep && swept.is_none();
        if !to_clear.is_empty() || sweeps {
            // Before the first signal: afterwards children are another's.
            let snapshot = Lazy::default();
            for (at, group) in together(to_clear, jobs, &snapshot, &context, policy.tree)? {
                if let Some(job) = jobs.get_mut(at)
                    && job.join(&group, &context, &users)
                {
                    groups.push(group);
                    of_job.push(at);
                    if !act {
                        job.would_clear();
                    }
                }
            }
            if sweeps {
                let (group, status) = sweep_group(jobs, &snapshot, &context, policy.tree);
                groups.push(group);
                sweep_status = status;
            }
        }
        let sweep = sweeps.then_some(of_job.len());
        let mut targets = targets(&groups, sweep);
        // All or nothing, up to the first signal: if one of the holders is no longer what was judged, or has let
        // go of the port, all are looked at again.
        let is_same = |target: &Target| {
            target.role != Role::Holder
                || recheck(&target.pinned, &target.judged, &context) == Recheck::Stale
                    && target.pinned.held(&target.judged.0.inodes).is_ok_and(|held| !held.is_empty())
        };
        let of_sweep = |target: &Target| Some(target.group) == sweep;
        if act && !targets.iter().all(is_same) {
            targets.retain(of_sweep);
        }
        let swept_ids =
            targets.iter().filter(|target| of_sweep(target)).map(|target| target.judged.0.facts.id);
        let memory = kin::memory(&swept_ids.collect());
        let missed = RefCell::new(BTreeSet::new());
        let (targets, error) = if act && !targets.is_empty() {
            let deadline = *deadline.get_or_insert_with(|| Deadline::new(policy.grace));
            let look = Look {
                recheck: &|target| recheck(&target.pinned, &target.judged, &context),
                newcomers: &|targets| {
                    if !policy.tree {
                        return Ok(Vec::new());
                    }
                    let (new, rest) = newcomers(targets, deadline.end, &context)?;
                    missed.borrow_mut().extend(rest);
                    Ok(new)
                },
            };
            terminate(targets, policy, deadline, look, observer.as_deref_mut().map(|o| o as _))
        } else {
            targets.iter_mut().for_each(|target| target.ending.fate = Fate::Untouched);
            (targets, None)
        };
        let missed = missed.into_inner();
        let missed = |group: usize| missed.iter().filter(move |(of, _)| *of == group).map(|(_, id)| *id);
        for (group, job) in of_job.iter().enumerate() {
            if let Some(job) = jobs.get_mut(*job) {
                job.record(&targets, group, &context, &users);
                job.leave(missed(group));
            }
        }
        if let Some(at) = sweep
            && let Some(group) = groups.get_mut(at)
        {
            group.left.extend(missed(at));
            let mut report = sweep_report(&targets, sweep, &context, &users);
            report.memory = memory;
            report.status = sweep_status;
            report.remainder = if act { kin::remainder(&group.left)? } else { kin::memory(&group.left) };
            *swept = Some(report);
        }
        if let Some(error) = error {
            return Err(error);
        }
        // What a target has become is its successor in the same place.
        let changed = targets.iter().filter(|target| target.ending.fate == Fate::Changed);
        context.changed.extend(changed.map(|target| target.judged.0.facts.id));
        for job in of_job {
            if let Some(job) = jobs.get_mut(job).filter(|job| job.open) {
                job.settle();
            }
        }
        if jobs.iter().all(|job| !job.open) {
            return Ok(());
        }
        let holders = targets.iter().map(|target| &target.judged.0);
        let images =
            holders.flat_map(|holder| holder.inodes.iter().map(|inode| (*inode, holder.facts.image)));
        context.inherited.extend(images);
    }
    for job in jobs.iter_mut().filter(|job| job.open) {
        job.give_up();
    }
    Ok(())
}

/// What the calling process judges by.
pub(crate) fn context<'a>(policy: &'a Policy, known: &mut Known) -> Result<Context<'a>, Error> {
    let paths = policy.service.executables.iter().map(|path| (path.clone(), file_id(path)));
    let files = policy.service.files.iter().map(|(path, file)| (path.clone(), Some(*file)));
    let service = Resolved { service: &policy.service, executables: paths.chain(files).collect() };
    Ok(Context {
        caller: ancestry::caller(&service, known)?,
        service,
        protect: &policy.protect,
        allow: policy.allow,
        inherited: Vec::new(),
        changed: BTreeSet::new(),
    })
}

/// Looks at the ports that have no answer yet, and gives those that are to be cleared, with their holders.
fn look(
    jobs: &mut [Job],
    context: &Context<'_>,
    users: &BTreeMap<u32, String>,
    known: Known,
) -> Result<Vec<(usize, Vec<Stale>)>, Error> {
    let specs: Vec<PortSpec> = jobs.iter().filter(|job| job.open).map(|job| job.report.spec).collect();
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    let survey = survey(&specs, context.service.service, known)?;
    let decide = |(at, job): (usize, &mut Job)| {
        let judged = judged(&survey, &job.report.spec, context);
        job.decide(&survey, judged, context, users).map(|base| (at, base))
    };
    Ok(jobs.iter_mut().enumerate().filter(|(_, job)| job.open).filter_map(decide).collect())
}

fn judged(survey: &Survey, spec: &PortSpec, context: &Context<'_>) -> Vec<Stale> {
    let inodes: Vec<u64> = survey.in_the_way(spec).iter().map(|listener| listener.inode).collect();
    let of_port = |(_, holder): &&(_, Holder)| holder.inodes.iter().any(|inode| inodes.contains(inode));
    let judged =
        |(pinned, holder): &(Rc<Pinned>, Holder)| (pinned.clone(), (holder.clone(), judge(holder, context)));
    survey.holders.iter().filter(of_port).map(judged).collect()
}

/// Who is ended for each of the ports. What serves a port that is to be cleared, too, is in nobody's way; where that one
/// is refused, it is.
fn together(
    to_clear: Vec<(usize, Vec<Stale>)>,
    jobs: &[Job],
    snapshot: &Lazy,
    context: &Context<'_>,
    tree: bool,
) -> Result<Vec<(usize, Group)>, Error> {
    let spec = |at: usize| jobs.get(at).map(|job| job.report.spec);
    let mut cleared: Vec<PortSpec> = to_clear.iter().filter_map(|(at, _)| spec(*at)).collect();
    loop {
        let of = |(at, base): &(usize, Vec<Stale>)| {
            Ok((*at, Group::of(base.clone(), &cleared, snapshot, context, tree)?))
        };
        let groups: Vec<(usize, Group)> = to_clear.iter().map(of).collect::<Result<_, Error>>()?;
        let refused = groups.iter().filter(|(_, group)| group.is_refused()).filter_map(|(at, _)| spec(*at));
        let refused: Vec<PortSpec> = refused.filter(|spec| cleared.contains(spec)).collect();
        if refused.is_empty() {
            return Ok(groups);
        }
        cleared.retain(|spec| !refused.contains(spec));
    }
}

/// What there is to sweep. What goes wrong with it is no reason to leave a port alone.
fn sweep_group(
    jobs: &[Job],
    snapshot: &Lazy,
    context: &Context<'_>,
    tree: bool,
) -> (Group, Result<(), Error>) {
    let holders = jobs.iter().flat_map(|job| &job.report.holders);
    let of_ports = holders.map(|process| process.holder.facts.id).collect();
    let found = leftovers(snapshot, &of_ports, context).and_then(|(found, error)| {
        let mut group = Group::of(found.base, &[], snapshot, context, tree)?;
        group.left.extend(found.left);
        Ok((group, error))
    });
    match found {
        Ok((group, None)) => (group, Ok(())),
        Ok((group, Some(error))) => (group, Err(error)),
        Err(error) => (Group::default(), Err(error)),
    }
}

fn sweep_report(
    targets: &[Target],
    group: Option<usize>,
    context: &Context<'_>,
    users: &BTreeMap<u32, String>,
) -> SweepReport {
    let mut report = SweepReport::default();
    for target in targets.iter().filter(|target| Some(target.group) == group) {
        take(&mut report.processes, &target.judged, target.role, context, users);
        if let Some(process) = report.processes.last_mut() {
            process.ending = target.ending.clone();
        }
    }
    report
}
