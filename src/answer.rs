//! The answers on their way from the probe to the report: one for each port, and one for the sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::end::{Done, Mode, Target};
use crate::judge::plan::{Decision, Group, PortPlan, Purpose, Refused};
use crate::judge::{Asked, Judged};
use crate::model::{
    Asker, Connections, Ending, Error, Fate, Memory, Outcome, Policy, PortReport, PortSpec, ProcessId, ProcessReport,
    Report, Role, SweepReport, Verdict, WhyHeld, WhySurvived, WhyUnseen, World,
};
use crate::read::{self, Probe};
use crate::say::event;

pub(crate) struct Answers<'a> {
    policy: &'a Policy,
    ports: Vec<Answer>,
    /// `None`: nothing is to be swept.
    sweep: Option<Sweep>,
}

struct Answer {
    report: PortReport,
    state: State,
    /// It was busy once while nobody listened.
    unexplained: bool,
    /// Processes that belong to the ended instances, and are not ended: each once, however often it was looked at.
    left: BTreeSet<ProcessId>,
    start: Instant,
}

/// How far an answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Its holders are targets of this round.
    Tried,
    Closed,
}

#[derive(Default)]
struct Sweep {
    report: SweepReport,
    left: BTreeSet<ProcessId>,
    done: bool,
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
        Self { policy, ports, sweep: policy.ends.sweep.then(Sweep::default) }
    }

    pub(crate) fn are_complete(&self) -> bool {
        !self.are_to_be_swept() && self.ports.iter().all(|answer| answer.state == State::Closed)
    }

    pub(crate) fn are_to_be_swept(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| !sweep.done)
    }

    /// The ports that have no answer yet.
    pub(crate) fn open(&self) -> Vec<PortSpec> {
        let open = self.ports.iter().filter(|answer| answer.state != State::Closed);
        open.map(|answer| answer.report.spec).collect()
    }

    pub(crate) fn holders(&self) -> BTreeSet<ProcessId> {
        self.ports.iter().flat_map(|answer| &answer.report.holders).map(|holder| holder.process.id()).collect()
    }

    /// Takes in what was decided about a port. Gives the holders, where all of them are to be ended.
    pub(crate) fn take(&mut self, plan: PortPlan, world: &World, asked: &Asked<'_>) -> Option<Group> {
        self.of(plan.spec)?.take(plan, world, asked)
    }

    /// Takes in what there is to sweep.
    pub(crate) fn sweep(&mut self, (group, status): (Group, Result<(), Error>)) -> Group {
        if let Some(sweep) = &mut self.sweep {
            sweep.report.status = status;
            sweep.done = true;
        }
        group
    }

    /// Takes in who is to be ended with the holders, or why that cannot be done.
    pub(crate) fn expect(&mut self, groups: &[Group], targets: &[Target], mode: &Mode<'_>) {
        for group in groups {
            if let Purpose::Port(spec) = group.purpose
                && let Some(answer) = self.of(spec)
            {
                answer.expect(group, mode);
            }
        }
        if let Some(sweep) = &mut self.sweep
            && let Some(group) = groups.iter().find(|group| group.purpose == Purpose::Sweep)
        {
            let swept = targets.iter().filter(|target| target.purpose == Purpose::Sweep);
            // Before the first signal: afterwards there is nothing to count.
            sweep.report.memory = read::memory(&swept.map(Target::id).collect());
            sweep.left.clone_from(&group.left);
        }
    }

    /// Takes in what came of the targets.
    pub(crate) fn record(&mut self, done: &Done) {
        let missed = |purpose| done.missed.iter().filter(move |(of, _)| *of == purpose).map(|(_, id)| *id);
        for answer in self.ports.iter_mut().filter(|answer| answer.state == State::Tried) {
            answer.left.extend(missed(Purpose::Port(answer.report.spec)));
            answer.record(&done.targets);
        }
        if let Some(sweep) = &mut self.sweep {
            sweep.left.extend(missed(Purpose::Sweep));
            for target in done.targets.iter().filter(|target| target.purpose == Purpose::Sweep) {
                take(&mut sweep.report.processes, &target.judged, target.role);
            }
            tell(&mut sweep.report.processes, &done.targets);
        }
    }

    /// After the signals: answered, or another round.
    pub(crate) fn prove(&mut self) {
        self.ports.iter_mut().filter(|answer| answer.state == State::Tried).for_each(Answer::prove);
    }

    /// After as many rounds as there may be.
    pub(crate) fn give_up(&mut self) {
        for answer in self.ports.iter_mut().filter(|answer| answer.state != State::Closed) {
            let outcome = if answer.was_signalled() {
                Outcome::Survived(WhySurvived::Unsettled)
            } else {
                Outcome::Unseen(WhyUnseen::Unsettled)
            };
            answer.close(Ok(outcome));
        }
    }

    /// What has no answer by now could not be found out.
    pub(crate) fn fail(&mut self, error: &Error) {
        for answer in self.ports.iter_mut().filter(|answer| answer.state != State::Closed) {
            answer.close(Err(error.clone()));
        }
        if let Some(sweep) = &mut self.sweep {
            (sweep.report.status, sweep.done) = (Err(error.clone()), true);
        }
    }

    /// Counts the processes that are still there of those that the instances started.
    pub(crate) fn count_remainders(&mut self) {
        for answer in &mut self.ports {
            // In a dry run nothing has lost its parent, so nothing is about to end.
            let waits = !matches!(answer.report.status, Ok(Outcome::WouldClear));
            match read::remainder(&answer.left, waits) {
                Ok(remainder) => answer.report.remainder = remainder,
                Err(error) => answer.close(Err(error)),
            }
        }
        if let Some(sweep) = &mut self.sweep {
            let untouched = |process: &ProcessReport| process.ending.fate == Fate::Untouched;
            match read::remainder(&sweep.left, !sweep.report.processes.iter().all(untouched)) {
                Ok(remainder) => sweep.report.remainder = remainder,
                // What was signalled is told all the same.
                Err(error) => sweep.report.status = Err(error),
            }
        }
    }

    /// User names and markers are for people to read, and filled in here alone.
    pub(crate) fn report(self) -> Report {
        let ports: Vec<PortReport> = self.ports.into_iter().map(|answer| answer.report).collect();
        let mut report = Report { ports, swept: self.sweep.map(|sweep| sweep.report) };
        let of_ports = report.ports.iter_mut().flat_map(|port| port.holders.iter_mut().chain(&mut port.members));
        let swept = report.swept.iter_mut().flat_map(|swept| &mut swept.processes);
        let mut names: Option<BTreeMap<u32, String>> = None;
        for process in of_ports.chain(swept) {
            let facts = &process.process.facts;
            let names = names.get_or_insert_with(read::user_names);
            process.user = facts.uid.value().and_then(|uid| names.get(uid)).cloned();
            process.markers =
                facts.environ.value().map_or_else(Vec::new, |environ| self.policy.service.markers_in(environ));
        }
        report
    }

    fn of(&mut self, spec: PortSpec) -> Option<&mut Answer> {
        self.ports.iter_mut().find(|answer| answer.report.spec == spec)
    }
}

