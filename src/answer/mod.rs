//! The answers on their way from the probe to the report: one for each port, and one for the sweep.

mod port;
mod take;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::end::{Done, Target};
use crate::judge::plan::{Group, Purpose};
use crate::model::{Error, Fate, Outcome, Policy, PortSpec, ProcessId, Report, SweepReport};
use crate::read;
pub(crate) use port::Answer;
use port::State;
pub(crate) use take::fill_in;
use take::{take, tell};

pub(crate) struct Answers<'a> {
    policy: &'a Policy,
    ports: Vec<Answer>,
    /// `None`: nothing is to be swept, or it was not yet.
    swept: Option<SweepReport>,
    /// Processes that belong to the ended ones, and are not ended: each once, however often it was looked at.
    left: BTreeMap<Purpose, BTreeSet<ProcessId>>,
}

impl<'a> Answers<'a> {
    /// Probes each port, once however often it is asked for. Where that answers, it is the answer.
    pub(crate) fn probe(specs: &[PortSpec], policy: &'a Policy) -> Self {
        let start = Instant::now();
        let mut ports: Vec<Answer> = Vec::with_capacity(specs.len());
        for spec in specs {
            if !ports.iter().any(|answer| answer.report.spec == *spec) {
                ports.push(Answer::probe(*spec, start));
            }
        }
        Self { policy, ports, swept: None, left: BTreeMap::new() }
    }

    pub(crate) fn are_complete(&self) -> bool {
        !self.are_to_be_swept() && self.ports.iter().all(|answer| answer.state == State::Closed)
    }

    pub(crate) fn are_to_be_swept(&self) -> bool {
        self.policy.ends.sweep && self.swept.is_none()
    }

    /// The ports that have no answer yet.
    pub(crate) fn open_ports(&self) -> Vec<PortSpec> {
        self.ports.iter().filter(|answer| answer.state != State::Closed).map(|answer| answer.report.spec).collect()
    }

    pub(crate) fn open(&mut self) -> impl Iterator<Item = &mut Answer> {
        self.ports.iter_mut().filter(|answer| answer.state != State::Closed)
    }

    pub(crate) fn holders(&self) -> BTreeSet<ProcessId> {
        self.ports.iter().flat_map(|answer| &answer.report.holders).map(|holder| holder.process.id()).collect()
    }

    /// Takes in who is to be ended with the holders, or why that cannot be done; and whether there is something to sweep.
    pub(crate) fn expect(&mut self, groups: &[Group], swept: Option<Result<(), Error>>, targets: &[Target]) {
        for group in groups {
            for answer in self.ports.iter_mut().filter(|answer| group.purpose == Purpose::Port(answer.report.spec)) {
                answer.expect(group);
            }
            if group.refused.is_none() {
                self.left.entry(group.purpose).or_default().extend(&group.left);
            }
        }
        if let Some(status) = swept {
            let ids = targets.iter().filter(|target| target.purpose == Purpose::Sweep).map(Target::id).collect();
            // Before the first signal: afterwards there is nothing to count.
            self.swept = Some(SweepReport { status, memory: read::memory(&ids), ..SweepReport::default() });
        }
    }

    /// Takes in what came of the targets, and late forks among them.
    pub(crate) fn record(&mut self, done: &Done) {
        for (purpose, id) in &done.missed {
            self.left.entry(*purpose).or_default().insert(*id);
        }
        for answer in self.ports.iter_mut().filter(|answer| answer.state == State::Tried) {
            answer.record(&done.targets);
        }
        if let Some(swept) = &mut self.swept {
            for target in done.targets.iter().filter(|target| target.purpose == Purpose::Sweep) {
                take(&mut swept.processes, &target.judged, target.role);
            }
            tell(&mut swept.processes, &done.targets);
        }
    }

    /// After the signals: answered, or another round. In a dry run the answer is that it would be tried.
    pub(crate) fn prove(&mut self, is_dry_run: bool) {
        for answer in self.ports.iter_mut().filter(|answer| answer.state == State::Tried) {
            if is_dry_run { answer.close(Ok(Outcome::WouldClear)) } else { answer.prove() }
        }
    }

    /// After as many rounds as there may be.
    pub(crate) fn give_up(&mut self) {
        self.open().for_each(Answer::give_up);
    }

    /// What has no answer by now could not be found out.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.open().for_each(|answer| answer.close(Err(error.clone())));
        if self.are_to_be_swept() {
            self.swept = Some(SweepReport { status: Err(error.clone()), ..SweepReport::default() });
        }
    }

    /// Counts the processes that are still there of those that the instances started.
    pub(crate) fn count_remainders(&mut self) {
        let none = BTreeSet::new();
        let left = |purpose| self.left.get(&purpose).unwrap_or(&none);
        for answer in &mut self.ports {
            // In a dry run nothing has lost its parent, so nothing is about to end.
            let waits = !matches!(answer.report.status, Ok(Outcome::WouldClear));
            match read::remainder(left(Purpose::Port(answer.report.spec)), waits) {
                Ok(remainder) => answer.report.remainder = remainder,
                Err(error) => answer.close(Err(error)),
            }
        }
        if let Some(swept) = &mut self.swept {
            let waits = swept.processes.iter().any(|process| process.ending.fate != Fate::Untouched);
            match read::remainder(left(Purpose::Sweep), waits) {
                Ok(remainder) => swept.remainder = remainder,
                // What was signalled is told all the same.
                Err(error) => swept.status = Err(error),
            }
        }
    }

    pub(crate) fn report(self) -> Report {
        Report { ports: self.ports.into_iter().map(|answer| answer.report).collect(), swept: self.swept }
    }
}
