//! The report for people: a block on a terminal, a line per holder elsewhere.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use portclear::{Facts, Fate, HolderReport, Outcome, PortReport, Verdict, escape};

use crate::cli::exit::Exit;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style(port: &PortReport) -> Style {
    let color = match Exit::of_port(port) {
        Exit::Free => AnsiColor::Green,
        Exit::Held | Exit::Unseen => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    color.on_default().bold()
}

/// One line per holder, and one for the port; each after `prefix`. A port that was cleared of one holder is
/// one event, and one line.
pub(crate) fn lines(out: &mut impl Write, port: &PortReport, prefix: &str, verbose: bool) -> io::Result<()> {
    if matches!(port.status, Ok(Outcome::Free)) && !verbose {
        return Ok(());
    }
    let one_line =
        !prefix.is_empty() && port.holders.len() == 1 && matches!(port.status, Ok(Outcome::Cleared));
    for holder in &port.holders {
        let facts = &holder.holder.facts;
        writeln!(
            out,
            "{prefix}portclear: port {}: {}{} (pid {}, {}, exe {}, unit {}, run {}, age {}) on {}: {}: {}{}",
            port.spec,
            if one_line { "cleared of " } else { "" },
            facts.name(),
            facts.id.pid,
            user(holder),
            exe(facts),
            unit(facts),
            facts.run().unwrap_or("-"),
            time(facts.age),
            addresses(port, holder),
            verdict(holder),
            holder.reason(),
            ending(holder).map(|ending| format!(": {ending}")).unwrap_or_default(),
        )?;
    }
    // What could not be found out is said on standard error.
    match port.status {
        Ok(_) if !one_line => writeln!(out, "{prefix}portclear: port {}: {}", port.spec, port.sentence()),
        _ => Ok(()),
    }
}

/// A paragraph per holder below a line for the port.
pub(crate) fn block(out: &mut impl Write, port: &PortReport, verbose: bool) -> io::Result<()> {
    if matches!(port.status, Ok(Outcome::Free)) && !verbose {
        return Ok(());
    }
    let style = style(port);
    // What could not be found out is said on standard error.
    if port.status.is_ok() {
        writeln!(out, "{BOLD}port {}{BOLD:#}: {style}{}{style:#}", port.spec, port.sentence())?;
    }
    for holder in &port.holders {
        let facts = &holder.holder.facts;
        writeln!(out, "\n  {BOLD}{}{BOLD:#} (pid {})", facts.name(), facts.id.pid)?;
        let mut row = |name: &str, value: String| writeln!(out, "    {DIM}{name:<9}{DIM:#} {value}");
        row("verdict", format!("{}: {}", verdict(holder), holder.reason()))?;
        if let Some(ending) = ending(holder) {
            row("done", ending)?;
        }
        row("listens", addresses(port, holder))?;
        row("exe", exe(facts))?;
        if let Some(command) = facts.command() {
            row("command", command)?;
        }
        row("started", format!("{} ago by {}", time(facts.age), user(holder)))?;
        row("lineage", lineage(holder))?;
        if let Some(unit) = facts.unit() {
            let run = facts.run().map(|run| format!(", run {run}")).unwrap_or_default();
            row("unit", format!("{unit}{run}"))?;
        }
        if !holder.markers.is_empty() {
            row("markers", markers(holder))?;
        }
        row("memory", format!("{:.1} MiB resident", facts.rss as f64 / f64::from(1 << 20)))?;
    }
    Ok(())
}

fn verdict(holder: &HolderReport) -> &'static str {
    match holder.judgement.verdict {
        Verdict::Stale => "stale",
        Verdict::Spare => "spared",
    }
}

fn user(holder: &HolderReport) -> String {
    match (holder.holder.facts.uid.value(), &holder.user) {
        (Some(uid), Some(name)) => format!("uid {uid} {}", escape(name.as_bytes())),
        (Some(uid), None) => format!("uid {uid}"),
        (None, _) => "uid unreadable".to_owned(),
    }
}

fn exe(facts: &Facts) -> String {
    match facts.exe.value() {
        Some(exe) if exe.replaced => {
            format!("{} (replaced on disk)", escape(exe.path.as_os_str().as_bytes()))
        }
        Some(exe) => escape(exe.path.as_os_str().as_bytes()),
        None => "unreadable".to_owned(),
    }
}

fn unit(facts: &Facts) -> String {
    facts.unit().map_or_else(|| "-".to_owned(), |unit| unit.to_string())
}

fn addresses(port: &PortReport, holder: &HolderReport) -> String {
    let held = port.listeners.iter().filter(|listener| holder.holder.inodes.contains(&listener.inode));
    held.map(|listener| listener.local.to_string()).collect::<Vec<_>>().join(", ")
}

fn lineage(holder: &HolderReport) -> String {
    let mut line: Vec<String> = Vec::new();
    if !holder.holder.ancestry.complete {
        line.push("…".to_owned());
    }
    let facts = holder.holder.ancestry.line.iter().rev().chain(std::iter::once(&holder.holder.facts));
    line.extend(facts.map(|facts| format!("{}({})", facts.name(), facts.id.pid)));
    line.join(" → ")
}

fn markers(holder: &HolderReport) -> String {
    let pair = |marker: &portclear::Marker| {
        format!("{}={}", escape(marker.key.as_bytes()), escape(marker.value.as_bytes()))
    };
    holder.markers.iter().map(pair).collect::<Vec<_>>().join(" ")
}

fn ending(holder: &HolderReport) -> Option<String> {
    let ending = &holder.ending;
    let mut parts: Vec<String> =
        ending.signals.iter().map(|(signal, after)| format!("{signal} after {}", millis(*after))).collect();
    parts.push(match ending.fate {
        Fate::Untouched => return None,
        Fate::Ended => format!("gone after {}", millis(ending.ended_after.unwrap_or_default())),
        Fate::EndedByItself => "ended before a signal reached it".to_owned(),
        Fate::Changed => "became another program, and was spared".to_owned(),
        Fate::Unread => "could not be read again, and was spared".to_owned(),
        Fate::NotPermitted => "may not be signalled from here".to_owned(),
        Fate::Survived(state) => format!("still there (state {state})"),
        _ => return None,
    });
    Some(parts.join(", "))
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
