//! The command line of a hook in a unit file.

use portclear::policy::{Marker, Signal};

use crate::cli::args::{Ending, UnitArgs};
use crate::cli::service::{ServiceArgs, absolute};

/// The options and ports of the call, as the arguments of the hook. The error is a sentence.
pub(crate) fn arguments(args: &UnitArgs) -> Result<String, String> {
    // A hook with wrong options would fail at each start.
    drop(args.service.service()?);
    let options = [of_ending(&args.ending), of_service(&args.service)?].concat();
    let flags = [(args.quiet, "--quiet"), (args.verbose, "--verbose")].into_iter().filter(|(given, _)| *given);
    let flags = flags.map(|(_, name)| name.to_owned());
    let ports = args.ports.iter().map(ToString::to_string);
    let words: Vec<String> = options.into_iter().chain(flags).chain(ports).collect();
    let quoted: Result<Vec<String>, String> = words.iter().map(|word| quoted(word)).collect();
    Ok(quoted?.join(" "))
}

fn of_ending(ending: &Ending) -> Vec<String> {
    let Ending { grace, signal, settle, no_kill, any_owner, live, tree, sweep, offspring } = ending;
    let (grace, settle) = (humantime::format_duration(*grace), humantime::format_duration(*settle));
    let values = [
        ("grace", grace.to_string(), "10s"),
        ("signal", signal.name().to_owned(), Signal::TERM.name()),
        ("settle", settle.to_string(), "1s"),
    ];
    let values = values.into_iter().filter(|(_, value, default)| value != default);
    let flags = [
        (no_kill, "no-kill"),
        (any_owner, "any-owner"),
        (live, "live"),
        (tree, "tree"),
        (sweep, "sweep"),
        (offspring, "offspring"),
    ];
    let flags = flags.into_iter().filter(|(given, _)| **given).map(|(_, name)| format!("--{name}"));
    values.map(|(name, value, _)| format!("--{name}={value}")).chain(flags).collect()
}

/// The hook runs in another folder than this call, so its paths are absolute.
fn of_service(args: &ServiceArgs) -> Result<Vec<String>, String> {
    let ServiceArgs { service: _, markers, executables, runtimes, packages, pid_files } = args;
    let mut words = Vec::new();
    for Marker { key, value, .. } in markers {
        let text = |part: &std::ffi::OsString| part.to_str().map(str::to_owned).ok_or_else(not_text);
        words.push(format!("--marker={}={}", text(key)?, text(value)?));
    }
    let paths = executables.iter().map(|path| ("--exe", path)).chain(pid_files.iter().map(|path| ("--pid-file", path)));
    for (option, path) in paths {
        let path = absolute(option, path)?;
        words.push(format!("{option}={}", path.to_str().ok_or_else(not_text)?));
    }
    for runtime in runtimes {
        let path = if runtime.contains('/') { absolute("--runtime", runtime.as_ref())? } else { runtime.into() };
        words.push(format!("--runtime={}", path.to_str().ok_or_else(not_text)?));
    }
    words.extend(packages.iter().map(|name| format!("--package={name}")));
    Ok(words)
}

fn not_text() -> String {
    "a unit file takes only text in UTF-8".to_owned()
}

/// One argument of a command line in a unit file (systemd.service(5), "COMMAND LINES").
fn quoted(word: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@=:,[]".contains(c);
    if !can_stand_in_a_line(word) {
        let shown = portclear::report::escape(word.as_bytes());
        return Err(format!(
            "'{shown}' cannot stand in a unit file: it has a quote, a backslash or a control character"
        ));
    }
    if word.chars().all(plain) {
        return Ok(word.to_owned());
    }
    Ok(format!("\"{}\"", word.replace('%', "%%").replace('$', "$$")))
}

