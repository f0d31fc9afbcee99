//! The program: arguments → policy, report → text or JSON, exit status.

#![deny(clippy::wildcard_enum_match_arm)]
#![cfg_attr(test, allow(clippy::type_complexity))]

mod advice;
mod again;
mod args;
mod ask;
mod call;
mod check;
mod dropin;
mod exit;
mod group;
mod help;
mod hint;
mod hook;
mod interrupt;
mod journal;
#[cfg(test)]
mod list;
#[cfg(test)]
#[path = "../testing/listed.rs"]
mod listed;
mod live;
mod loaded;
mod service;
mod show;
mod stop;
mod text;
mod texts;
mod values;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use portclear::Policy;

use crate::cli::args::Args;
use crate::cli::call::Call;
use crate::cli::exit::Exit;

pub(crate) fn main() -> ExitCode {
    let result = match call::read() {
        Call::Clear(args, policy) => run(&args, *policy),
        Call::Unit(args, hook) => dropin::print(&args, &hook).map(|()| Exit::Free),
    };
    let exit = result.unwrap_or_else(|error| {
        // If standard error is closed, only the exit status can tell.
        let _ = writeln!(io::stderr(), "portclear: {error:#}");
        Exit::Error
    });
    exit.code().into()
}

fn run(args: &Args, policy: Policy) -> anyhow::Result<Exit> {
    raise_descriptor_limit();
    let mut declined = Vec::new();
    let report = if args.interactive {
        ask::clear(args, policy, &mut declined)
    } else if args.looks() {
        portclear::inspect(&args.ports, &policy)
    } else if io::stderr().is_terminal() {
        live::clear(&args.ports, &policy, !args.quiet && !args.json)
    } else {
        portclear::clear(&args.ports, &policy)
    };
    match show::report(args, &report, &declined) {
        // Nobody reads it any more: the exit status still counts.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("cannot write the report")?,
    }
    Ok(Exit::of_report(&report, args.check))
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_is_short_and_shows_the_run_of_the_picture() {
        let (readme, run) = (include_str!("../../README.md"), include_str!("../../docs/demo.txt"));
        assert!(readme.lines().count() < 170, "{} lines", readme.lines().count());
        assert!(
            readme.contains(&format!("(docs/demo.svg)\n\n```console\n{run}```\n")),
            "README.md should show:\n{run}"
        );
    }

    #[test]
    fn the_readme_quotes_what_was_measured() {
        let (readme, page) = (include_str!("../../README.md"), include_str!("../../docs/performance.md"));
        let speed = readme.split("\n## ").find(|section| section.starts_with("How it compares")).unwrap();
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
