//! The flow: probe, survey, judge, plan, terminate, probe. One way; a second round only for what the first
//! left behind.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::Error;
use crate::facts::{Holder, Seen};
use crate::identity::Resolved;
use crate::job::Job;
use crate::os::process::{Pinned, file_id};
use crate::os::survey::{Survey, survey};
use crate::os::terminate::{Deadline, Observer, Recheck, terminate};
use crate::os::{ancestry, snapshot};
use crate::plan::Judged;
use crate::policy::Policy;
use crate::port::PortSpec;
use crate::report::{Ending, Report};
use crate::verdict::{Context, Rule, Verdict, judge};

/// What forks while it is ended leaves a child that holds the same socket, and what changes while it is judged
/// is looked at again. Neither is chased for ever.
const ROUNDS: usize = 5;

pub(crate) fn run(specs: &[PortSpec], policy: &Policy, act: bool, observer: Observer<'_>) -> Report {
    let start = Instant::now();
    let mut jobs: Vec<Job> = Vec::with_capacity(specs.len());
    for spec in specs {
        // A free port, the usual case, costs this bind and nothing else.
        if !jobs.iter().any(|job| job.report.spec == *spec) {
            jobs.push(Job::new(*spec, start));
        }
    }
    if jobs.iter().any(|job| job.open)
        && let Err(error) = rounds(&mut jobs, policy, act, observer)
    {
        for job in jobs.iter_mut().filter(|job| job.open) {
            job.close(Err(error.clone()));
        }
    }
    Report { ports: jobs.into_iter().map(|job| job.report).collect() }
}

fn rounds(jobs: &mut [Job], policy: &Policy, act: bool, mut observer: Observer<'_>) -> Result<(), Error> {
    let paths = policy.service.executables.iter().map(|path| (path.clone(), file_id(path)));
    let files = policy.service.files.iter().map(|(path, file)| (path.clone(), Some(*file)));
    let service = Resolved { service: &policy.service, executables: paths.chain(files).collect() };
    let mut context = Context {
        caller: ancestry::caller(&service)?,
        service,
        protect: &policy.protect,
        allow: policy.allow,
        inherited: Vec::new(),
    };
    let users = snapshot::user_names();
    let mut deadline = None;
    for _ in 0..ROUNDS {
        let specs: Vec<PortSpec> = jobs.iter().filter(|job| job.open).map(|job| job.report.spec).collect();
        let survey = survey(&specs, &policy.service)?;
        let mut targets = BTreeMap::new();
        for job in jobs.iter_mut().filter(|job| job.open) {
            let judged = judged(&survey, &job.report.spec, &context);
            for (pinned, holder) in job.decide(&survey, judged, &context, &users, act) {
                targets.insert(holder.facts.id.pid, (pinned, holder));
            }
        }
        if jobs.iter().all(|job| !job.open) {
            return Ok(());
        }
        if targets.is_empty() {
            continue;
        }
        // All or nothing, up to the first signal: if one of them is no longer what was judged, or has let go
        // of the port, all are looked at again.
        let same = |(pinned, holder): &(&Pinned, Holder)| {
            recheck(pinned, holder, &context) == Recheck::Stale
                && pinned.held(&holder.inodes).is_ok_and(|held| !held.is_empty())
        };
        if !targets.values().all(same) {
            continue;
        }
        let deadline = *deadline.get_or_insert_with(|| Deadline::new(policy.grace));
        let recheck = |pid: u32, pinned: &Pinned| match targets.get(&pid) {
            Some((_, holder)) => recheck(pinned, holder, &context),
            None => Recheck::Unread,
        };
        let pinned: Vec<(u32, &Pinned)> = targets.iter().map(|(pid, (pinned, _))| (*pid, *pinned)).collect();
        let (endings, error) =
            terminate(&pinned, policy, deadline, &recheck, observer.as_deref_mut().map(|o| o as _));
        let endings: BTreeMap<u32, Ending> = targets.keys().copied().zip(endings).collect();
        for job in jobs.iter_mut().filter(|job| job.open) {
            job.record(&endings);
        }
        if let Some(error) = error {
            return Err(error);
        }
        for job in jobs.iter_mut().filter(|job| job.open) {
            job.settle();
        }
        let images = targets.values().map(|(_, holder)| (&holder.inodes, holder.facts.image));
        context
            .inherited
            .extend(images.flat_map(|(inodes, image)| inodes.iter().map(move |inode| (*inode, image))));
        if jobs.iter().all(|job| !job.open) {
            return Ok(());
        }
    }
    for job in jobs.iter_mut().filter(|job| job.open) {
        job.give_up();
    }
    Ok(())
}

fn judged<'a>(survey: &'a Survey, spec: &PortSpec, context: &Context<'_>) -> Vec<(&'a Pinned, Judged)> {
    let inodes: Vec<u64> = survey.in_the_way(spec).iter().map(|listener| listener.inode).collect();
    let of_port = |(_, holder): &&(Pinned, Holder)| holder.inodes.iter().any(|inode| inodes.contains(inode));
    let judged = |(pinned, holder): &'a (Pinned, Holder)| (pinned, (holder.clone(), judge(holder, context)));
    survey.holders.iter().filter(of_port).map(judged).collect()
}

/// The same process by its pidfd, and still what was judged: it may have executed another program since.
fn recheck(pinned: &Pinned, holder: &Holder, context: &Context<'_>) -> Recheck {
    match pinned.facts(context.service.service) {
        Ok(Some(facts)) if facts.exe == Seen::Gone => Recheck::Ending,
        Ok(Some(facts)) => match judge(&Holder { facts, ..holder.clone() }, context) {
            judgement if judgement.verdict == Verdict::Stale => Recheck::Stale,
            judgement if judgement.rule == Rule::Unknown => Recheck::Unread,
            _ => Recheck::Changed,
        },
        Ok(None) => Recheck::Gone,
        Err(_) => Recheck::Unread,
    }
}
