//! The report as one JSON document. docs/json.md describes it, and a test keeps both the same.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::words;
use crate::model::{
    Facts, Fate, Marker, Memory, PortReport, ProcessReport, Report, Rival, Supervisor, SweepReport, escape,
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
            "rival": self.rival.as_ref().map(rival),
        })
        .to_string()
    }
}

fn port(port: &PortReport) -> Value {
    json!({
        "port": port.spec.port(),
        "address": port.spec.address(),
        "status": words::status(port),
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
        "watched_ms": millis(port.watched),
        "starter": port.starter().map(|facts| json!({ "pid": facts.id.pid, "name": facts.name() })),
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

fn rival(rival: &Rival) -> Value {
    json!({ "sentence": rival.sentence(), "port": rival.port, "process": process(&rival.process) })
}

fn memory(memory: &Memory) -> Value {
    json!({ "processes": memory.processes, "bytes": memory.bytes, "resident": memory.resident })
}

fn process(report: &ProcessReport) -> Value {
    let facts = &report.process.facts;
    let exe = facts.exe.value();
    let (verdict, rule) = words::verdict(report.judgement.verdict);
    let shown = |text: &std::ffi::OsStr| escape(text.as_encoded_bytes());
    let marker = |marker: &Marker| (shown(&marker.key), Value::from(shown(&marker.value)));
    let state = if let Fate::Survived(state) = report.ending.fate { Some(state.to_string()) } else { None };
    json!({
        "role": words::role(report.role),
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
        "manager": facts.unit().map(words::manager),
        "run": facts.run,
        "rss": facts.rss,
        "inodes": report.process.inodes,
        "markers": report.markers.iter().map(marker).collect::<Map<_, _>>(),
        "identity": words::identity(&report.judgement.identity),
        "liveness": words::liveness(&report.judgement.liveness),
        "verdict": verdict,
        "rule": rule,
        "supervisor": report.supervisor().map(|supervisor| looked_after(report, supervisor)),
        "reason": report.reason(),
        "signals": report.ending.signals.iter().map(|sent| json!({
            "signal": sent.signal.name(),
            "after_ms": millis(sent.after),
        })).collect::<Vec<_>>(),
        "cut_off": report.ending.was_cut_off(),
        "outcome": words::fate(report.ending.fate),
        "state": state,
        "ms": report.ending.ended_after().map(millis),
    })
}

fn looked_after(report: &ProcessReport, supervisor: &Supervisor) -> Value {
    json!({
        "kind": words::supervisor(supervisor),
        "pid": if let Supervisor::Program(supervised) = supervisor { Some(supervised.supervisor.pid) } else { None },
        "entry": report.entry(),
        "stop": report.stop_command(),
    })
}

fn ancestor(facts: &Facts) -> Value {
    json!({
        "pid": facts.id.pid,
        "comm": escape(facts.comm.as_encoded_bytes()),
        "exe": facts.exe.value().map(|exe| escape(exe.path.as_os_str().as_encoded_bytes())),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
