//! The report for people: a block on a terminal, lines elsewhere.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use anstyle::{AnsiColor, Style};
use portclear::policy::Marker;
use portclear::report::{Outcome, PortReport, ProcessReport, SweepReport, escape};

use crate::cli::advice::advice;
use crate::cli::exit::Exit;
use crate::cli::group::{age, ending, exe, groups, name, pids, user, what};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// The text about one port, or about the sweep.
pub(crate) struct Section<'a> {
    pub(crate) title: String,
    /// The answer, or why it could not be found out.
    pub(crate) sentence: String,
    pub(crate) exit: Exit,
    paragraphs: Vec<Paragraph<'a>>,
    style: Style,
    /// There is nothing to say about it.
    silent: bool,
    /// A port that was cleared of one holder is one event.
    one_event: bool,
}

struct Paragraph<'a> {
    group: Vec<&'a ProcessReport>,
    /// The addresses that a holder listens on.
    listens: Option<String>,
}

fn paragraphs(processes: &[ProcessReport], verbose: bool) -> impl Iterator<Item = Paragraph<'_>> {
    groups(processes, verbose).into_iter().map(|group| Paragraph { group, listens: None })
}

impl<'a> Section<'a> {
    pub(crate) fn of_port(port: &'a PortReport, verbose: bool) -> Self {
        let exit = Exit::of(port.exit_status());
        let color = match exit {
            Exit::Free => AnsiColor::Green,
            Exit::Held | Exit::Unseen => AnsiColor::Yellow,
            Exit::Error | Exit::Usage | Exit::Survived | Exit::Respawned => AnsiColor::Red,
        };
        let holder = |holder| Paragraph { group: vec![holder], listens: Some(addresses(port, holder)) };
        let alone = port.holders.len() == 1 && port.members.is_empty() && port.remainder.processes == 0;
        Self {
            title: format!("port {}", port.spec),
            sentence: port.sentence() + &advice(port),
            exit,
            paragraphs: port.holders.iter().map(holder).chain(paragraphs(&port.members, verbose)).collect(),
            style: color.on_default().bold(),
            silent: matches!(port.status, Ok(Outcome::Free)) && !verbose,
            one_event: alone && matches!(port.status, Ok(Outcome::Cleared)),
        }
    }

    pub(crate) fn of_sweep(swept: &'a SweepReport, verbose: bool) -> Self {
        Self {
            title: "sweep".to_owned(),
            sentence: swept.sentence(),
            exit: match swept.status {
                Ok(()) if swept.is_whole() => Exit::Free,
                Ok(()) => Exit::Held,
                Err(_) => Exit::Error,
            },
            paragraphs: paragraphs(&swept.processes, verbose).collect(),
            style: Style::new(),
            silent: swept.processes.is_empty() && !verbose,
            one_event: false,
        }
    }

    /// A line for each holder and for the processes that belong to them, and one for the answer; each after `prefix`.
    /// An error stands on standard error.
    pub(crate) fn lines(&self, out: &mut impl Write, prefix: &str) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let one_line = self.one_event && !prefix.is_empty();
        let head = format!("{prefix}portclear: {}: {}", self.title, if one_line { "cleared of " } else { "" });
        for Paragraph { group, listens } in &self.paragraphs {
            let Some(first) = group.first() else { continue };
            let on = listens.as_ref().map(|listens| format!(" on {listens}")).unwrap_or_default();
            let ending = ending(group).map(|ending| format!(": {ending}")).unwrap_or_default();
            writeln!(out, "{head}{}{on}: {}{ending}", what(group), verdict(first))?;
        }
        if one_line || self.exit == Exit::Error { Ok(()) } else { writeln!(out, "{head}{}", self.sentence) }
    }

    /// A line for the answer, and a paragraph for each holder and for the processes that belong to them.
    pub(crate) fn block(&self, out: &mut impl Write) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let Self { title, sentence, style, .. } = self;
        if self.exit != Exit::Error {
            writeln!(out, "{BOLD}{title}{BOLD:#}: {style}{sentence}{style:#}")?;
        }
        self.paragraphs.iter().try_for_each(|one| paragraph(out, &one.group, one.listens.as_deref()))
    }
}

fn paragraph(out: &mut impl Write, group: &[&ProcessReport], listens: Option<&str>) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let facts = &first.process.facts;
    writeln!(out, "\n  {BOLD}{}{BOLD:#} ({})", name(group), pids(group))?;
    let mut row = |name: &str, value: String| writeln!(out, "    {DIM}{name:<9}{DIM:#} {value}");
    row("verdict", verdict(first))?;
    if let Some(ending) = ending(group) {
        row("done", ending)?;
    }
    if let Some(listens) = listens {
        row("listens", listens.to_owned())?;
    }
    row("exe", exe(facts))?;
    if let Some(command) = first.command().filter(|_| group.len() == 1) {
        row("command", command)?;
    }
    row("started", format!("{} ago by {}", age(group), user(first)))?;
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

/// The verdict, and why.
fn verdict(process: &ProcessReport) -> String {
    let verdict = if process.judgement.verdict.is_stale() { "stale" } else { "spared" };
    format!("{verdict}: {}", process.reason())
}

fn addresses(port: &PortReport, holder: &ProcessReport) -> String {
    let held = port.listeners.iter().filter(|listener| holder.process.inodes.contains(&listener.inode));
    held.map(|listener| listener.local.to_string()).collect::<Vec<_>>().join(", ")
}

fn lineage(holder: &ProcessReport) -> String {
    let ancestry = &holder.process.ancestry;
    let line = ancestry.parents().rev().chain(std::iter::once(&holder.process.facts));
    let line: Vec<String> = line.map(|facts| format!("{}({})", facts.name(), facts.id.pid)).collect();
    format!("{}{}", if ancestry.complete { "" } else { "… → " }, line.join(" → "))
}

fn markers(holder: &ProcessReport) -> String {
    let pair = |marker: &Marker| format!("{}={}", escape(marker.key.as_bytes()), escape(marker.value.as_bytes()));
    holder.markers.iter().map(pair).collect::<Vec<_>>().join(" ")
}
