//! What a person can do after a refusal, the safest step first. It names no option of the program.

use std::io::ErrorKind;

use super::held::{AS_ROOT, for_spared, live_supervised, live_unit};
use super::sentence::has_survived;
use super::step::{again, command, stop, words};
use crate::model::{
    Also, Blind, Change, Identity, Liveness, Outcome, PortReport, ProcessId, ProcessReport, Record, Rival, Script,
    Service, Signal, Step, WhyHeld, WhySurvived, WhyUnseen,
};

impl PortReport {
    /// What a person can do about this very refusal, the safest step first. Empty: the port is free, or would be, or
    /// nothing was found out.
    #[must_use]
    pub fn next_steps(&self) -> Vec<Step> {
        let asker = self.asker.as_ref().map(|asker| asker.uid);
        match &self.status {
            Err(error) if error.kind() == ErrorKind::PermissionDenied && asker.is_some_and(|uid| uid != 0) => {
                vec![again(Change::AsRoot, "tries again as root, and ends a stale holder")]
            }
            Err(_) | Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear) => Vec::new(),
            Ok(Outcome::Held(WhyHeld::Elsewhere(_))) => {
                vec![again(Change::Also(Also::Tree), "ends the whole instance, and frees its other port as well")]
            }
            Ok(Outcome::Held(WhyHeld::Changed)) => vec![again(Change::Look, "shows what holds the port now")],
            Ok(Outcome::Held(WhyHeld::Spared)) => {
                let spared = |holder: &&ProcessReport| !holder.judgement.verdict.is_stale();
                let by_sentence = |holder: &&ProcessReport| live_unit(holder).is_some();
                let by_program = |holder: &&ProcessReport| live_supervised(holder).is_some();
                let holders = || self.holders.iter();
                let holder = holders().find(by_sentence).or_else(|| holders().find(by_program));
                let holder = holder.or_else(|| holders().find(spared));
                holder.map(|holder| for_spared(holder, self)).unwrap_or_default()
            }
            Ok(Outcome::Unseen(why)) => self.for_unseen(*why, asker),
            Ok(Outcome::Survived(why)) => self.for_survived(*why),
            Ok(Outcome::Respawned) => self.for_respawned(asker),
        }
    }

    fn for_unseen(&self, why: WhyUnseen, asker: Option<u32>) -> Vec<Step> {
        let is_root = asker == Some(0);
        let blind = self.asker.as_ref().and_then(|asker| asker.blind);
        let as_root = || vec![again(Change::AsRoot, AS_ROOT)];
        match why {
            WhyUnseen::NobodyListens => match (self.connections.connected, self.connections.time_wait) {
                (0, 0) => vec![again(Change::Look, "looks again: a server that starts binds before it listens")],
                (0, _) => vec![again(Change::Nothing, "tries again, after a minute")],
                _ => vec![command(
                    format!("ss -tanp 'sport = :{}'", self.spec.port()),
                    "shows the connections and their processes",
                )],
            },
            WhyUnseen::Unsettled => vec![again(Change::Look, "looks again")],
            // The sentence says what to change in the unit.
            _ if blind == Some(Blind::UserNamespace) => Vec::new(),
            WhyUnseen::Unread(id) if is_root || self.is_beyond_root(id, asker) => vec![command(
                format!("ps -o pid,user,args -p {}", id.pid),
                "shows what it runs, so that you can end it yourself",
            )],
            WhyUnseen::NotPermitted(_) if is_root => {
                vec![words("give this call the capability CAP_KILL, or in a unit write ExecStartPre=+")]
            }
            WhyUnseen::Hidden(_) if is_root => {
                vec![
                    command("lsns -t pid".to_owned(), "lists the pid namespaces"),
                    words("call portclear in the pid namespace of the holder"),
                ]
            }
            WhyUnseen::Unread(_) | WhyUnseen::NotPermitted(_) | WhyUnseen::Hidden(_) => as_root(),
        }
    }

    /// Root cannot tell either: nobody can believe its script, or nothing names its run.
    fn is_beyond_root(&self, id: ProcessId, asker: Option<u32>) -> bool {
        let is_beyond = |process: &ProcessReport| {
            let facts = &process.process.facts;
            let (is_own, judgement) = (facts.uid.value().copied() == asker, &process.judgement);
            let has_no_run = judgement.identity != Identity::Unknown
                && judgement.liveness == Liveness::Unknown
                && matches!(facts.record, Record::Current { .. });
            is_own && facts.script == Script::Unreadable || has_no_run
        };
        self.processes().any(|process| process.process.id() == id && is_beyond(process))
    }

    fn for_survived(&self, why: WhySurvived) -> Vec<Step> {
        let look = || vec![again(Change::Look, "shows later whether it still holds the port")];
        let survivor = match why {
            WhySurvived::Stopped => return look(),
            WhySurvived::Unsettled => {
                return vec![again(Change::Look, "shows who holds the port now, and who started it")];
            }
            WhySurvived::StillThere => self.processes().find(|process| has_survived(process)),
        };
        let Some(survivor) = survivor else { return look() };
        let pid = survivor.process.id().pid;
        let signals = &survivor.ending.signals;
        if !signals.iter().any(|sent| sent.signal == Signal::KILL) {
            // It was asked, and nobody used force.
            let grace = if survivor.judgement.service.is_known() { Service::OPENCLAW_DRAIN.as_secs() } else { 60 };
            let waited = survivor.ending.signals.first().map_or(0, |_| self.elapsed.as_secs());
            return (waited < grace)
                .then(|| again(Change::Grace(grace), "waits longer for it to end"))
                .into_iter()
                .chain([again(Change::Kill, "sends SIGKILL if it does not end in time")])
                .collect();
        }
        let look = format!("ps -o pid,stat,wchan:30,args -p {pid}");
        vec![match survivor.process.facts.state {
            't' => command(
                format!("grep TracerPid /proc/{pid}/status"),
                "names the debugger that holds it, so that you can end that first",
            ),
            _ => command(look, "shows what it waits for, perhaps a disk or a file server"),
        }]
    }

    /// As long as its starter is there, it comes back.
    fn for_respawned(&self, asker: Option<u32>) -> Vec<Step> {
        let holder = self.new_holder();
        let stop = holder.and_then(|holder| stop(holder, asker));
        let starter = self.starter().map(|facts| facts.id.pid).or_else(|| {
            let parent = holder.map(|holder| holder.process.facts.ppid);
            parent.filter(|pid| *pid > 1)
        });
        let look = |pid: u32| {
            command(format!("ps -o pid,args -p {pid}"), "shows what starts it, so that you can stop that first")
        };
        match (stop, starter) {
            (Some(stop), _) => vec![stop],
            (None, Some(pid)) => vec![look(pid)],
            (None, None) => vec![again(Change::Look, "shows who holds the port now")],
        }
    }
}

impl Rival {
    /// What a person can do about it.
    #[must_use]
    pub fn next_steps(&self) -> Vec<Step> {
        if self.process.judgement.verdict.is_stale() {
            return vec![again(Change::Also(Also::Sweep), "ends it as well")];
        }
        stop(&self.process, None).into_iter().collect()
    }
}
