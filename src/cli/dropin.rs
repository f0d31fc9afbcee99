//! `portclear unit`: print a drop-in for the service, and warn about its settings that work against it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use portclear::PortSpec;
use portclear::report::escape;

/// The time that the program needs beside the grace: SIGKILL and its wait.
const BESIDE_GRACE: Duration = Duration::from_secs(2);

/// The default of DefaultTimeoutStartSec (systemd-system.conf(5)).
const DEFAULT_START: Duration = Duration::from_secs(90);

/// Prints the drop-in on standard output, and warnings on standard error. Writes nothing else.
pub(crate) fn print(unit: &str, port: PortSpec, grace: Duration) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot tell this program's own path")?;
    // systemd ignores a line with one of these characters in the path of its program, however quoted.
    let is_bad = |c: char| c.is_control() || "'\"\\".contains(c);
    let Some(program) = program.to_str().filter(|path| !path.contains(is_bad)) else {
        bail!("this program's path cannot stand in a unit file: {}", escape(program.as_os_str().as_encoded_bytes()));
    };
    io::stdout().write_all(dropin(unit, program, port, grace).as_bytes()).context("cannot write the drop-in")?;
    // A user's unit and a system unit may have the same name. The user's is the likelier one.
    let found = [user_folders(), system_folders()].iter().find_map(|folders| settings(folders, unit));
    for warning in found.iter().flat_map(|settings| warnings(settings, grace)) {
        writeln!(io::stderr(), "portclear: {unit}: {warning}").context("cannot write a warning")?;
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

fn dropin(unit: &str, program: &str, port: PortSpec, grace: Duration) -> String {
    // In a command line of a unit file a $ is special in arguments alone: systemd.service(5), "COMMAND LINES".
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    let program =
        if program.chars().all(plain) { program.to_owned() } else { format!("\"{}\"", program.replace('%', "%%")) };
    let grace = match humantime::format_duration(grace).to_string().as_str() {
        "10s" => String::new(),
        other => format!("\"--grace={other}\" "),
    };
    format!(
        "\
# Drop-in for {unit}. Install it with
#   systemctl --user edit {unit}      (without --user for a system unit)

[Service]
# Before each start: end what an earlier run left on the port, and prove that the port is free. If it is not,
# the journal says why, and the start fails; with a - before the path it is tried all the same.
ExecStartPre={program} {grace}{port}
# At stop, SIGTERM to the main process alone, so that it can drain; then SIGKILL to all that is left of the run.
# KillMode=process leaves it behind: orphans that hold the port, and their memory.
KillMode=mixed
# How long it may drain.
TimeoutStopSec=30
# 143: ended by SIGTERM, which is how a stop ends it.
SuccessExitStatus=0 143
"
    )
}

fn user_folders() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = |path: &str| variable("HOME").map(|home| home.join(path));
    let fixed = |path: &str| Some(PathBuf::from(path));
    let config = variable("XDG_CONFIG_HOME").or_else(|| home(".config"));
    let data = variable("XDG_DATA_HOME").or_else(|| home(".local/share"));
    let runtime = variable("XDG_RUNTIME_DIR");
    let all = [config, fixed("/etc"), runtime, fixed("/run"), data, fixed("/usr/local/lib"), fixed("/usr/lib")];
    all.into_iter().flatten().map(|folder| folder.join("systemd/user")).collect()
}

fn system_folders() -> Vec<PathBuf> {
    let folders = [
        "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/etc/systemd/system",
        "/run/systemd/system", "/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ];
    folders.map(PathBuf::from).to_vec()
}

/// The [Service] settings that a unit is loaded with: the first fragment found, then the drop-ins by name. Of two
/// drop-ins with one name, the first found counts (systemd.unit(5)).
fn settings(folders: &[PathBuf], unit: &str) -> Option<BTreeMap<String, String>> {
    let names = names(unit);
    let mut fragments = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let fragment = fragments.find_map(|path| fs::read_to_string(path).ok())?;
    let mut dropins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    let places = names.iter().cloned().chain(prefixes(unit)).chain(["service".to_owned()]);
    for folder in places.flat_map(|name| folders.iter().map(move |folder| folder.join(format!("{name}.d")))) {
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "conf") {
                dropins.entry(file.file_name()).or_insert_with(|| file.path());
            }
        }
    }
    let dropins = dropins.values().filter_map(|path| fs::read_to_string(path).ok());
    let mut settings = BTreeMap::new();
    std::iter::once(fragment).chain(dropins).for_each(|text| read_into(&mut settings, &text));
    Some(settings)
}

/// An instance of a template is looked up under its own name, then under its template's.
fn names(unit: &str) -> Vec<String> {
    let template = unit.split_once('@').map(|(template, _)| format!("{template}@.service"));
    std::iter::once(unit.to_owned()).chain(template.filter(|template| template != unit)).collect()
}

