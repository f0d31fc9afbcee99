//! The report as one JSON document. docs/json.md describes it, and a test keeps both the same.

use std::ffi::OsStr;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::{
    Facts, Fate, Manager, Marker, Memory, PortReport, ProcessReport, Report, SweepReport, Unit, Verdict, Why, escape,
};

/// Grows when a field changes its meaning or is removed. New fields do not count.
const SCHEMA: u32 = 1;

impl Report {
    /// The document that the program prints with `--json`, in one line. docs/json.md describes its fields.
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({
            "schema": SCHEMA,
            "exit": self.exit_status(),
            "ports": self.ports.iter().map(port).collect::<Vec<_>>(),
            "swept": self.swept.as_ref().map(swept),
        })
        .to_string()
    }
}

fn port(port: &PortReport) -> Value {
    json!({
        "port": port.spec.port(),
        "address": port.spec.address(),
        "status": port.status.as_ref().map_or_else(|_| "error".to_owned(), word),
        "exit": port.exit_status(),
        "sentence": port.sentence(),
        "ms": millis(port.elapsed),
        "listeners": port.listeners.iter().map(|listener| json!({
            "address": listener.local.ip().to_string(),
            "port": listener.local.port(),
            "inode": listener.inode,
            "uid": listener.uid,
        })).collect::<Vec<_>>(),
        "connected": port.connections.connected,
        "time_wait": port.connections.time_wait,
        "unreadable": port.unreadable,
        "holders": port.holders.iter().map(process).collect::<Vec<_>>(),
        "members": port.members.iter().map(process).collect::<Vec<_>>(),
        "remainder": memory(&port.remainder),
    })
}

fn swept(report: &SweepReport) -> Value {
    json!({
        "status": if report.status.is_ok() { "swept" } else { "error" },
        "sentence": report.sentence(),
        "memory": memory(&report.memory),
        "processes": report.processes.iter().map(process).collect::<Vec<_>>(),
        "remainder": memory(&report.remainder),
    })
}

fn memory(memory: &Memory) -> Value {
    json!({ "processes": memory.processes, "bytes": memory.bytes, "resident": memory.resident })
}

fn process(report: &ProcessReport) -> Value {
    let facts = &report.process.facts;
    let exe = facts.exe.value();
    let judgement = &report.judgement;
    let marker = |marker: &Marker| (shown(&marker.key), Value::from(shown(&marker.value)));
    let state = if let Fate::Survived(state) = report.ending.fate { Some(state.to_string()) } else { None };
    json!({
        "role": word(&report.role),
        "pid": facts.id.pid,
        "start_ticks": facts.id.start_ticks,
        "started": facts.started.map(|time| humantime::format_rfc3339_seconds(time).to_string()),
        "age_ms": millis(facts.age),
        "comm": shown(&facts.comm),
        "exe": exe.map(|exe| shown(exe.path.as_os_str())),
        "replaced": exe.map(|exe| exe.replaced),
        "command": report.command(),
        "uid": facts.uid.value(),
        "user": report.user.as_ref().map(|user| escape(user.as_bytes())),
        "ppid": facts.ppid,
        "lineage": report.process.ancestry.parents().map(ancestor).collect::<Vec<_>>(),
        "unit": facts.unit().map(|unit| shown(&unit.name)),
        "manager": facts.unit().map(manager),
        "run": facts.run,
        "rss": facts.rss,
        "inodes": report.process.inodes,
        "markers": report.markers.iter().map(marker).collect::<Map<_, _>>(),
        "identity": word(&judgement.identity),
        "liveness": word(&judgement.liveness),
        "verdict": if judgement.verdict.is_stale() { "stale" } else { "spare" },
        "rule": rule(judgement.verdict),
        "reason": report.reason(),
        "signals": report.ending.signals.iter().map(|sent| json!({
            "signal": sent.signal.name(),
            "after_ms": millis(sent.after),
        })).collect::<Vec<_>>(),
        "outcome": word(&report.ending.fate),
        "state": state,
        "ms": report.ending.ended_after().map(millis),
    })
}

