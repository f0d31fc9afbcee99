//! `portclear unit`: print a drop-in for the service, and say which of its settings stay, and which work against it.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use portclear::PortSpec;
use portclear::report::escape;

use crate::cli::loaded::{Settings, loaded, span};
use crate::cli::stop::{Setting, settings};

/// The time that the program needs beside the grace: SIGKILL and its wait.
const BESIDE_GRACE: Duration = Duration::from_secs(2);

/// The default of DefaultTimeoutStartSec (systemd-system.conf(5)).
const DEFAULT_START: Duration = Duration::from_secs(90);

/// Prints the drop-in on standard output, and what there is to say about it on standard error. Writes nothing else.
pub(crate) fn print(unit: &str, hook: &Hook<'_>) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot tell this program's own path")?;
    let Some(program) = program.to_str().filter(|path| can_stand_in_a_line(path)) else {
        bail!("this program's path cannot stand in a unit file: {}", escape(program.as_os_str().as_encoded_bytes()));
    };
    let found = loaded(unit);
    let settings = settings(unit, found.as_ref());
    let text = dropin(unit, &hook.line(program), &settings);
    io::stdout().write_all(text.as_bytes()).context("cannot write the drop-in")?;
    let limit = found.and_then(|found| start_limit(&found.all, hook.grace));
    for note in settings.into_iter().filter_map(|setting| setting.note).chain(limit) {
        writeln!(io::stderr(), "portclear: {unit}: {note}").context("cannot write a note")?;
    }
    Ok(())
}

/// A unit's name becomes part of paths and of a text that systemd reads.
pub(crate) fn unit_name(text: &str) -> Result<String, &'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    match text.strip_suffix(".service") {
        Some(name) if !name.is_empty() && text.len() < 256 && text.chars().all(good) => Ok(text.to_owned()),
        _ => Err("a unit is a name like openclaw-gateway.service"),
    }
}

/// systemd ignores a line with one of these characters in the path of its program, however quoted.
fn can_stand_in_a_line(path: &str) -> bool {
    !path.contains(|c: char| c.is_control() || "'\"\\".contains(c))
}

/// The path of a pid file becomes part of a text that systemd reads.
pub(crate) fn hook_path(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') && can_stand_in_a_line(text) {
        Ok(text.to_owned())
    } else {
        Err("in a unit a pid file is an absolute path, without quotes and backslashes")
    }
}

/// What the hook is to do.
pub(crate) struct Hook<'a> {
    pub(crate) port: PortSpec,
    pub(crate) grace: Duration,
    pub(crate) pid_files: &'a [String],
}

impl Hook<'_> {
    /// Its command line.
    fn line(&self, program: &str) -> String {
        // In a command line of a unit file a $ is special in arguments alone: systemd.service(5), "COMMAND LINES".
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
        let program =
            if program.chars().all(plain) { program.to_owned() } else { format!("\"{}\"", program.replace('%', "%%")) };
        let grace = match humantime::format_duration(self.grace).to_string().as_str() {
            "10s" => String::new(),
            other => format!("\"--grace={other}\" "),
        };
        let pid_file = |path: &String| format!("\"--pid-file={}\" ", path.replace('%', "%%").replace('$', "$$"));
        let pid_files: String = self.pid_files.iter().map(pid_file).collect();
        format!("{program} {grace}{pid_files}{}", self.port)
    }
}

fn dropin(unit: &str, hook: &str, settings: &[Setting]) -> String {
    let settings: String = settings.iter().map(Setting::lines).collect();
    format!(
        "\
# Drop-in for {unit}. Install it with
#   systemctl --user edit {unit}      (without --user for a system unit)

[Service]
# Before each start: end what an earlier run left on the port, and prove that the port is free. If it is not,
# the journal says why, and the start fails; with a - before the path it is tried all the same.
ExecStartPre={hook}
{settings}"
    )
}

/// Where the start limit of the unit is shorter than the hook may take.
fn start_limit(loaded: &Settings, grace: Duration) -> Option<String> {
    let wanted = grace.saturating_add(BESIDE_GRACE);
    let limit = match loaded.get("TimeoutStartSec") {
        Some(text) => span(text),
        None if loaded.get("Type") == Some("oneshot") => None,
        None => Some(DEFAULT_START),
    };
    let limit = limit.filter(|limit| *limit < wanted)?;
    let (limit, wanted) = (humantime::format_duration(limit), humantime::format_duration(wanted));
    Some(format!(
        "it is loaded with a start limit of {limit}, shorter than the grace and 2 s: the start is cut short; set \
         TimeoutStartSec={wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_plain_service_name() {
        for good in ["gw.service", "gw@work.service", r"my\x2dgw.service"] {
            assert_eq!(unit_name(good).unwrap(), good);
        }
        for bad in ["", "gw", ".service", "../x.service", "a b.service", "a\n.service", "gw.timer", "ä.service"] {
            assert!(unit_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pid_file_becomes_one_argument() {
        let line = |paths: &[&str]| {
            let pid_files: Vec<String> = paths.iter().map(|path| hook_path(path).unwrap()).collect();
            let port = "5432".parse().unwrap();
            Hook { port, grace: Duration::from_secs(10), pid_files: &pid_files }.line("/usr/bin/portclear")
        };
        assert_eq!(line(&[]), "/usr/bin/portclear 5432");
        assert_eq!(line(&["/run/pg/x.pid"]), r#"/usr/bin/portclear "--pid-file=/run/pg/x.pid" 5432"#);
        let both = r#"/usr/bin/portclear "--pid-file=/a b" "--pid-file=/$$x%%t" 5432"#;
        assert_eq!(line(&["/a b", "/$x%t"]), both);
        for bad in ["", "x.pid", "/a\nb", "/a\"b", "/a'b", "/a\\b"] {
            assert!(hook_path(bad).is_err(), "{bad:?}");
        }
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
            let limit = start_limit(&Settings::of(text), Duration::from_secs(grace));
            assert_eq!(limit.is_some(), told, "{text:?} {grace}: {limit:?}");
        }
    }
}