/// `a-b-c.service` also has the drop-ins of `a-b-.service` and `a-.service`.
fn prefixes(unit: &str) -> Vec<String> {
    let stem = unit.strip_suffix(".service").unwrap_or(unit);
    let dashes = stem.match_indices('-').filter_map(|(at, _)| stem.get(..=at));
    dashes.map(|prefix| format!("{prefix}.service")).rev().collect()
}

fn read_into(settings: &mut BTreeMap<String, String>, text: &str) {
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=')
            && section == "[Service]"
        {
            // TimeoutSec= also sets TimeoutStartSec=. The last line counts.
            let key = if key.trim() == "TimeoutSec" { "TimeoutStartSec" } else { key.trim() };
            settings.insert(key.to_owned(), value.trim().to_owned());
        }
    }
}

fn warnings(settings: &BTreeMap<String, String>, grace: Duration) -> Vec<String> {
    let get = |key: &str| settings.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let mode = get("KillMode").filter(|mode| matches!(*mode, "process" | "none"));
    let mode =
        mode.map(|mode| format!("it is loaded with KillMode={mode}, which leaves what it started behind: use mixed"));
    let wanted = grace.saturating_add(BESIDE_GRACE);
    let limit = match get("TimeoutStartSec") {
        Some(text) => span(text),
        None if get("Type") == Some("oneshot") => None,
        None => Some(DEFAULT_START),
    };
    let limit = limit.filter(|limit| *limit < wanted).map(|limit| {
        let (limit, wanted) = (humantime::format_duration(limit), humantime::format_duration(wanted));
        format!(
            "it is loaded with a start limit of {limit}, shorter than the grace and 2 s: the start is cut short; set \
             TimeoutStartSec={wanted}"
        )
    });
    mode.into_iter().chain(limit).collect()
}

/// A time span of systemd (systemd.time(7)): a number without a unit is seconds. `None`: no limit, or not
/// understood.
fn span(text: &str) -> Option<Duration> {
    let with_unit = |word: &str| if word.parse::<u64>().is_ok() { format!("{word}s") } else { word.to_owned() };
    let words: Vec<String> = text.split_whitespace().map(with_unit).collect();
    humantime::parse_duration(&words.join(" ")).ok().filter(|span| !span.is_zero())
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
    fn spans_of_systemd() {
        let table = [("5", Some(5)), ("5s 3", Some(8)), ("1min 30s", Some(90)), ("0", None), ("infinity", None)];
        for (text, seconds) in table {
            assert_eq!(span(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn the_loaded_settings_are_those_of_fragment_and_drop_ins() {
        let top = tempfile::tempdir().unwrap();
        let folders = [top.path().join("etc"), top.path().join("usr")];
        let write = |path: &str, text: &str| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/gw@.service", "[Unit]\nKillMode=unit\n[Service]\nKillMode = process\nTimeoutStartSec=5\n");
        let of = |unit: &str, grace| {
            settings(&folders, unit).map_or_else(Vec::new, |found| warnings(&found, Duration::from_secs(grace)))
        };
        assert_eq!(of("gw@a.service", 10).len(), 2);
        assert_eq!(of("gw@a.service", 3).len(), 1);
        write("usr/gw@.service.d/50.conf", "[Service]\n#TimeoutStartSec=1\nTimeoutStartSec=1min 30s\n");
        assert_eq!(of("gw@a.service", 10).len(), 1);
        write("etc/gw@a.service.d/60.conf", "[Service]\nKillMode=mixed\nTimeoutStartSec=infinity\n");
        assert!(of("gw@a.service", 10).is_empty());
        write("etc/gw@a.service.d/50.conf", "[Service]\nKillMode=control-group\n");
        write("etc/gw@a.service.d/60.conf", "");
        assert_eq!((of("gw@a.service", 10).len(), of("gw@a.service", 3).len()), (1, 0));
        assert!(of("none.service", 10).is_empty());
        write("usr/a-b-c.service", "[Service]\n");
        assert_eq!((of("a-b-c.service", 10).len(), of("a-b-c.service", 120).len()), (0, 1));
        write("usr/a-.service.d/1.conf", "[Service]\nTimeoutStartSec=5\nTimeoutSec=60\nKillMode=none\n");
        assert_eq!((of("a-b-c.service", 10).len(), of("a-b-c.service", 60).len()), (1, 2));
        write("usr/a-b-.service.d/2.conf", "[Service]\nType=oneshot\nTimeoutStartSec=\nKillMode=mixed\n");
        assert!(of("a-b-c.service", 600).is_empty());
    }
}
