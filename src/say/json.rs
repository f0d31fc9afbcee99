//! The report as one JSON document. docs/json.md describes it, and a test holds the two together.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use portclear::{
    Facts, Fate, Identity, Liveness, Manager, Memory, Outcome, PortReport, ProcessReport, Report, Role, Rule,
    SweepReport, Verdict, escape,
};
use serde_json::{Map, Value, json};

use crate::cli::exit::Exit;

/// Grows when a field changes its meaning or goes; new fields do not count.
const SCHEMA: u32 = 1;

pub(crate) fn document(report: &Report, exit: Exit) -> Value {
    json!({
        "schema": SCHEMA,
        "exit": exit.code(),
        "ports": report.ports.iter().map(port).collect::<Vec<_>>(),
        "swept": report.swept.as_ref().map(swept),
    })
}

fn port(port: &PortReport) -> Value {
    json!({
        "port": port.spec.port(),
        "address": port.spec.address(),
        "status": status(port),
        "exit": Exit::of_port(port).code(),
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
    let facts = &report.holder.facts;
    let exe = facts.exe.value();
    let markers = report
        .markers
        .iter()
        .map(|marker| (escape(marker.key.as_bytes()), Value::from(escape(marker.value.as_bytes()))));
    json!({
        "role": role(report.role),
        "pid": facts.id.pid,
        "start_ticks": facts.id.start_ticks,
        "started": facts.started.map(|time| humantime::format_rfc3339_seconds(time).to_string()),
        "age_ms": millis(facts.age),
        "comm": escape(facts.comm.as_bytes()),
        "exe": exe.map(|exe| escape(exe.path.as_os_str().as_bytes())),
        "replaced": exe.map(|exe| exe.replaced),
        "command": report.command(),
        "uid": facts.uid.value(),
        "user": report.user.as_ref().map(|user| escape(user.as_bytes())),
        "ppid": facts.ppid,
        "lineage": report.holder.ancestry.parents().map(ancestor).collect::<Vec<_>>(),
        "unit": facts.unit().map(|unit| escape(unit.name.as_bytes())),
        "manager": facts.unit().map(|unit| match unit.manager {
            Manager::System => "system".to_owned(),
            Manager::User(uid) => format!("user {uid}"),
            Manager::Nested => "nested".to_owned(),
            _ => "other".to_owned(),
        }),
        "run": facts.run(),
        "rss": facts.rss,
        "inodes": report.holder.inodes,
        "markers": markers.collect::<Map<_, _>>(),
        "identity": identity(&report.judgement.identity),
        "liveness": liveness(&report.judgement.liveness),
        "verdict": verdict(report.judgement.verdict),
        "rule": rule(report.judgement.rule),
        "reason": report.reason(),
        "signals": report.ending.signals.iter().map(|(signal, after)| json!({
            "signal": signal.to_string(),
            "after_ms": millis(*after),
        })).collect::<Vec<_>>(),
        "outcome": outcome(report.ending.fate),
        "state": match report.ending.fate {
            Fate::Survived(state) => Some(state.to_string()),
            _ => None,
        },
        "ms": report.ending.ended_after.map(millis),
    })
}

fn ancestor(facts: &Facts) -> Value {
    json!({
        "pid": facts.id.pid,
        "comm": escape(facts.comm.as_bytes()),
        "exe": facts.exe.value().map(|exe| escape(exe.path.as_os_str().as_bytes())),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const fn status(port: &PortReport) -> &'static str {
    match &port.status {
        Err(_) => "error",
        Ok(Outcome::Free) => "free",
        Ok(Outcome::Cleared) => "cleared",
        Ok(Outcome::WouldClear) => "would-clear",
        Ok(Outcome::Held) => "held",
        Ok(Outcome::Unseen) => "unseen",
        Ok(Outcome::Survived) => "survived",
        Ok(Outcome::Respawned) => "respawned",
        Ok(_) => "other",
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Holder => "holder",
        Role::Launcher => "launcher",
        Role::Worker => "worker",
        Role::Offspring => "offspring",
        Role::Leftover => "leftover",
        _ => "other",
    }
}

const fn identity(identity: &Identity) -> &'static str {
    match identity {
        Identity::Instance(_) => "instance",
        Identity::Offspring(_) => "offspring",
        Identity::Foreign => "foreign",
        Identity::Unknown => "unknown",
        _ => "other",
    }
}

const fn liveness(liveness: &Liveness) -> &'static str {
    match liveness {
        Liveness::Protected(_) => "protected",
        Liveness::Live(_) => "live",
        Liveness::Leftover => "leftover",
        Liveness::Unsupervised => "unsupervised",
        Liveness::Unknown => "unknown",
        _ => "other",
    }
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stale => "stale",
        Verdict::Spare => "spare",
    }
}

const fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::StaleInstance => "stale-instance",
        Rule::StaleLeftover => "stale-leftover",
        Rule::OwnUnit => "own-unit",
        Rule::AnyOwner => "any-owner",
        Rule::EndLive => "end-live",
        Rule::EndOffspring => "end-offspring",
        Rule::Tree => "tree",
        Rule::Elsewhere => "elsewhere",
        Rule::OtherInstance => "other-instance",
        Rule::Protected => "protected",
        Rule::Live => "live",
        Rule::Newer => "newer",
        Rule::Offspring => "offspring",
        Rule::Foreign => "foreign",
        Rule::Unknown => "unknown",
        _ => "other",
    }
}

const fn outcome(fate: Fate) -> &'static str {
    match fate {
        Fate::Untouched => "untouched",
        Fate::Ended => "ended",
        Fate::EndedByItself => "ended-by-itself",
        Fate::Changed => "changed",
        Fate::Unread => "unread",
        Fate::NotPermitted => "not-permitted",
        Fate::Survived(_) => "survived",
        _ => "other",
    }
}
