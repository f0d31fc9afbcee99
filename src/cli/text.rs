//! The report for people: a block on a terminal, lines elsewhere.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use anstyle::{AnsiColor, Style};
use portclear::Report;
use portclear::policy::Marker;
use portclear::report::{Listener, Outcome, PortReport, ProcessReport, Rival, Role, SweepReport, Unit, escape};

use crate::cli::advice::{Next, advice, advice_of_sweep, clears, next};
use crate::cli::again::CommandLine;
use crate::cli::args::Args;
use crate::cli::check;
use crate::cli::exit::Exit;
use crate::cli::group::{age, ending, exe, groups, name, pids, user, what};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

const STATE_FOLDER: &str = "state folder";

/// A line names no more steps than these: the safest.
const STEPS: usize = 2;

/// The text about one port, about the sweep, or about all of the call.
pub(crate) struct Section<'a> {
    pub(crate) title: String,
    /// The answer, or why it could not be found out.
    pub(crate) sentence: String,
    /// What the program can do. It stands behind the sentence, or where there is none behind the line of the process.
    pub(crate) advice: String,
    /// What a person can do.
    next: Vec<Next>,
    pub(crate) exit: Exit,
    /// There is nothing to say about it.
    pub(crate) silent: bool,
    groups: Vec<Vec<&'a ProcessReport>>,
    /// The port's listeners: a holder is shown with its own.
    listeners: &'a [Listener],
    style: Style,
    /// A port that was cleared of one holder is one event.
    one_event: bool,
    /// An empty line sets it off on a terminal.
    is_set_off: bool,
}

impl<'a> Section<'a> {
    pub(crate) fn of_port(port: &'a PortReport, args: &Args, call: &CommandLine) -> Self {
        let exit = Exit::of_port(port, args.check);
        let color = match exit {
            Exit::Free => AnsiColor::Green,
            Exit::Held | Exit::Unseen => AnsiColor::Yellow,
            Exit::Error | Exit::Usage | Exit::Survived | Exit::Respawned => AnsiColor::Red,
        };
        let holders = port.holders.iter().map(|holder| vec![holder]);
        let alone = port.holders.len() == 1 && port.members.is_empty() && port.remainder.processes == 0;
        Self {
            title: format!("port {}", port.spec),
            sentence: check::sentence(port, args.check),
            advice: advice(port, args.is_openclaw()),
            next: if exit == Exit::of(port.exit_status()) { next(port.next_steps(), call) } else { clears(call) },
            exit,
            silent: matches!(port.status, Ok(Outcome::Free)) && !args.verbose,
            groups: holders.chain(groups(&port.members, args.verbose)).collect(),
            listeners: &port.listeners,
            style: color.on_default().bold(),
            // Who may start it again stands in the sentence.
            one_event: alone && matches!(port.status, Ok(Outcome::Cleared)) && port.watched.is_zero(),
            is_set_off: false,
        }
    }

    pub(crate) fn of_sweep(swept: &'a SweepReport, args: &Args) -> Self {
        Self {
            // Without a sweep it is a rival that an ended run left in the caller's own unit.
            title: if args.sweeps() { "sweep" } else { STATE_FOLDER }.to_owned(),
            sentence: swept.sentence(),
            advice: advice_of_sweep(swept, args.is_openclaw()),
            next: Vec::new(),
            exit: match swept.status {
                Ok(()) if swept.is_whole() => Exit::Free,
                Ok(()) => Exit::Held,
                Err(_) => Exit::Error,
            },
            silent: swept.status.is_ok() && swept.processes.is_empty() && !args.verbose,
            groups: groups(&swept.processes, args.verbose),
            listeners: &[],
            style: Style::new(),
            one_event: false,
            is_set_off: false,
        }
    }

    /// It warns. The exit status is that of the ports alone.
    pub(crate) fn of_rival(rival: &'a Rival, call: &CommandLine) -> Self {
        Self {
            title: STATE_FOLDER.to_owned(),
            sentence: rival.sentence(),
            advice: String::new(),
            next: next(rival.next_steps(), call),
            exit: Exit::Held,
            silent: false,
            groups: vec![vec![&rival.process]],
            listeners: &[],
            style: AnsiColor::Yellow.on_default().bold(),
            one_event: false,
            is_set_off: false,
        }
    }

    /// The answer alone. A person has read the rest at the question.
    pub(crate) fn brief(self) -> Self {
        Self { advice: String::new(), next: Vec::new(), groups: Vec::new(), ..self }
    }

    /// How many ports came to which end.
    pub(crate) fn of_all(report: &Report, check: bool) -> Self {
        Self {
            title: format!("{} ports", report.ports.len()),
            sentence: counts(&report.ports),
            advice: String::new(),
            next: Vec::new(),
            exit: Exit::of_report(report, check),
            silent: false,
            groups: Vec::new(),
            listeners: &[],
            style: Style::new(),
            one_event: false,
            is_set_off: true,
        }
    }

    /// It stands on standard output. A refusal, an error or a warning does not.
    pub(crate) fn is_result(&self) -> bool {
        self.exit == Exit::Free
    }