impl Answer {
    fn probe(spec: PortSpec, start: Instant) -> Self {
        let report = PortReport {
            spec,
            status: Ok(Outcome::Unseen(WhyUnseen::Unsettled)),
            listeners: Vec::new(),
            holders: Vec::new(),
            members: Vec::new(),
            remainder: Memory::default(),
            connections: Connections::default(),
            unreadable: 0,
            asker: None,
            elapsed: Duration::ZERO,
        };
        let (state, left) = (State::Open, BTreeSet::new());
        let mut answer = Self { report, state, unexplained: false, left, start };
        match read::probe(&spec) {
            Ok(Probe::Free) => answer.close(Ok(Outcome::Free)),
            Ok(Probe::Denied | Probe::Busy) => {}
            Err(error) => answer.close(Err(error)),
        }
        answer
    }

    fn close(&mut self, status: Result<Outcome, Error>) {
        self.report.status = status;
        self.report.elapsed = self.start.elapsed();
        self.state = State::Closed;
    }

    fn take(&mut self, plan: PortPlan, world: &World, asked: &Asked<'_>) -> Option<Group> {
        let caller = &asked.caller;
        self.report.asker = Some(Asker { uid: caller.uid, unit: caller.unit.clone(), blind: caller.blind });
        if plan.decision == Decision::NobodyListens {
            self.without_listener(world);
            return None;
        }
        self.report.unreadable = world.unreadable;
        self.report.listeners.extend(plan.listeners);
        self.report.listeners.sort();
        self.report.listeners.dedup();
        let signalled = self.was_signalled();
        // Spared, and here only since something was ended: the port is taken again.
        let is_new = |judged: &Judged| {
            matches!(judged.judgement.verdict, Verdict::Spared(_)) && asked.is_newer(&judged.process.facts)
        };
        let taken_again = self.has_ended_something() && plan.holders.iter().any(is_new);
        for judged in &plan.holders {
            if let Some(new) = take(&mut self.report.holders, judged, Role::Holder) {
                event::verdict(&plan.spec, new);
            }
        }
        let outcome = match plan.decision {
            Decision::Clear => {
                let mut group = Group::new(Purpose::Port(plan.spec));
                group.base = plan.holders;
                return Some(group);
            }
            _ if taken_again => Outcome::Respawned,
            Decision::Held if signalled => Outcome::Held(WhyHeld::Changed),
            Decision::Held | Decision::NobodyListens => Outcome::Held(WhyHeld::Spared),
            Decision::Unseen(why) => Outcome::Unseen(why),
        };
        self.close(Ok(outcome));
        None
    }

