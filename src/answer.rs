//! One port on its way from the probe to its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::event;
use crate::facts::ProcessId;
use crate::os::kin;
use crate::os::probe::{Probe, probe};
use crate::os::process::Pinned;
use crate::os::survey::Survey;
use crate::os::terminate::Target;
use crate::plan::{Judged, Plan, plan};
use crate::port::PortSpec;
use crate::report::{Connections, Ending, Fate, Memory, Outcome, PortReport, ProcessReport};
use crate::rules::{Rule, Verdict};
use crate::targets::{Group, Stale};
use crate::tree::Role;
use crate::verdict::Context;

pub(crate) struct Job {
    pub(crate) report: PortReport,
    /// There is no answer yet.
    pub(crate) open: bool,
    /// It was busy once while nobody listened.
    unexplained: bool,
    /// What belongs to the ended instances, and is not ended: each once, however often it was looked at.
    left: BTreeSet<ProcessId>,
    start: Instant,
}

impl Job {
    /// Probes the port. Where that answers, it is the answer.
    pub(crate) fn new(spec: PortSpec, start: Instant) -> Self {
        let report = PortReport {
            spec,
            status: Ok(Outcome::Unseen),
            listeners: Vec::new(),
            listening: false,
            holders: Vec::new(),
            members: Vec::new(),
            remainder: Memory::default(),
            connections: Connections::default(),
            unreadable: 0,
            unsettled: false,
            blinds: None,
            asked_from: None,
            asked_by: None,
            elapsed: Duration::ZERO,
        };
        let mut job = Self { report, open: true, unexplained: false, left: BTreeSet::new(), start };
        match probe(&spec) {
            Ok(Probe::Free) => job.close(Ok(Outcome::Free)),
            Ok(Probe::Denied | Probe::Busy) => {}
            Err(error) => job.close(Err(error)),
        }
        job
    }

    pub(crate) fn close(&mut self, status: Result<Outcome, Error>) {
        self.report.status = status;
        self.report.elapsed = self.start.elapsed();
        self.open = false;
    }

    /// Takes the survey into the report, and gives what is to be ended for this port, if it is to be cleared.
    pub(crate) fn decide(
        &mut self,
        survey: &Survey,
        judged: Vec<Stale>,
        context: &Context<'_>,
        users: &BTreeMap<u32, String>,
    ) -> Option<Vec<Stale>> {
        let spec = self.report.spec;
        let listeners = survey.in_the_way(&spec);
        self.report.asked_by = Some(context.caller.uid);
        self.report.blinds = context.caller.blinds;
        self.report.asked_from.clone_from(&context.caller.unit);
        self.report.listening = !listeners.is_empty();
        if !self.report.listening {
            self.without_listener(survey);
            return None;
        }
        let (pinned, judged): (Vec<Rc<Pinned>>, Vec<Judged>) = judged.into_iter().unzip();
        let plan = match plan(&listeners, &judged) {
            Plan::Clear if !survey.settled => Plan::Unseen,
            plan => plan,
        };
        // Spared, and here only since something was ended: the port is taken again.
        let new = |(holder, judgement): &Judged| {
            judgement.verdict == Verdict::Spare && context.is_newer(&holder.facts)
        };
        let taken_again = self.has_ended_something() && judged.iter().any(new);
        self.report.unsettled = !survey.settled;
        self.report.unreadable = survey.unreadable;
        self.report.listeners.extend(listeners);
        self.report.listeners.sort();
        self.report.listeners.dedup();
        for judged in &judged {
            if let Some(new) = take(&mut self.report.holders, judged, Role::Holder, context, users) {
                event::verdict(&spec, new);
            }
        }
        match plan {
            Plan::Clear => return Some(pinned.into_iter().zip(judged).collect()),
            Plan::Held | Plan::Unseen if taken_again => self.close(Ok(Outcome::Respawned)),
            Plan::Held => self.close(Ok(Outcome::Held)),
            Plan::Unseen => self.close(Ok(Outcome::Unseen)),
        }
        None
    }

    /// Takes in who is ended with the holders. Whether that can be done.
    pub(crate) fn join(
        &mut self,
        group: &Group,
        context: &Context<'_>,
        users: &BTreeMap<u32, String>,
    ) -> bool {
        for ((_, judged), member) in &group.members {
            if let Some(new) = take(&mut self.report.members, judged, member.role, context, users) {
                event::verdict(&self.report.spec, new);
            }
        }
        if let Some(pid) = group.elsewhere {
            let mut members = self.report.members.iter_mut();
            if let Some(member) = members.find(|member| member.holder.facts.id.pid == pid) {
                (member.judgement.verdict, member.judgement.rule) = (Verdict::Spare, Rule::Elsewhere);
            }
            self.close(Ok(Outcome::Held));
            return false;
        }
        if group.is_out_of_reach() {
            self.close(Ok(Outcome::Unseen));
            return false;
        }
        self.left.extend(&group.left);
        true
    }

