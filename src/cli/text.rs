//! The report for people: a block on a terminal, lines elsewhere.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use anstyle::{AnsiColor, Style};
use portclear::report::{Outcome, PortReport, ProcessReport, SweepReport, escape};

use crate::cli::advice::advice;
use crate::cli::exit::Exit;
use crate::cli::group::{ending, groups, pids, what};
use crate::cli::words::{exe, span, time, user};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style(port: &PortReport) -> Style {
    let color = match Exit::of_port(port) {
        Exit::Free => AnsiColor::Green,
        Exit::Held | Exit::Unseen => AnsiColor::Yellow,
        Exit::Error | Exit::Usage | Exit::Survived | Exit::Respawned => AnsiColor::Red,
    };
    color.on_default().bold()
}

/// One line for each holder and each group of members, and one for the port, each after `prefix`. In the journal, a
/// port that was cleared of one holder gets a single line.
pub(crate) fn lines(out: &mut impl Write, port: &PortReport, prefix: &str, verbose: bool) -> io::Result<()> {
    if matches!(port.status, Ok(Outcome::Free)) && !verbose {
        return Ok(());
    }
    let alone = port.holders.len() == 1 && port.members.is_empty() && port.remainder.processes == 0;
    let one_line = !prefix.is_empty() && alone && matches!(port.status, Ok(Outcome::Cleared));
    let head = format!("{prefix}portclear: port {}: {}", port.spec, if one_line { "cleared of " } else { "" });
    for holder in &port.holders {
        line(out, &head, &[holder], &format!(" on {}", addresses(port, holder)))?;
    }
    for group in groups(&port.members, verbose) {
        line(out, &head, &group, "")?;
    }
    // Standard error has the errors.
    match port.status {
        Ok(_) if !one_line => writeln!(out, "{head}{}{}", port.sentence(), advice(port)),
        _ => Ok(()),
    }
}

/// The same for the sweep.
pub(crate) fn swept_lines(out: &mut impl Write, swept: &SweepReport, prefix: &str, verbose: bool) -> io::Result<()> {
    if swept.processes.is_empty() && !verbose {
        return Ok(());
    }
    let head = format!("{prefix}portclear: sweep: ");
    for group in groups(&swept.processes, verbose) {
        line(out, &head, &group, "")?;
    }
    if swept.status.is_ok() { writeln!(out, "{head}{}", swept.sentence()) } else { Ok(()) }
}

fn line(out: &mut impl Write, head: &str, group: &[&ProcessReport], on: &str) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let ending = ending(group).map(|ending| format!(": {ending}")).unwrap_or_default();
    writeln!(out, "{head}{}{on}: {}: {}{ending}", what(group), verdict(first), first.reason())
}

/// A line for the port, then a paragraph for each holder and each group of members.
pub(crate) fn block(out: &mut impl Write, port: &PortReport, verbose: bool) -> io::Result<()> {
    if matches!(port.status, Ok(Outcome::Free)) && !verbose {
        return Ok(());
    }
    let style = style(port);
    // Standard error has the errors.
    if port.status.is_ok() {
        writeln!(out, "{BOLD}port {}{BOLD:#}: {style}{}{}{style:#}", port.spec, port.sentence(), advice(port))?;
    }
    for holder in &port.holders {
        paragraph(out, &[holder], Some(addresses(port, holder)))?;
    }
    for group in groups(&port.members, verbose) {
        paragraph(out, &group, None)?;
    }
    Ok(())
}

/// The same for the sweep.
pub(crate) fn swept_block(out: &mut impl Write, swept: &SweepReport, verbose: bool) -> io::Result<()> {
    if swept.processes.is_empty() && !verbose {
        return Ok(());
    }
    if swept.status.is_ok() {
        writeln!(out, "{BOLD}sweep{BOLD:#}: {}", swept.sentence())?;
    }
    groups(&swept.processes, verbose).iter().try_for_each(|group| paragraph(out, group, None))
}

fn paragraph(out: &mut impl Write, group: &[&ProcessReport], listens: Option<String>) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let facts = &first.process.facts;
    let times = if group.len() > 1 { format!("{} × ", group.len()) } else { String::new() };
    writeln!(out, "\n  {BOLD}{times}{}{BOLD:#} ({})", facts.name(), pids(group))?;
    let mut row = |name: &str, value: String| writeln!(out, "    {DIM}{name:<9}{DIM:#} {value}");
    row("verdict", format!("{}: {}", verdict(first), first.reason()))?;
    if let Some(ending) = ending(group) {
        row("done", ending)?;
    }
    if let Some(listens) = listens {
        row("listens", listens)?;
    }
    row("exe", exe(facts))?;
    if let Some(command) = first.command().filter(|_| group.len() == 1) {
        row("command", command)?;
    }
    let ages = group.iter().map(|process| process.process.facts.age);
    row("started", format!("{} ago by {}", span(ages, time), user(first)))?;
    if group.len() == 1 {
        row("lineage", lineage(first))?;
    }
    if let Some(unit) = facts.unit() {
        let run = facts.run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default();
        row("unit", format!("{unit}{run}"))?;
    }
    if !first.markers.is_empty() {
        row("markers", markers(first))?;
    }
    let rss: u64 = group.iter().map(|process| process.process.facts.rss).sum();
    row("memory", format!("{:.1} MiB resident", rss as f64 / f64::from(1 << 20)))
}

fn verdict(holder: &ProcessReport) -> &'static str {
    if holder.judgement.verdict.is_stale() { "stale" } else { "spared" }
}

fn addresses(port: &PortReport, holder: &ProcessReport) -> String {
    let held = port.listeners.iter().filter(|listener| holder.process.inodes.contains(&listener.inode));
    held.map(|listener| listener.local.to_string()).collect::<Vec<_>>().join(", ")
}

fn lineage(holder: &ProcessReport) -> String {
    let mut line: Vec<String> = Vec::new();
    if !holder.process.ancestry.complete {
        line.push("…".to_owned());
    }
    let above = holder.process.ancestry.parents().rev();
    let facts = above.chain(std::iter::once(&holder.process.facts));
    line.extend(facts.map(|facts| format!("{}({})", facts.name(), facts.id.pid)));
    line.join(" → ")
}

fn markers(holder: &ProcessReport) -> String {
    let pair = |marker: &portclear::policy::Marker| {
        format!("{}={}", escape(marker.key.as_bytes()), escape(marker.value.as_bytes()))
    };
    holder.markers.iter().map(pair).collect::<Vec<_>>().join(" ")
}
