//! The answer about one port, in a sentence. It names no option of the program.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::{
    Blind, Error, Fate, Liveness, Memory, Outcome, PortReport, ProcessId, ProcessReport, Supervisor, SweepReport, Unit,
    Verdict, WhyHeld, WhyNot, WhySurvived, WhyUnseen,
};

/// A sentence names no more holders than these.
const HOLDERS: usize = 3;

/// Why a server's own bind is refused: the answer, and who holds the port.
pub(crate) fn refusal(port: &PortReport) -> String {
    let answer = match &port.status {
        // The error's source says what went wrong.
        Err(_) => "it is in use, and by whom could not be found out".to_owned(),
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
    let holder = |holder: &ProcessReport| format!("{}: {}", named(holder, ", pid "), holder.reason());
    let mut holders: Vec<String> = port.holders.iter().filter(is_there).map(holder).collect();
    let more = holders.len().saturating_sub(HOLDERS);
    holders.truncate(HOLDERS);
    if more > 0 {
        holders.push(format!("and {} more", processes(more)));
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
                let stale = processes(self.processes().count());
                format!("would be cleared, {stale} stale{}", self.remaining("would live on"))
            }
            Ok(Outcome::Held(why)) => self.held(*why),
            Ok(Outcome::Unseen(why)) => self.unseen(*why),
            Ok(Outcome::Survived(WhySurvived::Unsettled)) => {
                "still held: each process that was ended left another one behind".to_owned()
            }
            Ok(Outcome::Survived(WhySurvived::StillThere)) => {
                let survived = processes(self.count(|fate| matches!(fate, Fate::Survived(_))));
                format!("still held: {survived} signalled and still there{}", self.remaining("still there"))
            }
            Ok(Outcome::Respawned) => self.respawned(),
        }
    }

    fn cleared(&self) -> String {
        let ended = self.count(|fate| matches!(fate, Fate::Ended(_) | Fate::EndedByItself(_)));
        let holds = |process: &ProcessReport| matches!(process.ending.fate, Fate::Survived(_));
        let left = match self.count(|fate| matches!(fate, Fate::Survived(_))) {
            0 => String::new(),
            left if self.holders.iter().any(holds) => {
                format!(", {} let go of it and still there", processes(left))
            }
            left => format!(", {} still there", processes(left)),
        };
        let remaining = self.remaining("still there");
        format!("cleared, {} ended{left}; a bind proves it{remaining}", processes(ended))
    }

    fn held(&self, why: WhyHeld) -> String {
        match why {
            WhyHeld::Changed => "held by what a signalled process became, and left alone".to_owned(),
            WhyHeld::Elsewhere(id) => {
                let member = self.process(id).map_or_else(String::new, |member| named(member, " (pid ") + ")");
                let nothing = self.nothing_signalled(": ");
                format!("held by an instance of which {member} serves another port, too{nothing}")
            }
            WhyHeld::Spared => match self.holders.iter().find_map(live_unit) {
                Some(unit) => {
                    let own = self.asker.as_ref().and_then(|asker| asker.unit.as_ref());
                    let here = own.map(|own| format!(", this is {own}")).unwrap_or_default();
                    format!("held by unit {unit}, which is running{here}{}", self.nothing_signalled(": "))
                }
                None => format!("held, and left alone{}", self.nothing_signalled(": ")),
            },
        }
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
                format!("its holders kept changing while they were looked at{}", self.nothing_signalled("; "))
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
            (0, 0) => "taken by a socket that is bound and does not listen: no table shows whose it is".to_owned(),
            (0, n) => format!("nobody listens; {} in TIME_WAIT, for a minute at most", count(n)),
            (n, _) => format!("nobody listens; {} of a connection, which is not ended for a port", count(n)),
        }
    }

    fn hidden(&self, uid: u32) -> String {
        let where_it_is = match &self.asker {
            Some(asker) if asker.uid != 0 => "that cannot be seen from here",
            _ => "that is in no descriptor table of this /proc: another pid namespace, or in flight over a unix socket",
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

    fn respawned(&self) -> String {
        let again = self.holders.iter().rev().find(|holder| holder.ending.fate == Fate::Untouched);
        let Some(again) = again else { return "cleared, and taken again".to_owned() };
        let facts = &again.process.facts;
        let by = match (facts.unit(), again.process.ancestry.parents().next()) {
            (Some(unit), _) => format!(" in unit {unit}: stop that first"),
            // It has lost its parent: there is nothing else to stop.
            (None, _) if facts.ppid == 1 => String::new(),
            (None, Some(parent)) => {
                format!(", started by {} (pid {}): stop that first", parent.name(), parent.id.pid)
            }
            (None, None) => format!(", started by process {}: stop that first", facts.ppid),
        };
        format!("cleared, and taken again by {}){by}", named(again, " (pid "))
    }

    /// The remainder, as the end of a sentence.
    fn remaining(&self, there: &str) -> String {
        match self.remainder.processes {
            0 => String::new(),
            left => format!("; {} started by it {there}, with {}", processes(left), self.remainder),
        }
    }

    /// Only where it is true of the whole call.
    fn nothing_signalled(&self, after: &str) -> String {
        let untouched = self.processes().all(|process| process.ending.signals.is_empty());
        if untouched { format!("{after}nothing was signalled") } else { String::new() }
    }

    fn count(&self, is: fn(&Fate) -> bool) -> usize {
        self.processes().filter(|process| is(&process.ending.fate)).count()
    }

    fn process(&self, id: ProcessId) -> Option<&ProcessReport> {
        self.processes().find(|process| process.process.id() == id)
    }
}

impl SweepReport {
    /// What was swept, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Err(error) = &self.status {
            return format!("could not find out what is left over: {}", cause(error));
        }
        if self.processes.is_empty() {
            return "nothing is left over".to_owned();
        }
        let of = |is: fn(&Fate) -> bool| self.processes.iter().filter(|p| is(&p.ending.fate)).count();
        let ended = of(|fate| matches!(fate, Fate::Ended(_) | Fate::EndedByItself(_)));
        let untouched = of(|fate| matches!(fate, Fate::Untouched));
        let others = self.processes.len() - ended - untouched;
        let runs = self.processes.iter().filter_map(|p| p.process.facts.run.as_ref());
        let runs = match runs.collect::<BTreeSet<_>>().len() {
            0 => String::new(),
            1 => " of an ended run".to_owned(),
            runs => format!(" of {runs} ended runs"),
        };
        let swept = match untouched {
            0 => format!("{}{runs} ended", processes(ended)),
            untouched => format!("{}{runs} would be ended", processes(untouched)),
        };
        let others = if others > 0 { format!(", {} still there", processes(others)) } else { String::new() };
        let left = match self.remainder.processes {
            0 => String::new(),
            left => format!("; {} started by them still there, with {}", processes(left), self.remainder),
        };
        format!("{swept}{others}, with {}{left}", self.memory)
    }
}

impl fmt::Display for Memory {
    /// In MiB, and whether the number has an Rss in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.bytes as f64 / f64::from(1 << 20);
        write!(f, "{mebibytes:.1} MiB{}", if self.resident { " resident" } else { "" })
    }
}

/// The unit that runs a holder, if the holder is spared for that.
fn live_unit(holder: &ProcessReport) -> Option<&Unit> {
    if let Liveness::Live(Supervisor::Unit(unit)) = &holder.judgement.liveness
        && holder.judgement.verdict == Verdict::Spared(WhyNot::Live)
    {
        return Some(unit);
    }
    None
}

/// `node, pid 7`, with the text in the middle.
fn named(process: &ProcessReport, between: &str) -> String {
    format!("{}{between}{}", process.process.facts.name(), process.process.id().pid)
}

/// The attempt, and what the system said.
fn cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn processes(n: usize) -> String {
    if n == 1 { "1 process".to_owned() } else { format!("{n} processes") }
}
