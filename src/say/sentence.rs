//! The answer about one port, in a sentence. It names no option of the program.

use std::fmt;

use super::held::{live_supervised, live_unit};
use crate::model::supervisors::CONTAINER_INIT;
use crate::model::{
    Blind, Error, Facts, Fate, Memory, Outcome, PortReport, ProcessId, ProcessReport, Supervised, WhyHeld, WhySurvived,
    WhyUnseen,
};

/// A sentence names no more holders than these.
const HOLDERS: usize = 3;

/// Why a server's own bind is refused: the answer, and who holds the port.
pub(crate) fn refusal(port: &PortReport) -> String {
    let answer = match &port.status {
        // The error's source says what went wrong.
        Err(_) => "it is in use, and the holder could not be found".to_owned(),
        Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear) => {
            "free at every look, and taken again before every bind".to_owned()
        }
        Ok(_) => port.sentence(),
    };
    // An untouched stale holder is not named: another holder kept the port from being cleared.
    let is_there = |holder: &&ProcessReport| match holder.ending.fate {
        Fate::Ended(_) | Fate::EndedByItself(_) => false,
        Fate::Untouched => !holder.judgement.verdict.is_stale(),
        Fate::Changed | Fate::Unread | Fate::NotPermitted | Fate::Survived(_) => true,
    };
    let mut there = port.holders.iter().filter(is_there);
    let holder = |holder: &ProcessReport| {
        let facts = &holder.process.facts;
        let stops = holder.stops().map(|stops| format!("; {stops}")).unwrap_or_default();
        format!("{}, pid {}: {}{stops}", facts.name(), facts.id.pid, holder.reason())
    };
    let mut holders: Vec<String> = there.by_ref().take(HOLDERS).map(holder).collect();
    match there.count() {
        0 => {}
        more => holders.push(format!("and {} more", processes(more))),
    }
    if holders.is_empty() { answer } else { format!("{answer} ({})", holders.join("; ")) }
}

impl PortReport {
    /// The answer in one sentence, without the port's name.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.status {
            Err(error) => format!("could not find out: {}", cause(error)),
            Ok(Outcome::Free) => "free".to_owned(),
            Ok(Outcome::Cleared) => self.cleared(),
            Ok(Outcome::WouldClear) => {
                let stale = match self.processes().count() {
                    1 => "1 stale process".to_owned(),
                    n => format!("{n} stale processes"),
                };
                format!("would be cleared: {stale}{}", remaining(&self.remainder, "it", " may live on"))
            }
            Ok(Outcome::Held(why)) => self.held(*why),
            Ok(Outcome::Unseen(why)) => self.unseen(*why),
            Ok(Outcome::Survived(WhySurvived::Unsettled)) => {
                "still held: each ended process left another one behind".to_owned()
            }
            Ok(Outcome::Survived(WhySurvived::StillThere)) => {
                let survivors = processes(count(self.processes(), has_survived));
                let remaining = remaining(&self.remainder, "it", still_running(&self.remainder));
                format!("still held: {survivors} signalled and still there{remaining}")
            }
            Ok(Outcome::Survived(WhySurvived::Stopped)) => self.stopped(),
            Ok(Outcome::Respawned) => self.respawned(),
        }
    }

    fn cleared(&self) -> String {
        let ended = count(self.processes(), has_ended);
        let survived = count(self.processes(), has_survived);
        let survivors = match survived {
            _ if !self.holders.iter().any(has_survived) => also(survived, "still there"),
            1 => also(1, "released the port and is still running"),
            n => also(n, "released the port and are still running"),
        };
        let ended = match ended {
            0 if survived > 0 => String::new(),
            n => format!(", {} ended{}", processes(n), cut_off(self.processes())),
        };
        let remaining = remaining(&self.remainder, "it", still_running(&self.remainder));
        let again = self.may_return();
        format!("cleared{ended}{survivors}; a bind proves it{}{remaining}{again}", self.cut_short())
    }

    /// What was asked may be draining, and goes on.
    fn stopped(&self) -> String {
        let is_asked = |process: &ProcessReport| has_survived(process) && !process.ending.signals.is_empty();
        let asked = match count(self.processes(), is_asked) {
            0 => String::new(),
            n => format!("; {} signalled and still there, perhaps draining", processes(n)),
        };
        format!("still held: the wait was stopped{asked}; no further signal is sent")
    }

    fn held(&self, why: WhyHeld) -> String {
        let held = match why {
            WhyHeld::Changed => {
                return "held by a process that executed a program after its signal, and left alone".to_owned();
            }
            WhyHeld::Elsewhere(id) => {
                let member = self.process(id).map(|member| {
                    let facts = &member.process.facts;
                    format!(" ({}, pid {})", facts.name(), facts.id.pid)
                });
                format!("held by an instance that also serves another port{}", member.unwrap_or_default())
            }
            WhyHeld::Spared => match self.holders.iter().find_map(live_unit) {
                Some(unit) => {
                    let own = self.asker.as_ref().and_then(|asker| asker.unit.as_ref());
                    let here = own.map(|own| format!(" (this call is in {own})")).unwrap_or_default();
                    format!("held by unit {unit}, which is running{here}")
                }
                None => match self.holders.iter().find_map(live_supervised) {
                    Some(Supervised { by: CONTAINER_INIT, .. }) => {
                        "held by the main process of this container".to_owned()
                    }
                    Some(Supervised { by, supervisor, .. }) => {
                        format!("held by a process that {by} (pid {}) looks after", supervisor.pid)
                    }
                    None => "held, and left alone".to_owned(),
                },
            },
        };
        held + &self.nothing_signalled(": ")
    }

    fn unseen(&self, why: WhyUnseen) -> String {
        let owner = |id| {
            let uid = self.process(id).and_then(|process| process.process.facts.uid.value());
            let user = uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
            format!("process {} of {user}", id.pid)
        };
        match why {
            WhyUnseen::NobodyListens => self.nobody_listens(),
            WhyUnseen::Unsettled => {
                format!("its holders changed during each look{}", self.nothing_signalled("; "))
            }
            WhyUnseen::NotPermitted(id) => format!("{} may not be signalled from here", owner(id)),
            WhyUnseen::Unread(id) => {
                let why = self.process(id).map(ProcessReport::reason).unwrap_or_default();
                format!("{} was left alone: {why}", owner(id))
            }
            WhyUnseen::Hidden(uid) => self.hidden(uid),
        }
    }

    fn nobody_listens(&self) -> String {
        let count = |n: usize| if n == 1 { "one socket".to_owned() } else { format!("{n} sockets") };
        match (self.connections.connected, self.connections.time_wait) {
            (0, 0) => "a process has bound the port and does not listen; Linux does not show which one".to_owned(),
            (0, n) => format!("nobody listens; {} in TIME_WAIT, for a minute at most", count(n)),
            (1, _) => "nobody listens, but one connection uses the port, and connections are left alone".to_owned(),
            (n, _) => format!("nobody listens, but {n} connections use the port, and connections are left alone"),
        }
    }

    fn hidden(&self, uid: u32) -> String {
        let where_it_is = match &self.asker {
            Some(asker) if asker.uid != 0 => "that cannot be seen from here",
            _ => "that is not visible in this /proc; perhaps it is in another pid namespace",
        };
        let directive = match self.asker.as_ref().and_then(|asker| asker.blind) {
            Some(Blind::UserNamespace) => {
                "; this call is in a user namespace of its own: in a unit, set PrivateUsers=no or write ExecStartPre=+"
            }
            Some(Blind::HiddenProc) => "; in a unit, set ProtectProc=default",
            None => "",
        };
        format!("held by a process of uid {uid} {where_it_is}{directive}")
    }

    /// Only where it is true of the whole call.
    fn nothing_signalled(&self, after: &str) -> String {
        let untouched = self.processes().all(|process| process.ending.signals.is_empty());
        if untouched { format!("{after}nothing was signalled") } else { String::new() }
    }

    fn process(&self, id: ProcessId) -> Option<&ProcessReport> {
        self.processes().find(|process| process.process.id() == id)
    }
}

