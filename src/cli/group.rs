//! Show similar processes in one line: a gateway starts MCP servers by the dozen.

use portclear::report::{Fate, ProcessReport, Sent};

use crate::cli::words::{exe, millis, span, time, unit, user};

/// Further pids are only counted: the line is for recognising the processes.
const PIDS: usize = 8;

/// Groups of similar processes, in the order of their first. `each`: a group for each process.
pub(crate) fn groups(processes: &[ProcessReport], each: bool) -> Vec<Vec<&ProcessReport>> {
    let mut groups: Vec<Alike<'_>> = Vec::new();
    for process in processes {
        let key = key(process);
        match groups.iter_mut().find(|group| !each && group.key == key) {
            Some(group) => group.processes.push(process),
            None => groups.push(Alike { key, processes: vec![process] }),
        }
    }
    groups.into_iter().map(|group| group.processes).collect()
}

struct Alike<'a> {
    key: String,
    processes: Vec<&'a ProcessReport>,
}

fn key(process: &ProcessReport) -> String {
    let facts = &process.process.facts;
    format!(
        "{:?} {} {} {} {} {:?} {} {:?} {}",
        process.role,
        facts.name(),
        exe(facts),
        user(process),
        unit(facts),
        facts.run,
        process.reason(),
        std::mem::discriminant(&process.ending.fate),
        process.ending.signals.iter().map(|sent| sent.signal.name()).collect::<String>(),
    )
}

/// `node (pid 7, …)`, `14 × node (pids 7, 8, …)`.
pub(crate) fn what(group: &[&ProcessReport]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let facts = &first.process.facts;
    let times = if group.len() > 1 { format!("{} × ", group.len()) } else { String::new() };
    let ages = group.iter().map(|process| process.process.facts.age);
    format!(
        "{times}{} ({}, {}, exe {}, unit {}, run {}, age {})",
        facts.name(),
        pids(group),
        user(first),
        exe(facts),
        unit(facts),
        facts.run.as_deref().unwrap_or("-"),
        span(ages, time),
    )
}

pub(crate) fn pids(group: &[&ProcessReport]) -> String {
    let pids: Vec<String> = group.iter().take(PIDS).map(|process| process.process.facts.id.pid.to_string()).collect();
    match group.len() {
        1 => format!("pid {}", pids.concat()),
        n if n > PIDS => format!("pids {} and {} more", pids.join(", "), n - PIDS),
        _ => format!("pids {}", pids.join(", ")),
    }
}

/// The signals that they were sent, and what became of them. `None`: nothing was done.
pub(crate) fn ending(group: &[&ProcessReport]) -> Option<String> {
    let first = group.first()?;
    let signals = group.iter().map(|process| process.ending.signals.len()).max().unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    for at in 0..signals {
        let sent = || group.iter().filter_map(|process| process.ending.signals.get(at));
        if let Some(Sent { signal, .. }) = sent().next() {
            parts.push(format!("{signal} after {}", span(sent().map(|sent| sent.after), millis)));
        }
    }
    parts.push(match first.ending.fate {
        Fate::Untouched => return None,
        Fate::Ended(_) => {
            format!("gone after {}", span(group.iter().filter_map(|process| process.ending.ended_after()), millis))
        }
        Fate::EndedByItself(_) => "ended before a signal reached it".to_owned(),
        Fate::Changed => "became another program, and was spared".to_owned(),
        Fate::Unread => "could not be read again, and was spared".to_owned(),
        Fate::NotPermitted => "may not be signalled from here".to_owned(),
        Fate::Survived(state) => format!("still there (state {state})"),
        _ => return None,
    });
    Some(parts.join(", "))
}
