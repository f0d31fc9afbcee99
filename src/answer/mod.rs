//! Build the answers, from the probe to the report: one for each port, and one for the sweep.

mod port;
mod processes;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::end::{Done, Target};
use crate::judge::Asked;
use crate::judge::plan::{Group, Purpose};
use crate::model::{
    Error, Fate, Outcome, Policy, PortSpec, ProcessId, ProcessReport, Report, Rival, Role, SweepReport, WhySurvived,
};
use crate::read;
pub(crate) use port::Answer;
use port::State;
pub(crate) use processes::fill_in;
use processes::{add, has_survived, look_elsewhere, write_endings};
pub(crate) use settle::Observed;

pub(crate) struct Answers<'a> {
    policy: &'a Policy,
    start: Instant,
    ports: Vec<Answer>,
    /// `None`: nothing is to be swept, or it has not been swept yet.
    swept: Option<SweepReport>,
    rival: Option<Rival>,
    /// The remainders. A process is counted once, however many rounds have seen it.
    remainders: BTreeMap<Purpose, BTreeSet<ProcessId>>,
}

impl<'a> Answers<'a> {
    /// Probes each port once, even if it was asked for twice. A free port has its answer then.
    pub(crate) fn probe(specs: &[PortSpec], policy: &'a Policy) -> Self {
        let start = Instant::now();
        let mut ports: Vec<Answer> = Vec::with_capacity(specs.len());
        for spec in specs {
            if !ports.iter().any(|answer| answer.report.spec == *spec) {
                ports.push(Answer::probe(*spec, start));
            }
        }
        Self { policy, start, ports, swept: None, rival: None, remainders: BTreeMap::new() }
    }

    pub(crate) fn are_complete(&self) -> bool {
        !self.are_to_be_swept() && self.ports.iter().all(|answer| answer.state == State::Closed)
    }

    /// A person who is asked sees holders and their instances. Nothing else is ended then.
    pub(crate) fn are_to_be_swept(&self) -> bool {
        self.policy.ends.sweep && self.policy.approved.is_none() && self.swept.is_none()
    }

    /// Whether this round looks for what is ended beside the ports. A call that `acts` also ends a rival that an ended
    /// run left in the caller's own unit, where a port is free or about to be: the start would fail beside it.
    pub(crate) fn may_sweep(&self, groups: &[Group], acts: bool) -> bool {
        let is_free = |answer: &Answer| matches!(answer.report.status, Ok(Outcome::Free | Outcome::Cleared));
        let starts = || self.ports.iter().any(is_free) || groups.iter().any(|group| group.refused.is_none());
        let may_end_a_rival = acts && self.policy.approved.is_none() && self.swept.is_none();
        self.are_to_be_swept() || may_end_a_rival && starts()
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

    /// Records the members or the reason of a refusal, and what is to be swept.
    pub(crate) fn expect(&mut self, groups: &[Group], swept: Option<Result<(), Error>>, targets: &[Target]) {
        for group in groups {
            for answer in self.ports.iter_mut().filter(|answer| group.purpose == Purpose::Port(answer.report.spec)) {
                answer.expect(group);
            }
            if group.refused.is_none() {
                self.remainders.entry(group.purpose).or_default().extend(&group.remainder);
            }
        }
        if let Some(status) = swept {
            let ids = targets.iter().filter(|target| target.purpose == Purpose::Sweep).map(Target::id).collect();
            // Before the first signal: afterwards there is nothing to count.
            self.swept = Some(SweepReport { status, memory: read::memory(&ids), ..SweepReport::default() });
        }
    }

    /// Records what became of the targets, with late forks among them.
    pub(crate) fn record(&mut self, done: &Done) {
        for (purpose, id) in &done.missed {
            self.remainders.entry(*purpose).or_default().insert(*id);
        }
        for answer in self.ports.iter_mut().filter(|answer| answer.state == State::Tried) {
            answer.record(&done.targets);
        }
        if let Some(swept) = &mut self.swept {
            for target in done.targets.iter().filter(|target| target.purpose == Purpose::Sweep) {
                add(&mut swept.processes, &target.judged, target.role);
            }
            write_endings(&mut swept.processes, &done.targets);
        }
    }

    /// After the signals: closes the answer, or leaves it for another round. A dry run answers that it would clear.
    pub(crate) fn prove(&mut self, is_dry_run: bool) {
        for answer in self.ports.iter_mut().filter(|answer| answer.state == State::Tried) {
            if is_dry_run { answer.close(Ok(Outcome::WouldClear)) } else { answer.prove() }
        }
    }

    /// After the last round.
    pub(crate) fn give_up(&mut self) {
        self.end(WhySurvived::Unsettled);
    }

    /// The caller waits no longer, so there is no other round.
    pub(crate) fn stop(&mut self) {
        self.ports.iter_mut().for_each(Answer::stop);
        if let Some(swept) = &mut self.swept {
            swept.stopped = swept.processes.iter().any(has_survived);
        }
        self.end(WhySurvived::Stopped);
    }

    fn end(&mut self, why: WhySurvived) {
        self.complete();
        self.look_again();
        self.open().for_each(|answer| answer.give_up(why));
    }

    /// Gives the error to every port that has no answer yet.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.complete();
        self.look_again();
        self.open().for_each(|answer| answer.close(Err(error.clone())));
        if self.are_to_be_swept() {
            self.swept = Some(SweepReport { status: Err(error.clone()), ..SweepReport::default() });
        }
    }

