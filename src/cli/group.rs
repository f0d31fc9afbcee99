//! Short texts about a process, or about similar ones in one line: a gateway starts MCP servers by the dozen.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use portclear::report::{Facts, Fate, ProcessReport, Sent, Unit, escape};

/// Further pids are only counted: the line is for recognising the processes.
const PIDS: usize = 8;

/// Groups of similar processes, in the order of their first. `each`: a group for each process.
pub(crate) fn groups(processes: &[ProcessReport], each: bool) -> Vec<Vec<&ProcessReport>> {
    let mut groups: Vec<(String, Vec<_>)> = Vec::new();
    for process in processes {
        let key = key(process);
        match groups.iter_mut().find(|(known, _)| !each && *known == key) {
            Some((_, group)) => group.push(process),
            None => groups.push((key, vec![process])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// What similar processes have in common.
fn key(process: &ProcessReport) -> String {
    let ending = &process.ending;
    let fate = std::mem::discriminant(&ending.fate);
    let signals: Vec<&str> = ending.signals.iter().map(|sent| sent.signal.name()).collect();
    let (name, origin, reason) = (process.process.facts.name(), origin(process), process.reason());
    format!("{:?} {name} {origin} {reason} {fate:?} {signals:?}", process.role)
}

fn origin(process: &ProcessReport) -> String {
    let facts = &process.process.facts;
    let unit = facts.unit().map_or_else(|| "-".to_owned(), Unit::to_string);
    let run = facts.run.as_deref().unwrap_or("-");
    format!("{}, exe {}, unit {unit}, run {run}", user(process), exe(facts))
}

/// `node (pid 7, …)`, `14 × node (pids 7, 8, …)`.
pub(crate) fn what(group: &[&ProcessReport]) -> String {
    let Some(first) = group.first() else { return String::new() };
    format!("{} ({}, {}, age {})", name(group), pids(group), origin(first), age(group))
}

/// `node`, `14 × node`.
pub(crate) fn name(group: &[&ProcessReport]) -> String {
    match group {
        [] => String::new(),
        [one] => one.process.facts.name(),
        [first, ..] => format!("{} × {}", group.len(), first.process.facts.name()),
    }
}

pub(crate) fn pids(group: &[&ProcessReport]) -> String {
    let pids: Vec<String> = group.iter().take(PIDS).map(|process| process.process.facts.id.pid.to_string()).collect();
    match group.len() {
        1 => format!("pid {}", pids.concat()),
        n if n > PIDS => format!("pids {} and {} more", pids.join(", "), n - PIDS),
        _ => format!("pids {}", pids.join(", ")),
    }
}

pub(crate) fn age(group: &[&ProcessReport]) -> String {
    span(group.iter().map(|process| process.process.facts.age), time)
}

/// The signals that they were sent, and what became of them. `None`: nothing was done.
pub(crate) fn ending(group: &[&ProcessReport]) -> Option<String> {
    let first = group.first()?;
    let mut parts: Vec<String> = Vec::new();
    for (at, Sent { signal, .. }) in first.ending.signals.iter().enumerate() {
        let after = group.iter().filter_map(|process| process.ending.signals.get(at)).map(|sent| sent.after);
        parts.push(format!("{signal} after {}", span(after, millis)));
    }
    let ended = group.iter().filter_map(|process| process.ending.ended_after());
    parts.push(match first.ending.fate {
        Fate::Untouched => return None,
        Fate::Ended(_) => format!("gone after {}", span(ended, millis)),
        Fate::EndedByItself(_) => "ended before a signal reached it".to_owned(),
        Fate::Changed => "changed (a new program, or another cgroup), and was spared".to_owned(),
        Fate::Unread => "could not be read again, and was spared".to_owned(),
        Fate::NotPermitted => "may not be signalled from here".to_owned(),
        Fate::Survived(state) => format!("still there (state {state})"),
        _ => return None,
    });
    let cut_off = if first.ending.was_cut_off() { ": cut off, perhaps while draining" } else { "" };
    Some(parts.join(", ") + cut_off)
}

pub(crate) fn user(process: &ProcessReport) -> String {
    match (process.process.facts.uid.value(), &process.user) {
        (Some(uid), Some(name)) => format!("uid {uid} {}", escape(name.as_bytes())),
        (Some(uid), None) => format!("uid {uid}"),
        (None, _) => "uid unreadable".to_owned(),
    }
}

pub(crate) fn exe(facts: &Facts) -> String {
    let Some(exe) = facts.exe.value() else { return "unreadable".to_owned() };
    let replaced = if exe.replaced { " (replaced on disk)" } else { "" };
    format!("{}{replaced}", escape(exe.path.as_os_str().as_bytes()))
}

fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// The two largest units: nobody asks for the milliseconds of a day.
fn time(duration: Duration) -> String {
    let seconds = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(seconds).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `1 ms`, or `1 ms to 14 ms`.
fn span(times: impl Iterator<Item = Duration> + Clone, show: fn(Duration) -> String) -> String {
    let least = show(times.clone().min().unwrap_or_default());
    let most = show(times.max().unwrap_or_default());
    if least == most { most } else { format!("{least} to {most}") }
}