fn ancestor(facts: &Facts) -> Value {
    json!({
        "pid": facts.id.pid,
        "comm": shown(&facts.comm),
        "exe": facts.exe.value().map(|exe| shown(exe.path.as_os_str())),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn shown(text: &OsStr) -> String {
    escape(text.as_encoded_bytes())
}

fn manager(unit: &Unit) -> String {
    match unit.manager {
        Manager::User(uid) => format!("user {uid}"),
        manager @ (Manager::System | Manager::Nested) => word(&manager),
    }
}

/// The rule that gave the verdict.
fn rule(verdict: Verdict) -> String {
    match verdict {
        Verdict::Stale(why @ (Why::Instance | Why::Leftover)) => format!("stale-{}", word(&why)),
        Verdict::Stale(why @ (Why::Live | Why::Offspring)) => format!("end-{}", word(&why)),
        Verdict::Stale(why) => word(&why),
        Verdict::Spared(why) => word(&why),
    }
}

/// The name of a variant as the document writes it: `EndedByItself(…)` is `ended-by-itself`.
fn word(variant: &impl fmt::Debug) -> String {
    let mut word = String::new();
    for c in format!("{variant:?}").chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Evidence, Identity, Liveness, Outcome, Protection, Role, Supervisor, Trace, WhyHeld, WhyNot, WhySurvived,
        WhyUnseen,
    };

    /// Readers of the document compare these words: another name of a variant would be another format.
    #[test]
    fn the_words_are_those_of_the_page() {
        let after = Duration::from_secs(1);
        let table: [(&dyn fmt::Debug, &str); 28] = [
            (&Outcome::Free, "free"),
            (&Outcome::Cleared, "cleared"),
            (&Outcome::WouldClear, "would-clear"),
            (&Outcome::Held(WhyHeld::Spared), "held"),
            (&Outcome::Unseen(WhyUnseen::NobodyListens), "unseen"),
            (&Outcome::Survived(WhySurvived::StillThere), "survived"),
            (&Outcome::Respawned, "respawned"),
            (&Role::Holder, "holder"),
            (&Role::Launcher, "launcher"),
            (&Role::Worker, "worker"),
            (&Role::Offspring, "offspring"),
            (&Role::Leftover, "leftover"),
            (&Identity::Instance(Evidence::Executable), "instance"),
            (&Identity::Offspring(Trace::OtherCgroup(1)), "offspring"),
            (&Identity::Foreign, "foreign"),
            (&Identity::Unknown, "unknown"),
            (&Liveness::Protected(Protection::Named(1)), "protected"),
            (&Liveness::Live(Supervisor::Container(None)), "live"),
            (&Liveness::Leftover, "leftover"),
            (&Liveness::Unsupervised, "unsupervised"),
            (&Liveness::Unknown, "unknown"),
            (&Fate::Untouched, "untouched"),
            (&Fate::Ended(after), "ended"),
            (&Fate::EndedByItself(after), "ended-by-itself"),
            (&Fate::Changed, "changed"),
            (&Fate::Unread, "unread"),
            (&Fate::NotPermitted, "not-permitted"),
            (&Fate::Survived('D'), "survived"),
        ];
        let page = include_str!("../../docs/json.md");
        for (variant, shown) in table {
            assert_eq!(word(&variant), shown);
            assert!(page.contains(&format!("`{shown}`")), "docs/json.md lacks {shown}");
        }
    }

    #[test]
    fn each_rule_has_a_word_of_its_own() {
        let stale = [Why::Instance, Why::Leftover, Why::OwnUnit, Why::AnyOwner, Why::Live, Why::Offspring, Why::Tree];
        let words = ["stale-instance", "stale-leftover", "own-unit", "any-owner", "end-live", "end-offspring", "tree"];
        assert_eq!(stale.map(|why| rule(Verdict::Stale(why))), words);
        let spared = [WhyNot::Protected, WhyNot::Live, WhyNot::Newer, WhyNot::Elsewhere, WhyNot::OtherInstance];
        let words = ["protected", "live", "newer", "elsewhere", "other-instance"];
        assert_eq!(spared.map(|why| rule(Verdict::Spared(why))), words);
        let spared = [WhyNot::Offspring, WhyNot::Foreign, WhyNot::Unknown];
        assert_eq!(spared.map(|why| rule(Verdict::Spared(why))), ["offspring", "foreign", "unknown"]);
    }

    #[test]
    fn a_manager_has_a_word() {
        let unit = |manager| Unit { manager, name: "x".into() };
        let managers = [Manager::System, Manager::User(7), Manager::Nested];
        assert_eq!(managers.map(|one| manager(&unit(one))), ["system", "user 7", "nested"]);
    }
}
