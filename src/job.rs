//! One port on its way from the probe to its answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::event;
use crate::facts::Holder;
use crate::os::probe::{Probe, probe};
use crate::os::process::Pinned;
use crate::os::survey::Survey;
use crate::plan::{Judged, Plan, plan};
use crate::port::PortSpec;
use crate::report::{Connections, Ending, Fate, HolderReport, Outcome, PortReport};
use crate::verdict::{Context, Verdict};

pub(crate) struct Job {
    pub(crate) report: PortReport,
    /// There is no answer yet.
    pub(crate) open: bool,
    /// It was busy once while nobody listened.
    unexplained: bool,
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
            connections: Connections::default(),
            unreadable: 0,
            unsettled: false,
            blinds: None,
            asked_from: None,
            asked_by: None,
            elapsed: Duration::ZERO,
        };
        let mut job = Self { report, open: true, unexplained: false, start };
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

    /// Takes the survey into the report, and gives what is to be ended for this port.
    pub(crate) fn decide<'a>(
        &mut self,
        survey: &'a Survey,
        judged: Vec<(&'a Pinned, Judged)>,
        context: &Context<'_>,
        users: &BTreeMap<u32, String>,
        act: bool,
    ) -> Vec<(&'a Pinned, Holder)> {
        let spec = self.report.spec;
        let listeners = survey.in_the_way(&spec);
        self.report.asked_by = Some(context.caller.uid);
        self.report.blinds = context.caller.blinds;
        self.report.asked_from.clone_from(&context.caller.unit);
        self.report.listening = !listeners.is_empty();
        if !self.report.listening {
            self.without_listener(survey);
            return Vec::new();
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
        for judged in &judged {
            self.take(judged, context, users);
        }
        match plan {
            Plan::Clear if act => {
                return pinned.into_iter().zip(judged.into_iter().map(|(holder, _)| holder)).collect();
            }
            Plan::Clear => self.close(Ok(Outcome::WouldClear)),
            Plan::Held | Plan::Unseen if taken_again => self.close(Ok(Outcome::Respawned)),
            Plan::Held => self.close(Ok(Outcome::Held)),
            Plan::Unseen => self.close(Ok(Outcome::Unseen)),
        }
        Vec::new()
    }

    /// Takes a holder into the report: each once, as it was last seen, or as it was when it was signalled.
    fn take(&mut self, (holder, judgement): &Judged, context: &Context<'_>, users: &BTreeMap<u32, String>) {
        let same = |known: &HolderReport| known.holder.facts.id == holder.facts.id;
        if self.report.holders.iter().any(|known| same(known) && known.ending.fate != Fate::Untouched) {
            return;
        }
        let known = self.report.holders.iter().position(same).map(|at| self.report.holders.remove(at));
        let facts = &holder.facts;
        let report = HolderReport {
            holder: holder.clone(),
            user: facts.uid.value().and_then(|uid| users.get(uid)).cloned(),
            markers: facts.environ.value().map_or_else(Vec::new, |e| context.service.service.markers_in(e)),
            judgement: judgement.clone(),
            ending: Ending::new(Fate::Untouched),
        };
        // Judged alike at every look, it is one event.
        if known.is_none_or(|known| known.judgement != report.judgement) {
            event::verdict(&self.report.spec, &report);
        }
        self.report.holders.push(report);
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

    pub(crate) fn record(&mut self, endings: &BTreeMap<u32, Ending>) {
        for report in &mut self.report.holders {
            let ending = endings.get(&report.holder.facts.id.pid);
            if let Some(ending) = ending.filter(|_| report.ending.fate == Fate::Untouched) {
                report.ending = ending.clone();
            }
        }
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

fn unproven(spec: &PortSpec) -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    Error::new(format!("nothing listens on {spec}, but only a bind proves that it is free"), source)
}
