//! The report as one JSON document. docs/portclear.schema.json is its schema. The tests hold every document against it.

use std::ffi::OsStr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::words;
use crate::model::{
    Error, Facts, Fate, Marker, Memory, PortReport, ProcessReport, Report, Rival, Supervisor, SweepReport, Unit, escape,
};

/// Grows when a field changes its meaning or is removed. New fields and new words do not count.
const SCHEMA: u32 = 1;

impl Report {
    /// The document that the program prints with `--json`, in one line. docs/json.md describes its fields.
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({
            "schema": SCHEMA,
            "version": env!("CARGO_PKG_VERSION"),
            "dry_run": self.dry_run,
            "exit": self.exit_status(),
            "elapsed_ms": millis(self.elapsed),
            "ports": self.ports.iter().map(port).collect::<Vec<_>>(),
            "swept": self.swept.as_ref().map(|report| swept(report, self.dry_run)),
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
        "error": port.status.as_ref().err().map(error),
        "elapsed_ms": millis(port.elapsed),
        "listeners": port.listeners.iter().map(|listener| json!({
            "address": listener.local.ip().to_string(),
            "port": listener.local.port(),
            "inode": listener.inode,
            "uid": listener.uid,
        })).collect::<Vec<_>>(),
        "connections": { "connected": port.connections.connected, "time_wait": port.connections.time_wait },
        "unreadable_processes": port.unreadable,
        "holders": port.holders.iter().map(process).collect::<Vec<_>>(),
        "members": port.members.iter().map(process).collect::<Vec<_>>(),
        "remainder": memory(&port.remainder),
        "watched_ms": millis(port.watched),
        "stopped": port.stopped,
        "starter": port.starter().map(relative),
    })
}

fn swept(report: &SweepReport, dry_run: bool) -> Value {
    json!({
        "status": words::sweep(report, dry_run),
        "sentence": report.sentence(),
        "error": report.status.as_ref().err().map(error),
        "memory": memory(&report.memory),
        "processes": report.processes.iter().map(process).collect::<Vec<_>>(),
        "remainder": memory(&report.remainder),
        "stopped": report.stopped,
    })
}

fn rival(rival: &Rival) -> Value {
    json!({ "sentence": rival.sentence(), "port": rival.port, "process": process(&rival.process) })
}

fn memory(memory: &Memory) -> Value {
    json!({ "count": memory.processes, "bytes": memory.bytes, "kind": words::memory(memory) })
}

/// The parts of the sentence. A program may act by the number.
fn error(error: &Error) -> Value {
    json!({
        "attempt": error.to_string(),
        "cause": std::error::Error::source(error).map(ToString::to_string),
        "os_error": error.raw_os_error(),
    })
}

fn process(report: &ProcessReport) -> Value {
    let facts = &report.process.facts;
    let exe = facts.exe.value();
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
        "exe_replaced": exe.map(|exe| exe.replaced),
        "command": report.command(),
        "uid": facts.uid.value(),
        "user": report.user.as_ref().map(|user| escape(user.as_bytes())),
        "ppid": facts.ppid,
        "lineage": report.process.ancestry.parents().map(relative).collect::<Vec<_>>(),
        "unit": facts.unit().map(unit),
        "run": facts.run,
        "rss_bytes": facts.rss,
        "listener_inodes": report.process.inodes,
        "markers": report.markers.iter().map(marker).collect::<Map<_, _>>(),
        "identity": words::identity(&report.judgement.identity),
        "liveness": words::liveness(&report.judgement.liveness),
        "verdict": words::verdict(report.judgement.verdict),
        "rule": words::rule(report.judgement.verdict),
        "supervisor": report.supervisor().map(|supervisor| looked_after(report, supervisor)),
        "reason": report.reason(),
        "signals": report.ending.signals.iter().map(|sent| json!({
            "signal": sent.signal.name(),
            "after_ms": millis(sent.after),
        })).collect::<Vec<_>>(),
        "cut_off": report.ending.was_cut_off(),
        "outcome": words::fate(report.ending.fate),
        "state": state,
        "ended_after_ms": report.ending.ended_after().map(millis),
    })
}

fn unit(unit: &Unit) -> Value {
    let (manager, uid) = words::manager(unit);
    json!({ "name": shown(&unit.name), "manager": manager, "uid": uid })
}

fn looked_after(report: &ProcessReport, supervisor: &Supervisor) -> Value {
    json!({
        "kind": words::supervisor(supervisor),
        "pid": if let Supervisor::Program(supervised) = supervisor { Some(supervised.supervisor.pid) } else { None },
        "entry": report.entry(),
        "stop_command": report.stop_command(),
    })
}

/// A process that stands in the report for another one's sake.
fn relative(facts: &Facts) -> Value {
    json!({
        "pid": facts.id.pid,
        "comm": shown(&facts.comm),
        "exe": facts.exe.value().map(|exe| shown(exe.path.as_os_str())),
    })
}

fn shown(text: &OsStr) -> String {
    escape(text.as_encoded_bytes())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
