//! The flow: probe, survey, judge, plan, terminate, probe. One way; a second round only for what the first
//! left behind.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::Error;
use crate::facts::{Holder, Seen};
use crate::identity::Resolved;
use crate::os::probe::{Probe, probe};
use crate::os::process::{Pinned, file_id};
use crate::os::survey::{Survey, survey};
use crate::os::terminate::{Asked, Deadline, Observer, Recheck, terminate};
use crate::os::{ancestry, snapshot};
use crate::plan::{Judged, Plan, plan};
use crate::policy::Policy;
use crate::port::PortSpec;
use crate::report::{Connections, Ending, Fate, HolderReport, Outcome, PortReport, Report};
use crate::verdict::{Context, Rule, Verdict, judge};

/// What forks while it is ended leaves a child that holds the same socket. It is not chased for ever.
const ROUNDS: usize = 5;

/// A port on its way to an answer.
struct Job {
    report: PortReport,
    /// The probe's answer, while there is none for the port.
    open: Option<Probe>,
}

pub(crate) fn run(specs: &[PortSpec], policy: &Policy, act: bool, observer: Observer<'_>) -> Report {
    let start = Instant::now();
    let mut jobs: Vec<Job> = Vec::with_capacity(specs.len());
    for spec in specs {
        // A free port, the usual case, costs this bind and nothing else.
        if !jobs.iter().any(|job| job.report.spec == *spec) {
            jobs.push(Job::new(*spec, probe(spec)));
        }
    }
    if jobs.iter().any(|job| job.open.is_some())
        && let Err(error) = rounds(&mut jobs, policy, act, observer)
    {
        for job in jobs.iter_mut().filter(|job| job.open.is_some()) {
            job.close(Err(error.clone()));
        }
    }
    let elapsed = start.elapsed();
    let ports = jobs.into_iter().map(|job| PortReport { elapsed, ..job.report }).collect();
    Report { ports }
}