/// systemd ignores a line with one of these characters in the path of its program, however quoted.
pub(crate) fn can_stand_in_a_line(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || "'\"\\".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    fn hook(line: &[&str]) -> Result<String, String> {
        arguments(&UnitArgs::try_parse_from([&["unit"], line].concat()).unwrap())
    }

    #[test]
    fn a_hook_has_the_options_of_the_call() {
        let table: [(&[&str], &str); 12] = [
            (&["18789"], "18789"),
            (&["18789", "--grace", "10", "--signal", "term", "--settle=1s"], "18789"),
            (&["18789", "[::1]:80", "localhost:1"], "18789 [::1]:80 localhost:1"),
            (&["1", "--package", "my-app", "--sweep"], "--sweep --package=my-app 1"),
            (&["--grace", "330", "1", "--no-kill"], "\"--grace=5m 30s\" --no-kill 1"),
            (&["--signal", "2", "1", "--settle", "0"], "--signal=SIGINT --settle=0s 1"),
            (&["--any-owner", "--live", "--tree", "--offspring", "1"], "--any-owner --live --tree --offspring 1"),
            (&["--marker", "A=b c=$d", "--runtime", "python3", "1"], "\"--marker=A=b c=$$d\" --runtime=python3 1"),
            (&["--runtime", "/bin/../bin/sh", "--package", "@a/b", "1"], "--runtime=/bin/../bin/sh --package=@a/b 1"),
            (&["--pid-file", "/run/pg/x.pid", "1"], "--pid-file=/run/pg/x.pid 1"),
            (&["--pid-file=/a b", "--pid-file=/$x%t", "1"], "\"--pid-file=/a b\" \"--pid-file=/$$x%%t\" 1"),
            (&["1", "-q", "--exe", "/usr/bin/true"], "--exe=/usr/bin/true --quiet 1"),
        ];
        for (line, wanted) in table {
            assert_eq!(hook(line).as_deref(), Ok(wanted), "{line:?}");
        }
    }

    #[test]
    fn paths_are_absolute_in_a_hook() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        assert_eq!(hook(&["--pid-file", "x.pid", "1"]).unwrap(), format!("--pid-file={here}/x.pid 1"));
    }

    #[test]
    fn a_hook_that_would_fail_is_refused() {
        let table: [&[&str]; 6] = [
            &["--pid-file", "/a\nb", "1"],
            &["--pid-file", "/a\"b", "1"],
            &["--package", "it's", "1"],
            &["--package", "a\\b", "1"],
            &["--marker", "A=b", "1"],
            &["--exe", "/no/such", "1"],
        ];
        for line in table {
            let error = hook(line).unwrap_err();
            assert!(!error.contains(char::is_control), "{line:?}: {error}");
        }
    }

    /// An option that the hook did not print would be lost in silence.
    #[test]
    fn every_option_of_unit_reaches_the_hook() {
        let values = [("grace", "3s"), ("signal", "INT"), ("settle", "3s"), ("markers", "A=b"), ("runtimes", "sh")];
        let values =
            [&values[..], &[("executables", "/usr/bin/true"), ("packages", "x"), ("pid_files", "/x")]].concat();
        let unprinted = ["unit", "service", "help", "version", "ports"];
        let command = UnitArgs::command();
        for arg in command.get_arguments().filter(|arg| !unprinted.contains(&arg.get_id().as_str())) {
            let option = format!("--{}", arg.get_long().unwrap());
            let value = values.iter().find(|(id, _)| arg.get_id() == id);
            let given = value.map_or_else(|| option.clone(), |(_, value)| format!("{option}={value}"));
            // A marker alone describes no service, nor does a runtime.
            let more = if ["markers", "runtimes"].contains(&arg.get_id().as_str()) { "--package=y" } else { "-v" };
            let more = if arg.get_id() == "quiet" { "--live" } else { more };
            let more = if arg.get_id() == "verbose" { "--live" } else { more };
            let line = hook(&[&given, more, "1"]).unwrap();
            assert!(line.split(' ').any(|word| word.starts_with(&option)), "{option}: {line}");
        }
    }
}