    /// Watches the ports that may be taken again, and completes the report. `false`: a port is taken again, and another
    /// round tells by whom. The last look comes after all that takes time, so that no held port is called free.
    pub(crate) fn are_final(&mut self, asked: &Asked<'_>, mut observed: Observed<'_>) -> Result<bool, Error> {
        self.settle(&asked.caller, &mut observed);
        if self.are_complete() {
            self.rival = self.find_rival(asked)?;
            self.complete();
            self.look_again();
        }
        // Another round might signal somebody.
        if observed.stopped && !self.are_complete() {
            self.stop();
        }
        Ok(self.are_complete())
    }

    /// The instance that uses the caller's state folder, and serves none of the ports. It is told where a port is free:
    /// elsewhere the next start fails for another reason. The caller may be that instance.
    fn find_rival(&self, asked: &Asked<'_>) -> Result<Option<Rival>, Error> {
        let is_free = |answer: &Answer| {
            matches!(answer.report.status, Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear))
        };
        let Some(named) = read::rival(&self.policy.service) else { return Ok(None) };
        let of_ports = self.ports.iter().flat_map(|answer| answer.report.processes());
        let swept = self.swept.iter().flat_map(|swept| &swept.processes);
        let is_told = of_ports.chain(swept).any(|one| one.process.id() == named.id);
        if is_told || asked.caller.is_above_or_self(named.id.pid) || !self.ports.iter().any(is_free) {
            return Ok(None);
        }
        let Some(process) = read::process(named.id, &self.policy.service)? else { return Ok(None) };
        let mut found = Vec::new();
        add(&mut found, &asked.judge(process.into()), Role::Rival);
        let is_instance = |process: &ProcessReport| process.judgement.identity.is_instance();
        Ok(found.pop().filter(is_instance).map(|process| Rival { process, port: named.port }))
    }

    /// Counts what is still there, and fills in names.
    fn complete(&mut self) {
        self.count_remainders();
        self.look_elsewhere();
        let reports = self.ports.iter_mut().map(|answer| &mut answer.report);
        let of_ports = reports.flat_map(|report| report.holders.iter_mut().chain(&mut report.members));
        let swept = self.swept.iter_mut().flat_map(|swept| &mut swept.processes);
        let rival = self.rival.iter_mut().map(|rival| &mut rival.process);
        fill_in(of_ports.chain(swept).chain(rival), &self.policy.service);
    }

    /// A person who is asked should know what else the processes serve.
    fn look_elsewhere(&mut self) {
        let is_asked = self.policy.approved.is_some();
        let would_clear = |answer: &&mut Answer| is_asked && matches!(answer.report.status, Ok(Outcome::WouldClear));
        let mut asked = self.ports.iter_mut().filter(would_clear).peekable();
        if asked.peek().is_none() {
            return;
        }
        let listeners = read::all_listeners();
        for answer in asked {
            let all = listeners.as_ref().map_err(Error::clone);
            if let Err(error) = all.and_then(|all| look_elsewhere(&mut answer.report, all)) {
                answer.close(Err(error));
            }
        }
    }

    /// Probes the free ports a last time. Opens the answers of those that are taken again.
    fn look_again(&mut self) {
        let is_free = |answer: &&mut Answer| matches!(answer.report.status, Ok(Outcome::Free | Outcome::Cleared));
        self.ports.iter_mut().filter(is_free).for_each(Answer::look_again);
    }

    /// Counts the remainders: processes that the ended instances started, and that are still there.
    fn count_remainders(&mut self) {
        let none = BTreeSet::new();
        let remainder_of = |purpose| self.remainders.get(&purpose).unwrap_or(&none);
        for answer in &mut self.ports {
            // In a dry run nothing has lost its parent, so nothing is about to end.
            let waits = !matches!(answer.report.status, Ok(Outcome::WouldClear));
            match read::remainder(remainder_of(Purpose::Port(answer.report.spec)), waits) {
                Ok(remainder) => answer.report.remainder = remainder,
                Err(error) => answer.close(Err(error)),
            }
        }
        if let Some(swept) = &mut self.swept {
            let waits = swept.processes.iter().any(|process| process.ending.fate != Fate::Untouched);
            match read::remainder(remainder_of(Purpose::Sweep), waits) {
                Ok(remainder) => swept.remainder = remainder,
                // The report still says what was signalled.
                Err(error) => swept.status = Err(error),
            }
        }
    }

    pub(crate) fn report(self, dry_run: bool) -> Report {
        let elapsed = self.start.elapsed();
        let ports = self.ports.into_iter().map(|answer| answer.report).collect();
        Report { dry_run, ports, swept: self.swept, rival: self.rival, elapsed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Also, Service};

    #[test]
    fn with_approvals_nothing_is_swept() {
        let policy = Policy::new(Service::openclaw());
        let sweeps = policy.clone().also_end(Also::Sweep);
        let free = || {
            let mut answer = Answer::probe("127.0.0.1:1".parse().unwrap(), Instant::now());
            answer.close(Ok(Outcome::Free));
            vec![answer]
        };
        // policy → whether it sweeps, and whether a call that acts looks for a rival where a port is free
        let table = [
            (policy.clone(), false, true),
            (sweeps.clone(), true, true),
            (policy.only([]), false, false),
            (sweeps.only([]), false, false),
        ];
        for (policy, swept, looks) in table {
            let answers = Answers { ports: free(), ..Answers::probe(&[], &policy) };
            assert_eq!(answers.are_to_be_swept(), swept, "{policy:?}");
            assert_eq!([false, true].map(|acts| answers.may_sweep(&[], acts)), [swept, looks], "{policy:?}");
            // A held port keeps the server from starting in any case.
            assert_eq!(Answers::probe(&[], &policy).may_sweep(&[], true), swept, "{policy:?}");
        }
    }
}