    /// Busy, and nobody listens: gone since the probe, or a socket that no table shows.
    fn without_listener(&mut self, survey: &Survey) {
        let port = self.report.spec.port();
        self.report.connections = Connections::default();
        for connection in survey.table.connections.iter().filter(|connection| connection.local.port() == port)
        {
            if connection.time_wait {
                self.report.connections.time_wait += 1;
            } else {
                self.report.connections.connected += 1;
            }
        }
        let probed = probe(&self.report.spec);
        if matches!(probed, Ok(Probe::Busy)) && !self.unexplained {
            // Somebody may have begun to listen after the look: one more tells.
            self.unexplained = true;
            return;
        }
        self.close(match probed {
            Ok(Probe::Free) => Ok(self.freed()),
            Ok(Probe::Busy) => Ok(Outcome::Unseen),
            Ok(Probe::Denied) => Err(unproven(&self.report.spec)),
            Err(error) => Err(error),
        });
    }

    /// A bind has proved it. Whether anything was done for it depends on what became of its holders: another
    /// port's may have been ended in the meantime.
    fn freed(&self) -> Outcome {
        let touched = self.report.holders.iter().any(|holder| holder.ending.fate != Fate::Untouched);
        if touched { Outcome::Cleared } else { Outcome::Free }
    }

    fn has_ended_something(&self) -> bool {
        self.report.holders.iter().any(|holder| matches!(holder.ending.fate, Fate::Ended))
    }

    /// Takes in what came of the targets of its group.
    pub(crate) fn record(
        &mut self,
        targets: &[Target],
        group: usize,
        context: &Context<'_>,
        users: &BTreeMap<u32, String>,
    ) {
        let known = |pid| {
            let mut known = self.report.holders.iter().chain(&self.report.members);
            known.any(|process| process.holder.facts.id.pid == pid)
        };
        let new: Vec<&Target> =
            targets.iter().filter(|target| target.group == group && !known(target.pid())).collect();
        for target in new {
            take(&mut self.report.members, &target.judged, target.role, context, users);
        }
        for process in self.report.holders.iter_mut().chain(&mut self.report.members) {
            let target = targets.iter().find(|target| target.judged.0.facts.id == process.holder.facts.id);
            if let Some(target) = target.filter(|_| process.ending.fate == Fate::Untouched) {
                process.ending = target.ending.clone();
            }
        }
    }

    /// Takes in what belongs to the ended instances and could not be ended.
    pub(crate) fn leave(&mut self, left: impl Iterator<Item = ProcessId>) {
        self.left.extend(left);
    }

    /// It was only asked for.
    pub(crate) fn would_clear(&mut self) {
        self.close(Ok(Outcome::WouldClear));
    }

    /// What is still there of what the instances started.
    pub(crate) fn count_remainder(&mut self) -> Result<(), Error> {
        self.report.remainder = match self.report.status {
            // Nothing has lost its parent.
            Ok(Outcome::WouldClear) => kin::memory(&self.left),
            _ => kin::remainder(&self.left)?,
        };
        Ok(())
    }

    /// After the signals: answered, or another round. The bind comes first: a process that is still there may
    /// have let go of the port.
    pub(crate) fn settle(&mut self) {
        let fates = || self.report.holders.iter().map(|holder| holder.ending.fate);
        let survived = fates().any(|fate| matches!(fate, Fate::Survived(_)));
        let out_of_reach = fates().any(|fate| matches!(fate, Fate::NotPermitted | Fate::Unread));
        match probe(&self.report.spec) {
            Ok(Probe::Free) => self.close(Ok(self.freed())),
            Ok(_) if survived => self.close(Ok(Outcome::Survived)),
            Ok(_) if out_of_reach => self.close(Ok(Outcome::Unseen)),
            // Another round.
            Ok(_) => {}
            Err(error) => self.close(Err(error)),
        }
    }

    /// After as many rounds as there may be.
    pub(crate) fn give_up(&mut self) {
        let signalled = self.report.holders.iter().any(|holder| !holder.ending.signals.is_empty());
        self.report.unsettled = true;
        self.close(Ok(if signalled { Outcome::Survived } else { Outcome::Unseen }));
    }
}

/// Takes a process into the report: each once, as it was last seen, or as it was when it was signalled. Gives what
/// was not judged like this at the last look.
pub(crate) fn take<'a>(
    into: &'a mut Vec<ProcessReport>,
    (holder, judgement): &Judged,
    role: Role,
    context: &Context<'_>,
    users: &BTreeMap<u32, String>,
) -> Option<&'a ProcessReport> {
    let same = |known: &ProcessReport| known.holder.facts.id == holder.facts.id;
    if into.iter().any(|known| same(known) && known.ending.fate != Fate::Untouched) {
        return None;
    }
    let known = into.iter().position(same).map(|at| into.remove(at));
    let facts = &holder.facts;
    into.push(ProcessReport {
        role,
        holder: holder.clone(),
        user: facts.uid.value().and_then(|uid| users.get(uid)).cloned(),
        markers: facts.environ.value().map_or_else(Vec::new, |e| context.service.service.markers_in(e)),
        judgement: judgement.clone(),
        ending: Ending::new(Fate::Untouched),
    });
    into.last().filter(|_| known.is_none_or(|known| known.judgement != *judgement))
}

fn unproven(spec: &PortSpec) -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    Error::new(format!("nothing listens on {spec}, but only a bind proves that it is free"), source)
}
