//! `portclear unit`: print a drop-in for the service, and say which of its settings stay, and which work against it.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use portclear::report::escape;

use crate::cli::args::{Ending, UnitArgs};
use crate::cli::hook::can_stand_in_a_line;
use crate::cli::loaded::{Settings, loaded, span};
use crate::cli::stop::{Setting, is_gateway, settings};

/// The time that the program needs beside the grace: SIGKILL and its wait.
pub(crate) const BESIDE_GRACE: Duration = Duration::from_secs(2);

/// How long the program watches a cleared port without an option, which `BESIDE_GRACE` covers.
const USUAL_SETTLE: Duration = Duration::from_secs(1);

const OPENCLAWS_UNIT: &str = "openclaw-gateway.service";

/// The default of DefaultTimeoutStartSec (systemd-system.conf(5)).
const DEFAULT_START: Duration = Duration::from_secs(90);

/// Prints the drop-in on standard output, and notes about the unit's settings on standard error. Writes nothing else.
/// `arguments`: those of the hook.
pub(crate) fn print(args: &UnitArgs, arguments: &str) -> anyhow::Result<()> {
    let unit = args.unit.as_deref().unwrap_or(OPENCLAWS_UNIT);
    let program = std::env::current_exe().context("cannot tell this program's own path")?;
    let Some(program) = program.to_str().filter(|path| can_stand_in_a_line(path)) else {
        bail!("this program's path cannot stand in a unit file: {}", escape(program.as_os_str().as_encoded_bytes()));
    };
    let found = loaded(unit);
    let settings = settings(unit, found.as_ref());
    let text = dropin(unit, &format!("{} {arguments}", in_a_line(program)), &settings);
    io::stdout().write_all(text.as_bytes()).context("cannot write the drop-in")?;
    let limit = found.and_then(|found| start_limit(&found.all, longest(&args.ending)));
    let other = (args.service.is_known() && !is_gateway(unit)).then(|| looks_for_a_gateway(unit));
    for note in settings.into_iter().filter_map(|setting| setting.note).chain(limit).chain(other) {
        writeln!(io::stderr(), "portclear: {unit}: {note}").context("cannot write a note")?;
    }
    Ok(())
}

/// The name of the unit is not one of a gateway's, and the call describes no other service.
fn looks_for_a_gateway(unit: &str) -> String {
    format!(
        "this hook looks for an OpenClaw gateway; describe another service with --package, --exe, --marker or \
         --pid-file. What an ended run of {unit} left on the port is ended in any case."
    )
}

/// The path of the program as the first word of a line. A $ is special in arguments alone (systemd.service(5),
/// "COMMAND LINES").
fn in_a_line(program: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if program.chars().all(plain) { program.to_owned() } else { format!("\"{}\"", program.replace('%', "%%")) }
}

fn dropin(unit: &str, hook: &str, settings: &[Setting]) -> String {
    let settings: String = settings.iter().map(Setting::lines).collect();
    format!(
        "\
# Drop-in for {unit}. Install it with
#   systemctl --user edit {unit}      (without --user for a system unit)

[Service]
# Before each start, portclear ends stale instances on the port, and proves that the port is free. Where it cannot,
# the journal says why, and the start fails. With a - before the path, the service starts all the same.
ExecStartPre={hook}
{settings}"
    )
}

/// How long the hook may take. It watches a known supervisor twice as long.
fn longest(ending: &Ending) -> Duration {
    let watch = ending.settle.saturating_sub(USUAL_SETTLE).saturating_mul(2);
    ending.grace.saturating_add(BESIDE_GRACE).saturating_add(watch)
}

/// Where the start limit of the unit is shorter than the hook may take.
fn start_limit(loaded: &Settings, wanted: Duration) -> Option<String> {
    let limit = match loaded.get("TimeoutStartSec") {
        Some(text) => span(text),
        None if loaded.get("Type") == Some("oneshot") => None,
        None => Some(DEFAULT_START),
    };
    let limit = limit.filter(|limit| *limit < wanted)?;
    let (limit, wanted) = (humantime::format_duration(limit), humantime::format_duration(wanted));
    Some(format!(
        "it is loaded with a start limit of {limit}, and the hook may take {wanted}; set TimeoutStartSec={wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_longer_watch_counts() {
        let args = UnitArgs::parse_from(["unit", "1", "--grace", "3", "--settle", "5"]);
        assert_eq!(longest(&args.ending), Duration::from_secs(3 + 2 + 8));
    }

    #[test]
    fn a_start_limit_that_is_too_short_is_told() {
        let table = [
            ("", 10, false),
            ("", 89, true),
            ("TimeoutStartSec=5", 10, true),
            ("TimeoutStartSec=5", 3, false),
            ("TimeoutSec=5", 10, true),
            ("TimeoutStartSec=infinity", 600, false),
            ("Type=oneshot", 600, false),
            ("Type=oneshot\nTimeoutStartSec=60", 600, true),
        ];
        for (text, grace, told) in table {
            let args = UnitArgs::parse_from(["unit", "1", "--grace", &grace.to_string()]);
            let limit = start_limit(&Settings::of(text), longest(&args.ending));
            assert_eq!(limit.is_some(), told, "{text:?} {grace}: {limit:?}");
        }
    }
}
