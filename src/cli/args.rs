//! The options, and the policy that they ask for. Their texts are in `help`, so that only a call for help builds them.

use std::time::Duration;

use anstream::ColorChoice;
use clap::Parser;
use portclear::policy::{Also, Signal};
use portclear::{Policy, PortSpec};

use crate::cli::service::ServiceArgs;
use crate::cli::values::{color, duration, pid, port, signal, unit_name};

// No doc comments on options: clap would build a text of each, in every call.
#[derive(Debug, Parser)]
#[command(name = "portclear", version, max_term_width = 100)]
pub(crate) struct Args {
    #[arg(required = true, value_name = "PORT", value_parser = port)]
    pub(crate) ports: Vec<PortSpec>,

    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) check: bool,
    #[arg(short, long, conflicts_with_all = ["dry_run", "check", "sweep", "json", "quiet"])]
    pub(crate) interactive: bool,
    #[arg(long, value_name = "PID", value_parser = pid)]
    protect: Vec<u32>,
    #[command(flatten)]
    ending: Ending,
    #[command(flatten)]
    service: ServiceArgs,

    #[arg(long)]
    pub(crate) json: bool,
    #[arg(short, long, conflicts_with_all = ["verbose", "json"])]
    pub(crate) quiet: bool,
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = color())]
    pub(crate) color: ColorChoice,
}

/// `portclear unit`: the options of its hook.
#[derive(Debug, Parser)]
#[command(name = "unit", bin_name = "portclear unit", version, max_term_width = 100, about = None, long_about = None)]
pub(crate) struct UnitArgs {
    #[arg(required = true, value_name = "PORT", value_parser = port)]
    pub(crate) ports: Vec<PortSpec>,

    #[arg(long, value_name = "NAME", value_parser = unit_name)]
    pub(crate) unit: Option<String>,
    #[command(flatten)]
    pub(crate) ending: Ending,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,

    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

// The ways of ending a process, and the processes that may be ended beside stale instances.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Ending {
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) grace: Duration,
    #[arg(long, value_name = "NAME", default_value = "TERM", value_parser = signal)]
    pub(crate) signal: Signal,
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) settle: Duration,
    #[arg(long)]
    pub(crate) no_kill: bool,
    #[arg(long)]
    pub(crate) any_owner: bool,
    #[arg(long)]
    pub(crate) live: bool,
    #[arg(long)]
    pub(crate) tree: bool,
    #[arg(long)]
    pub(crate) sweep: bool,
    #[arg(long)]
    pub(crate) offspring: bool,
}

impl Args {
    /// The error is a sentence.
    pub(crate) fn policy(&self) -> Result<Policy, String> {
        let Ending { grace, signal, settle, .. } = self.ending;
        let policy = Policy::new(self.service.service()?).grace(grace).signal(signal).settle(settle);
        let policy = if self.ending.no_kill { policy.no_kill() } else { policy };
        let also = [
            (self.ending.any_owner, Also::AnyOwner),
            (self.ending.live, Also::Live),
            (self.ending.offspring, Also::Offspring),
            (self.ending.tree, Also::Tree),
            (self.ending.sweep, Also::Sweep),
        ];
        let also = also.into_iter().filter(|(wanted, _)| *wanted);
        let policy = also.fold(policy, |policy, (_, also)| policy.also_end(also));
        Ok(self.protect.iter().fold(policy, |policy, pid| policy.protect(*pid)))
    }

    /// Whether the call is about OpenClaw: the service that portclear knows.
    pub(crate) fn is_openclaw(&self) -> bool {
        self.service.is_known()
    }

    /// The call also ends what ended runs left anywhere.
    pub(crate) const fn sweeps(&self) -> bool {
        self.ending.sweep
    }

    /// The call only looks.
    pub(crate) const fn looks(&self) -> bool {
        self.dry_run || self.check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_identifies_no_service_is_refused() {
        let table: [(&[&str], bool); 19] = [
            (&["1"], true),
            (&["--service", "openclaw", "1"], true),
            (&["--package", "x", "1"], true),
            (&["--pid-file", "/run/x.pid", "1"], true),
            (&["--pid-file", "", "1"], false),
            (&["--package", "", "1"], false),
            (&["--exe", "/usr/bin/true", "1"], true),
            (&["--exe", "/no/such", "1"], false),
            (&["--exe", "/usr/bin", "1"], false),
            (&["--exe", "/etc/passwd", "1"], false),
            (&["--marker", "A=b", "--runtime", "python3", "1"], true),
            (&["--marker", "A=b", "1"], false),
            (&["--runtime", "python3", "1"], false),
            (&["--exe", "x", "1"], false),
            (&["--exe", "/usr/bin/bash", "1"], false),
            (&["--marker", "A", "--package", "x", "1"], false),
            (&["--marker", "=b", "--package", "x", "1"], false),
            (&["--service", "openclaw", "--package", "x", "1"], false),
            (&["--runtime", "/no/such", "--package", "x", "1"], false),
        ];
        for (args, good) in table {
            let args = std::iter::once("portclear").chain(args.iter().copied());
            let line: Vec<&str> = args.collect();
            let resolved = Args::try_parse_from(&line).ok().and_then(|args| args.policy().ok());
            assert_eq!(resolved.is_some(), good, "{line:?}");
        }
    }
}