    /// Busy, and nobody listens: gone since the probe, or a socket that no table shows.
    fn without_listener(&mut self, world: &World) {
        let port = self.report.spec.port();
        self.report.connections = Connections::default();
        for connection in world.connections.iter().filter(|connection| connection.local.port() == port) {
            if connection.time_wait {
                self.report.connections.time_wait += 1;
            } else {
                self.report.connections.connected += 1;
            }
        }
        let probed = read::probe(&self.report.spec);
        if matches!(probed, Ok(Probe::Busy)) && !self.unexplained {
            // Somebody may have begun to listen after the look: one more tells.
            self.unexplained = true;
            return;
        }
        self.close(match probed {
            Ok(Probe::Free) => Ok(self.freed()),
            Ok(Probe::Busy) => Ok(Outcome::Unseen(WhyUnseen::NobodyListens)),
            Ok(Probe::Denied) => Err(unproven(&self.report.spec)),
            Err(error) => Err(error),
        });
    }

    fn expect(&mut self, group: &Group, mode: &Mode<'_>) {
        for member in &group.members {
            if let Some(new) = take(&mut self.report.members, &member.judged, member.role) {
                event::verdict(&self.report.spec, new);
            }
        }
        match group.refused {
            Some(Refused::Elsewhere(id)) => self.close(Ok(Outcome::Held(WhyHeld::Elsewhere(id)))),
            Some(Refused::OutOfReach(id)) => self.close(Ok(Outcome::Unseen(WhyUnseen::NotPermitted(id)))),
            None => {
                self.left.extend(&group.left);
                self.state = State::Tried;
                if matches!(mode, Mode::Look) {
                    self.close(Ok(Outcome::WouldClear));
                }
            }
        }
    }

    /// Takes in what came of the targets, and late forks among them.
    fn record(&mut self, targets: &[Target]) {
        let is_known = |target: &&Target| self.report.processes().any(|known| known.process.id() == target.id());
        let of_port = targets.iter().filter(|target| target.purpose == Purpose::Port(self.report.spec));
        let new: Vec<&Target> = of_port.filter(|target| !is_known(target)).collect();
        for target in new {
            take(&mut self.report.members, &target.judged, target.role);
        }
        tell(&mut self.report.holders, targets);
        tell(&mut self.report.members, targets);
    }

    /// The bind comes first: a process that is still there may have let go of the port.
    fn prove(&mut self) {
        let holder = |is: fn(&Fate) -> bool| self.report.holders.iter().find(|holder| is(&holder.ending.fate));
        let survived = holder(|fate| matches!(fate, Fate::Survived(_)));
        let refused = holder(|fate| *fate == Fate::NotPermitted).map(|holder| holder.process.id());
        let unread = holder(|fate| *fate == Fate::Unread).map(|holder| holder.process.id());
        let out_of_reach = refused.map(WhyUnseen::NotPermitted).or(unread.map(WhyUnseen::Unread));
        self.state = State::Open;
        match (read::probe(&self.report.spec), out_of_reach) {
            (Ok(Probe::Free), _) => self.close(Ok(self.freed())),
            (Ok(_), _) if survived.is_some() => self.close(Ok(Outcome::Survived(WhySurvived::StillThere))),
            (Ok(_), Some(why)) => self.close(Ok(Outcome::Unseen(why))),
            // Another round.
            (Ok(_), None) => {}
            (Err(error), _) => self.close(Err(error)),
        }
    }

    /// A bind has proved it. Whether anything was done for it depends on what became of its holders: they may have been
    /// ended for another port in the meantime.
    fn freed(&self) -> Outcome {
        let touched = self.report.holders.iter().any(|holder| holder.ending.fate != Fate::Untouched);
        if touched { Outcome::Cleared } else { Outcome::Free }
    }

    fn has_ended_something(&self) -> bool {
        self.report.holders.iter().any(|holder| matches!(holder.ending.fate, Fate::Ended(_)))
    }

    fn was_signalled(&self) -> bool {
        self.report.holders.iter().any(|holder| !holder.ending.signals.is_empty())
    }
}

/// Takes a process into the report: each once, as it was last seen, or as it was when it was signalled. Gives it where it
/// was not judged like this at the last look.
fn take<'a>(into: &'a mut Vec<ProcessReport>, judged: &Judged, role: Role) -> Option<&'a ProcessReport> {
    let same = |known: &ProcessReport| known.process.id() == judged.id();
    if into.iter().any(|known| same(known) && known.ending.fate != Fate::Untouched) {
        return None;
    }
    let known = into.iter().position(same).map(|at| into.remove(at));
    into.push(ProcessReport {
        role,
        process: (*judged.process).clone(),
        user: None,
        markers: Vec::new(),
        judgement: judged.judgement.clone(),
        ending: Ending::new(Fate::Untouched),
    });
    into.last().filter(|_| known.is_none_or(|known| known.judgement != judged.judgement))
}

/// Writes down what came of the targets among the processes.
fn tell(processes: &mut [ProcessReport], targets: &[Target]) {
    for process in processes.iter_mut().filter(|process| process.ending.fate == Fate::Untouched) {
        if let Some(target) = targets.iter().find(|target| target.id() == process.process.id()) {
            process.ending = target.ending.clone();
        }
    }
}

fn unproven(spec: &PortSpec) -> Error {
    let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    Error::new(format!("nothing listens on {spec}, but only a bind proves that it is free"), source)
}
