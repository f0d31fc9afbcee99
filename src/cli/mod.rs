//! The program: arguments → policy, report → text or JSON, exit status.

#![deny(clippy::wildcard_enum_match_arm)]
#![cfg_attr(test, allow(clippy::type_complexity))]

mod advice;
mod args;
mod dropin;
mod exit;
mod group;
mod journal;
mod live;
mod text;
mod words;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use anyhow::Context;
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use portclear::Report;
use portclear::report::{PortReport, SweepReport};

use crate::cli::args::{Args, Command, Request};
use crate::cli::exit::Exit;

pub(crate) fn main() -> ExitCode {
    let mut args = Args::parse();
    let result = match args.command.take() {
        Some(Command::Unit { unit, grace, port }) => dropin::print(&unit, port, grace).map(|()| Exit::Free),
        None => match args.resolve() {
            Ok(request) => run(&request),
            Err(error) => error.exit(),
        },
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            // If standard error is closed, only the exit status can tell.
            let _ = writeln!(io::stderr(), "portclear: {error:#}");
            Exit::Error.into()
        }
    }
}

fn run(request: &Request) -> anyhow::Result<Exit> {
    raise_descriptor_limit();
    let report = if request.dry_run {
        portclear::inspect(&request.ports, &request.policy)
    } else if request.quiet || request.json || !io::stderr().is_terminal() {
        portclear::clear(&request.ports, &request.policy)
    } else {
        live::clear(request)
    };
    match show(request, &report) {
        // Nobody reads it any more: the exit status still counts.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot write the report")?,
    }
    Ok(Exit::of(&report))
}

/// Each target takes two descriptors, and there may be hundreds. The soft limit is often 1024 for the sake of
/// select(2), which nothing here uses. If it cannot be raised, fewer processes are ended at once.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn show(request: &Request, report: &Report) -> io::Result<()> {
    if request.json {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", report.to_json())?;
        return out.flush();
    }
    let shown = Shown::new(request);
    let mut out = AutoStream::new(io::stdout(), request.color).lock();
    for port in &report.ports {
        shown.port(&mut out, port)?;
    }
    if let Some(swept) = &report.swept {
        shown.sweep(&mut out, swept)?;
    }
    out.flush()
}

/// How to show the report on which stream.
struct Shown {
    quiet: bool,
    verbose: bool,
    /// Paragraphs instead of lines. The journal always gets lines.
    block: bool,
    out_is_journal: bool,
    err_is_journal: bool,
}

impl Shown {
    fn new(request: &Request) -> Self {
        let Request { quiet, verbose, .. } = *request;
        let (out_is_journal, err_is_journal) = (journal::is_journal(io::stdout()), journal::is_journal(io::stderr()));
        let block = !out_is_journal && (verbose || io::stdout().is_terminal());
        Self { quiet, verbose, block, out_is_journal, err_is_journal }
    }

    /// Errors of standard error are ignored: the rest of the report is still wanted.
    fn port(&self, out: &mut impl Write, port: &PortReport) -> io::Result<()> {
        let prefix = |journal: bool| if journal { journal::prefix(Exit::of_port(port)) } else { "" };
        let mut err = io::stderr();
        if port.status.is_err() {
            let _ = writeln!(err, "{}portclear: port {}: {}", prefix(self.err_is_journal), port.spec, port.sentence());
        }
        if self.quiet {
            return Ok(());
        }
        if self.err_is_journal && !self.out_is_journal {
            let _ = text::lines(&mut err, port, prefix(true), self.verbose);
        }
        if self.block {
            text::block(out, port, self.verbose)
        } else {
            text::lines(out, port, prefix(self.out_is_journal), self.verbose)
        }
    }

    /// The same for the sweep.
    fn sweep(&self, out: &mut impl Write, swept: &SweepReport) -> io::Result<()> {
        let prefix = |journal: bool| match (journal, &swept.status) {
            (false, _) => "",
            (true, Ok(())) if swept.is_whole() => journal::prefix(Exit::Free),
            (true, Ok(())) => journal::prefix(Exit::Held),
            (true, Err(_)) => journal::prefix(Exit::Error),
        };
        let mut err = io::stderr();
        if swept.status.is_err() {
            let _ = writeln!(err, "{}portclear: sweep: {}", prefix(self.err_is_journal), swept.sentence());
        }
        if self.quiet {
            return Ok(());
        }
        if self.err_is_journal && !self.out_is_journal {
            let _ = text::swept_lines(&mut err, swept, prefix(true), self.verbose);
        }
        if self.block {
            text::swept_block(out, swept, self.verbose)
        } else {
            text::swept_lines(out, swept, prefix(self.out_is_journal), self.verbose)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_quotes_what_was_measured() {
        let (readme, page) = (include_str!("../../README.md"), include_str!("../../docs/performance.md"));
        let speed = readme.split("\n## ").find(|section| section.starts_with("Speed")).unwrap();
        let quoted: Vec<&str> = speed
            .split_whitespace()
            .zip(speed.split_whitespace().skip(1))
            .filter(|(_, unit)| unit.starts_with("ms"))
            .map(|(figure, _)| figure)
            .collect();
        let rows = [("free", "idle"), ("held", "idle"), ("held", "2,000 processes of 100 descriptors")];
        let measured = rows.map(|(port, machine)| {
            let row = page.split(&format!("| {port} | {machine} | ")).nth(1).unwrap();
            // The first figure is that of `bare`.
            row.split(" | ").nth(1).unwrap().split(' ').next().unwrap()
        });
        assert_eq!(quoted, measured);
    }
}
