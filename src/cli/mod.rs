//! The program: arguments → policy, report → text or JSON, exit status.

mod args;
mod exit;
mod json;
mod live;
mod text;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use anyhow::Context;
use clap::Parser;
use portclear::Report;

use crate::cli::args::{Args, Request};
use crate::cli::exit::Exit;

pub(crate) fn main() -> ExitCode {
    let request = match Args::parse().resolve() {
        Ok(request) => request,
        Err(error) => error.exit(),
    };
    match run(&request) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Where standard error is gone too, the exit status is all that is left to say.
            let _ = writeln!(io::stderr(), "portclear: {error:#}");
            Exit::Error.into()
        }
    }
}

fn run(request: &Request) -> anyhow::Result<Exit> {
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

fn show(request: &Request, report: &Report) -> io::Result<()> {
    let exit = Exit::of(report);
    if request.json {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &json::document(report, exit))?;
        writeln!(out)?;
        return out.flush();
    }
    let block = request.verbose || io::stdout().is_terminal();
    let mut out = AutoStream::new(io::stdout(), request.color).lock();
    for port in &report.ports {
        if !request.quiet && block {
            text::block(&mut out, port, request.verbose)?;
        } else if !request.quiet {
            text::lines(&mut out, port)?;
        }
        if port.status.is_err() {
            // Where nobody reads it, the rest of the report is still wanted.
            let _ = writeln!(io::stderr(), "portclear: port {}: {}", port.spec, port.sentence());
        }
    }
    out.flush()
}