impl fmt::Display for Memory {
    /// In MiB, and whether the number has an Rss in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.bytes as f64 / f64::from(1 << 20);
        write!(f, "{mebibytes:.1} MiB{}", if self.resident { " resident" } else { "" })
    }
}

pub(super) const fn has_ended(process: &ProcessReport) -> bool {
    process.ending.ended_after().is_some()
}

pub(super) const fn has_survived(process: &ProcessReport) -> bool {
    matches!(process.ending.fate, Fate::Survived(_))
}

pub(super) fn count<'a>(
    processes: impl IntoIterator<Item = &'a ProcessReport>, is: fn(&ProcessReport) -> bool,
) -> usize {
    processes.into_iter().filter(|process| is(process)).count()
}

/// `, cut off by SIGKILL`, `, 2 of them cut off by SIGKILL`.
pub(super) fn cut_off<'a>(processes: impl IntoIterator<Item = &'a ProcessReport>) -> String {
    let ended: Vec<&ProcessReport> = processes.into_iter().filter(|process| has_ended(process)).collect();
    match ended.iter().filter(|process| process.ending.was_cut_off()).count() {
        0 => String::new(),
        n if n == ended.len() => ", cut off by SIGKILL".to_owned(),
        n => format!(", {n} of them cut off by SIGKILL"),
    }
}

/// `node (pid 7)`.
pub(super) fn named(facts: &Facts) -> String {
    format!("{} (pid {})", facts.name(), facts.id.pid)
}

/// The attempt, and what the system said.
pub(super) fn cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

pub(super) fn processes(n: usize) -> String {
    if n == 1 { "1 process".to_owned() } else { format!("{n} processes") }
}

/// `, 2 processes still there`.
pub(super) fn also(n: usize, there: &str) -> String {
    if n == 0 { String::new() } else { format!(", {} {there}", processes(n)) }
}

/// `; 2 processes that it started are still running, with 3.4 MiB`.
pub(super) fn remaining(remainder: &Memory, starter: &str, live_on: &str) -> String {
    let n = remainder.processes;
    if n == 0 { String::new() } else { format!("; {} that {starter} started{live_on}, with {remainder}", processes(n)) }
}

pub(super) const fn still_running(remainder: &Memory) -> &'static str {
    if remainder.processes == 1 { " is still running" } else { " are still running" }
}