    /// A line for each holder and for the processes that belong to them, and one for the answer; each after `prefix`.
    /// `verbose`: with all that is known of a holder.
    pub(crate) fn lines(&self, out: &mut impl Write, prefix: &str, verbose: bool) -> io::Result<()> {
        let one_line = self.one_event && !prefix.is_empty();
        let head = format!("{prefix}portclear: {}: {}", self.title, if one_line { "cleared of " } else { "" });
        for group in &self.groups {
            let Some(first) = group.first() else { continue };
            let on = self.listens(first).map(|listens| format!(" on {listens}")).unwrap_or_default();
            let ending = ending(group).map(|ending| format!(": {ending}")).unwrap_or_default();
            let advice = if one_line { &self.advice[..] } else { "" };
            let known = if verbose { known(group) } else { String::new() };
            writeln!(out, "{head}{}{on}: {}{ending}{advice}{known}", what(group), verdict(first))?;
        }
        let Self { sentence, advice, .. } = self;
        if one_line { Ok(()) } else { writeln!(out, "{head}{sentence}{advice}{}", self.steps()) }
    }

    /// `` ; next: `systemctl stop x` (stops it for good); or `portclear --live 18789` (ends it …)``.
    fn steps(&self) -> String {
        let step = |next: &Next| match &next.command {
            Some(command) => format!("`{command}` ({})", next.effect),
            None => next.effect.clone(),
        };
        let steps: Vec<String> = self.next.iter().take(STEPS).map(step).collect();
        if steps.is_empty() { String::new() } else { format!("; next: {}", steps.join("; or ")) }
    }

    /// A line for the answer, a row for each step that a person can take, and a paragraph for each holder and for the
    /// processes that belong to them.
    pub(crate) fn block(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { title, sentence, advice, style, .. } = self;
        if self.is_set_off {
            writeln!(out)?;
        }
        writeln!(out, "{BOLD}{title}{BOLD:#}: {style}{sentence}{advice}{style:#}")?;
        for Next { command, effect } in &self.next {
            match command {
                Some(command) => writeln!(out, "  {DIM}next{DIM:#}  {command}  {DIM}# {effect}{DIM:#}")?,
                None => writeln!(out, "  {DIM}next{DIM:#}  {effect}")?,
            }
        }
        self.groups.iter().try_for_each(|group| self.paragraph(out, group))
    }

    pub(crate) fn paragraph(&self, out: &mut impl Write, group: &[&ProcessReport]) -> io::Result<()> {
        let Some(first) = group.first() else { return Ok(()) };
        let facts = &first.process.facts;
        let alone = group.len() == 1;
        writeln!(out, "\n  {BOLD}{}{BOLD:#} ({})", name(group), pids(group))?;
        let unit = |unit: &Unit| match &facts.run {
            Some(run) => format!("{unit}, run {run}"),
            None => unit.to_string(),
        };
        let rows = [
            ("verdict", Some(verdict(first))),
            ("done", ending(group)),
            ("listens", self.listens(first)),
            ("exe", Some(exe(facts))),
            ("command", first.command().filter(|_| alone)),
            ("started", Some(format!("{} ago by {}", age(group), user(first)))),
            ("lineage", alone.then(|| lineage(first))),
            ("unit", facts.unit().map(unit)),
            ("markers", (!first.markers.is_empty()).then(|| markers(first))),
            ("memory", Some(memory(group))),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                writeln!(out, "    {DIM}{name:<9}{DIM:#} {value}")?;
            }
        }
        Ok(())
    }

    /// The addresses that a holder listens on.
    fn listens(&self, process: &ProcessReport) -> Option<String> {
        let own = self.listeners.iter().filter(|listener| process.process.inodes.contains(&listener.inode));
        let addresses: Vec<String> = own.map(|listener| listener.local.to_string()).collect();
        (process.role == Role::Holder).then(|| addresses.join(", "))
    }
}

/// `1 cleared, 2 held`, each status in the order of its first port.
fn counts(ports: &[PortReport]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for port in ports {
        let word = match port.status {
            Ok(Outcome::Free) => "free",
            Ok(Outcome::Cleared) => "cleared",
            Ok(Outcome::WouldClear) => "would be cleared",
            Ok(Outcome::Held(_)) => "held",
            Ok(Outcome::Unseen(_)) => "held by an unseen process",
            Ok(Outcome::Survived(_)) => "still held",
            Ok(Outcome::Respawned) => "taken again",
            _ => "unknown",
        };
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    counts.join(", ")
}

/// What a line says with `-v` beside what it says anyway.
fn known(group: &[&ProcessReport]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let alone = group.len() == 1;
    let parts = [
        ("command", first.command().filter(|_| alone)),
        ("lineage", alone.then(|| lineage(first))),
        ("markers", (!first.markers.is_empty()).then(|| markers(first))),
        ("memory", Some(memory(group))),
    ];
    let shown = parts.into_iter().filter_map(|(name, value)| value.map(|value| format!("; {name}: {value}")));
    shown.collect()
}

fn memory(group: &[&ProcessReport]) -> String {
    let rss: u64 = group.iter().map(|process| process.process.facts.rss).sum();
    format!("{:.1} MiB resident", rss as f64 / f64::from(1 << 20))
}

/// The verdict, and why.
fn verdict(process: &ProcessReport) -> String {
    let verdict = if process.judgement.verdict.is_stale() { "stale" } else { "spared" };
    format!("{verdict}: {}", process.reason())
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
