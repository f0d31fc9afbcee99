//! The answer about one port, in a sentence.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::Error;
use crate::facts::{Blind, Seen};
use crate::liveness::{Liveness, Supervisor};
use crate::report::{Fate, Memory, Outcome, PortReport, ProcessReport, SweepReport};
use crate::rules::{Rule, Verdict};
use crate::tree::Role;

/// More holders than these make no sentence.
const HOLDERS: usize = 3;

impl PortReport {
    /// The answer in one sentence, without the port's name. It speaks of the program's options.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.answer(true)
    }

    /// Why a server's own bind is refused: the answer, and who holds the port.
    pub(crate) fn refusal(&self) -> String {
        let answer = match &self.status {
            // What went wrong is the error's source.
            Err(_) => "it is in use, and by whom could not be found out".to_owned(),
            Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear) => {
                "free at every look, and taken again before every bind".to_owned()
            }
            Ok(_) => self.answer(false),
        };
        // Not what was stale: it has ended, or would have been, had it been alone.
        let there = |h: &&ProcessReport| match h.ending.fate {
            Fate::Ended | Fate::EndedByItself => false,
            Fate::Untouched => h.judgement.verdict == Verdict::Spare,
            _ => true,
        };
        let mut holders: Vec<String> = self
            .holders
            .iter()
            .filter(there)
            .map(|h| format!("{}, pid {}: {}", h.holder.facts.name(), h.holder.facts.id.pid, h.reason()))
            .collect();
        let more = holders.len().saturating_sub(HOLDERS);
        holders.truncate(HOLDERS);
        if more > 0 {
            holders.push(format!("and {} more", processes(more)));
        }
        if holders.is_empty() { answer } else { format!("{answer} ({})", holders.join("; ")) }
    }

    fn answer(&self, program: bool) -> String {
        let count = |fate: fn(&Fate) -> bool| self.processes().filter(|p| fate(&p.ending.fate)).count();
        match &self.status {
            Err(error) => format!("could not find out: {}", cause(error)),
            Ok(Outcome::Free) => "free".to_owned(),
            Ok(Outcome::Cleared) => {
                let ended = count(|fate| matches!(fate, Fate::Ended | Fate::EndedByItself));
                let left = count(|fate| matches!(fate, Fate::Survived(_)));
                let holds = |process: &ProcessReport| matches!(process.ending.fate, Fate::Survived(_));
                let left = match left {
                    0 => String::new(),
                    left if self.holders.iter().any(holds) => {
                        format!(", {} let go of it and still there", processes(left))
                    }
                    left => format!(", {} still there", processes(left)),
                };
                format!(
                    "cleared, {} ended{left}; a bind proves it{}",
                    processes(ended),
                    self.remaining("still there")
                )
            }
            Ok(Outcome::WouldClear) => {
                let stale = processes(self.processes().count());
                format!("would be cleared, {stale} stale{}", self.remaining("would live on"))
            }
            Ok(Outcome::Held) => {
                let mut text = "held, and left alone: nothing was signalled".to_owned();
                let live = |holder: &ProcessReport| match &holder.judgement.liveness {
                    Liveness::Live(Supervisor::Unit(unit)) if holder.judgement.rule == Rule::Live => {
                        Some(unit.clone())
                    }
                    _ => None,
                };
                if let Some(unit) = self.holders.iter().find_map(live) {
                    let here =
                        self.asked_from.as_ref().map(|own| format!(", this is {own}")).unwrap_or_default();
                    text = format!("held by unit {unit}, which is running{here}: nothing was signalled");
                }
                if let Some(member) =
                    self.members.iter().find(|member| member.judgement.rule == Rule::Elsewhere)
                {
                    let (name, pid) = (member.holder.facts.name(), member.holder.facts.id.pid);
                    let how = if program { "; --tree ends all of it" } else { "" };
                    text = format!(
                        "held by an instance of which {name} (pid {pid}) serves another port, too: nothing was \
                         signalled{how}"
                    );
                }
                if program && self.holders.iter().any(|holder| holder.judgement.rule == Rule::Foreign) {
                    text += "; --any-owner ends it all the same, --marker, --exe or --package say what your \
                             service looks like";
                }
                if self.holders.iter().any(|holder| !holder.ending.signals.is_empty()) {
                    text = "held by what a signalled process became, and left alone".to_owned();
                }
                text
            }
            Ok(Outcome::Unseen) => self.unseen(program),
            Ok(Outcome::Survived) if self.unsettled => {
                "still held: each process that was ended left another one behind".to_owned()
            }
            Ok(Outcome::Survived) => {
                let survived = count(|fate| matches!(fate, Fate::Survived(_)));
                let remaining = self.remaining("still there");
                format!("still held: {} signalled and still there{remaining}", processes(survived))
            }
            Ok(Outcome::Respawned) => self.respawned(),
        }
    }

    fn processes(&self) -> impl Iterator<Item = &ProcessReport> {
        self.holders.iter().chain(&self.members)
    }

    /// What the ended instances started and is still there, and what would end it.
    fn remaining(&self, there: &str) -> String {
        if self.remainder.processes == 0 {
            return String::new();
        }
        let swept = self.holders.iter().any(|holder| holder.judgement.liveness == Liveness::Leftover);
        let how = match self.status {
            // With --tree it was tried.
            _ if self.members.iter().any(|member| member.role == Role::Offspring) => "",
            Ok(Outcome::WouldClear) => " (--tree ends that, too)",
            _ if swept => " (--tree would have ended that, too; --sweep ends what carries the marker)",
            _ => " (--tree would have ended that, too)",
        };
        let left = processes(self.remainder.processes);
        format!("; {left} started by it {there}, with {}{how}", self.remainder)
    }

    fn unseen(&self, program: bool) -> String {
        let sudo = || match self.asked_by {
            Some(uid) if program && uid != 0 => format!("; this would work: sudo portclear {}", self.spec),
            _ => String::new(),
        };
        let count = |n: usize| if n == 1 { "one socket".to_owned() } else { format!("{n} sockets") };
        if !self.listening {
            return match (self.connections.connected, self.connections.time_wait) {
                (0, 0) => "taken by a socket that is bound and does not listen: no table shows whose it is"
                    .to_owned(),
                (0, n) => format!("nobody listens; {} in TIME_WAIT, for a minute at most", count(n)),
                (n, _) => {
                    format!("nobody listens; {} of a connection, which is not ended for a port", count(n))
                }
            };
        }
        if self.unsettled {
            return "its holders kept changing while they were looked at; nothing was signalled".to_owned();
        }
        let out_of_reach =
            |h: &&ProcessReport| !h.holder.facts.signalable || h.ending.fate == Fate::NotPermitted;
        if let Some(holder) = self.processes().find(out_of_reach) {
            let facts = &holder.holder.facts;
            return format!(
                "process {} of {} may not be signalled from here{}",
                facts.id.pid,
                uid(&facts.uid),
                sudo()
            );
        }
        let unknown = |h: &&ProcessReport| h.judgement.rule == Rule::Unknown || h.ending.fate == Fate::Unread;
        if let Some(holder) = self.holders.iter().find(unknown) {
            let facts = &holder.holder.facts;
            let why = holder.reason();
            return format!(
                "process {} of {} was left alone: {why}{}",
                facts.id.pid,
                uid(&facts.uid),
                sudo()
            );
        }
        let held = |inode: u64| self.holders.iter().any(|holder| holder.holder.inodes.contains(&inode));
        let Some(listener) = self.listeners.iter().find(|listener| !held(listener.inode)) else {
            return "held by somebody who cannot be seen from here".to_owned();
        };
        let directive = match self.blinds {
            Some(Blind::UserNamespace) => {
                "; this call is in a user namespace of its own: in a unit, set PrivateUsers=no or write ExecStartPre=+"
            }
            Some(Blind::HiddenProc) => "; in a unit, set ProtectProc=default",
            None => "",
        };
        let uid = listener.uid;
        match sudo() {
            sudo if sudo.is_empty() => format!(
                "held by a process of uid {uid} that is in no descriptor table of this /proc: another pid namespace, or \
                 in flight over a unix socket{directive}"
            ),
            sudo => format!("held by a process of uid {uid} that cannot be seen from here{sudo}{directive}"),
        }
    }

    fn respawned(&self) -> String {
        let again = self.holders.iter().rev().find(|holder| holder.ending.fate == Fate::Untouched);
        let Some(again) = again else { return "cleared, and taken again".to_owned() };
        let facts = &again.holder.facts;
        let parent = again.holder.ancestry.line.first();
        let parent = parent.map_or_else(
            || format!("process {}", facts.ppid),
            |parent| format!("{} (pid {})", parent.name(), parent.id.pid),
        );
        let by = match facts.unit() {
            Some(unit) => format!(" in unit {unit}: stop that first"),
            // It has lost its parent: there is nothing else to stop.
            None if facts.ppid == 1 => String::new(),
            None => format!(", started by {parent}: stop that first"),
        };
        format!("cleared, and taken again by {} (pid {}){by}", facts.name(), facts.id.pid)
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
        let of = |fate: fn(&Fate) -> bool| self.processes.iter().filter(|p| fate(&p.ending.fate)).count();
        let ended = of(|fate| matches!(fate, Fate::Ended | Fate::EndedByItself));
        let untouched = of(|fate| matches!(fate, Fate::Untouched));
        let others = self.processes.len() - ended - untouched;
        let runs: BTreeSet<&str> = self.processes.iter().filter_map(|p| p.holder.facts.run()).collect();
        let runs = match runs.len() {
            0 => String::new(),
            1 => " of an ended run".to_owned(),
            runs => format!(" of {runs} ended runs"),
        };
        let what = if untouched > 0 {
            format!("{}{runs} would be ended", processes(untouched))
        } else {
            format!("{}{runs} ended", processes(ended))
        };
        let others = if others > 0 { format!(", {} still there", processes(others)) } else { String::new() };
        let left = match self.remainder.processes {
            0 => String::new(),
            left => format!("; {} started by them still there, with {}", processes(left), self.remainder),
        };
        format!("{what}{others}, with {}{left}", self.memory)
    }
}

impl fmt::Display for Memory {
    /// In MiB, and whether that is all they have resident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.bytes as f64 / f64::from(1 << 20);
        write!(f, "{mebibytes:.1} MiB{}", if self.resident { " resident" } else { "" })
    }
}

/// What could not be done, and why.
fn cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn uid(uid: &Seen<u32>) -> String {
    uid.value().map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"))
}

fn processes(n: usize) -> String {
    if n == 1 { "1 process".to_owned() } else { format!("{n} processes") }
}