fn rounds(jobs: &mut [Job], policy: &Policy, act: bool, mut observer: Observer<'_>) -> Result<(), Error> {
    let executables = policy.service.executables.iter().map(|path| (path.clone(), file_id(path))).collect();
    let mut context = Context {
        service: Resolved { service: &policy.service, executables },
        caller: ancestry::caller()?,
        protect: &policy.protect,
        any_owner: policy.any_owner,
        inherited: Vec::new(),
    };
    let users = snapshot::user_names();
    let mut deadline = None;
    for _ in 0..ROUNDS {
        let specs: Vec<PortSpec> =
            jobs.iter().filter(|job| job.open.is_some()).map(|job| job.report.spec).collect();
        let survey = survey(&specs, &policy.service)?;
        let mut targets = BTreeMap::new();
        for job in jobs.iter_mut().filter(|job| job.open.is_some()) {
            let judged = judged(&survey, &job.report.spec, &context);
            for (pinned, holder) in job.decide(&survey, judged, &context, &users, act)? {
                targets.insert(holder.facts.id.pid, (pinned, holder));
            }
        }
        if targets.is_empty() {
            return Ok(());
        }
        let deadline = *deadline.get_or_insert_with(|| Deadline::new(policy.grace));
        let recheck = |pid: u32, pinned: &Pinned, asked: Asked| match targets.get(&pid) {
            Some((_, holder)) => recheck(pinned, holder, asked, &context),
            None => Recheck::Unread,
        };
        let pinned: Vec<(u32, &Pinned)> = targets.iter().map(|(pid, (pinned, _))| (*pid, *pinned)).collect();
        let (endings, error) =
            terminate(&pinned, policy, deadline, &recheck, observer.as_deref_mut().map(|o| o as _));
        let endings: BTreeMap<u32, Ending> = targets.keys().copied().zip(endings).collect();
        for job in jobs.iter_mut().filter(|job| job.open.is_some()) {
            job.record(&endings);
        }
        if let Some(error) = error {
            return Err(error);
        }
        for job in jobs.iter_mut().filter(|job| job.open.is_some()) {
            job.settle()?;
        }
        let images = targets.values().map(|(_, holder)| (&holder.inodes, holder.facts.image));
        context
            .inherited
            .extend(images.flat_map(|(inodes, image)| inodes.iter().map(move |inode| (*inode, image))));
        if jobs.iter().all(|job| job.open.is_none()) {
            return Ok(());
        }
    }
    for job in jobs.iter_mut().filter(|job| job.open.is_some()) {
        job.close(Ok(Outcome::Survived));
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
fn recheck(pinned: &Pinned, holder: &Holder, asked: Asked, context: &Context<'_>) -> Recheck {
    match pinned.facts(context.service.service) {
        Ok(Some(facts)) if facts.exe == Seen::Gone => Recheck::Ending,
        Ok(Some(facts)) => {
            match pinned.held(&holder.inodes) {
                Ok(held) if held.is_empty() && asked == Asked::NotYet => return Recheck::Released,
                Ok(_) => {}
                Err(_) => return Recheck::Unread,
            }
            let now = Holder { facts, ..holder.clone() };
            match judge(&now, context) {
                judgement if judgement.verdict == Verdict::Stale => Recheck::Stale,
                judgement if judgement.rule == Rule::Unknown => Recheck::Unread,
                _ => Recheck::Changed,
            }
        }
        Ok(None) => Recheck::Gone,
        Err(_) => Recheck::Unread,
    }
}

impl Job {
    fn new(spec: PortSpec, probed: Result<Probe, Error>) -> Self {
        let (status, open) = match probed {
            Ok(Probe::Free) => (Ok(Outcome::Free), None),
            Ok(probe) => (Ok(Outcome::Unseen), Some(probe)),
            Err(error) => (Err(error), None),
        };
        let report = PortReport {
            spec,
            status,
            listeners: Vec::new(),
            holders: Vec::new(),
            connections: Connections::default(),
            unreadable: 0,
            unsettled: false,
            asked_by: None,
            elapsed: std::time::Duration::ZERO,
        };
        Self { report, open }
    }

    fn close(&mut self, status: Result<Outcome, Error>) {
        self.report.status = status;
        self.open = None;
    }

    /// Takes the survey into the report, and gives what is to be ended for this port.
    fn decide<'a>(
        &mut self,
        survey: &'a Survey,
        judged: Vec<(&'a Pinned, Judged)>,
        context: &Context<'_>,
        users: &BTreeMap<u32, String>,
        act: bool,
    ) -> Result<Vec<(&'a Pinned, Holder)>, Error> {
        let spec = self.report.spec;
        let listeners = survey.in_the_way(&spec);
        self.report.asked_by = Some(context.caller.uid);
        if listeners.is_empty() {
            self.without_listener(survey)?;
            return Ok(Vec::new());
        }
        let (pinned, judged): (Vec<&Pinned>, Vec<Judged>) = judged.into_iter().unzip();
        let plan = match plan(&listeners, &judged) {
            Plan::Clear if !survey.settled => Plan::Unseen,
            plan => plan,
        };
        // Spared, and started after the call that ended something: the port is taken again.
        let new = |(holder, judgement): &Judged| {
            judgement.verdict == Verdict::Spare && context.caller.is_newer(&holder.facts)
        };
        let taken_again = self.has_ended_something() && judged.iter().any(new);
        self.report.unsettled = !survey.settled;
        self.report.unreadable = survey.unreadable;
        self.report.listeners.extend(listeners);
        self.report.listeners.sort();
        self.report.listeners.dedup();
        for (holder, judgement) in &judged {
            let user = holder.facts.uid.value().and_then(|uid| users.get(uid)).cloned();
            let ending = Ending::new(Fate::Untouched);
            let markers =
                holder.facts.environ.value().map(|environ| context.service.service.markers_in(environ));
            let markers = markers.unwrap_or_default();
            let report =
                HolderReport { holder: holder.clone(), user, markers, judgement: judgement.clone(), ending };
            self.report.holders.retain(|known| {
                known.holder.facts.id != holder.facts.id || known.ending.fate != Fate::Untouched
            });
            self.report.holders.push(report);
        }
        match plan {
            Plan::Clear if act => {
                return Ok(pinned.into_iter().zip(judged.into_iter().map(|(holder, _)| holder)).collect());
            }
            Plan::Clear => self.close(Ok(Outcome::WouldClear)),
            Plan::Held | Plan::Unseen if taken_again => self.close(Ok(Outcome::Respawned)),
            Plan::Held => self.close(Ok(Outcome::Held)),
            Plan::Unseen => self.close(Ok(Outcome::Unseen)),
        }
        Ok(Vec::new())
    }

    /// Busy, and nobody listens: gone since the probe, or a socket that no table shows.
    fn without_listener(&mut self, survey: &Survey) -> Result<(), Error> {
        let port = self.report.spec.port();
        for connection in survey.table.connections.iter().filter(|connection| connection.local.port() == port)
        {
            if connection.time_wait {
                self.report.connections.time_wait += 1;
            } else {
                self.report.connections.connected += 1;
            }
        }
        match probe(&self.report.spec)? {
            Probe::Free if self.has_ended_something() => self.close(Ok(Outcome::Cleared)),
            Probe::Free => self.close(Ok(Outcome::Free)),
            Probe::Busy => self.close(Ok(Outcome::Unseen)),
            Probe::Denied => self.close(Err(unproven(&self.report.spec))),
        }
        Ok(())
    }

    fn has_ended_something(&self) -> bool {
        self.report.holders.iter().any(|holder| matches!(holder.ending.fate, Fate::Ended))
    }

    fn record(&mut self, endings: &BTreeMap<u32, Ending>) {
        for report in &mut self.report.holders {
            let ending = endings.get(&report.holder.facts.id.pid);
            if let Some(ending) = ending.filter(|_| report.ending.fate == Fate::Untouched) {
                report.ending = ending.clone();
            }
        }
    }

    /// After the signals: answered, or another round. The bind comes first: a process that is still there may
    /// have let go of the port.
    fn settle(&mut self) -> Result<(), Error> {
        let left = probe(&self.report.spec)?;
        let fates = || self.report.holders.iter().map(|holder| holder.ending.fate);
        if left == Probe::Free {
            self.close(Ok(Outcome::Cleared));
        } else if fates().any(|fate| matches!(fate, Fate::Survived(_))) {
            self.close(Ok(Outcome::Survived));
        } else if fates().any(|fate| matches!(fate, Fate::NotPermitted | Fate::Unread)) {
            self.close(Ok(Outcome::Unseen));
        } else {
            self.open = Some(left);
        }
        Ok(())
    }
}

fn unproven(spec: &PortSpec) -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    Error::new(format!("nothing listens on {spec}, but only a bind proves that it is free"), source)
}
