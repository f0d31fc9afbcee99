//! Another program that is asked the same: the version before a change of the sources that must change no answer.
//!
//! `PORTCLEAR_WITNESS` is the path of it. Each call by [`portclear`](super::portclear),
//! [`Portclear`](super::Portclear), [`Fixture::portclear`] or [`Sd::portclear`] then has both programs look first,
//! with the same arguments, variables and user, and with `-n --json` in addition. The test fails where they say
//! anything else, but for what is another thing at each moment; the order of fields is for the golden files. Not
//! compared are arguments that are refused, `unit`, a call under a tracer or on a terminal, and what a unit or a
//! shell calls.
//!
//! Such a run is for comparing: it takes longer, and a test that measures time may say so.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use procfs::process::Process;
use serde_json::Value;

use super::diff::diff;
use super::fixture::Fixture;
use super::layout::copy;
use super::run::{PROGRAM, Portclear, Run};
use super::sd::{Sd, text};

/// How often they are asked before a difference is believed.
const ROUNDS: usize = 5;

fn other() -> Option<&'static Path> {
    static OTHER: OnceLock<Option<PathBuf>> = OnceLock::new();
    OTHER.get_or_init(|| env::var_os("PORTCLEAR_WITNESS").map(PathBuf::from)).as_deref()
}

/// What one of them said, without what differs at each moment.
#[derive(PartialEq, Eq)]
struct Said {
    status: i32,
    text: String,
}

impl Said {
    /// `caller`: the program's own pid, where that is known.
    fn of(run: &Run, caller: Option<u32>) -> Self {
        let text = match serde_json::from_str(&run.stdout) {
            Ok(document) => {
                let document = without_moment(document, caller.map(|pid| pid.to_string()).as_deref());
                serde_json::to_string_pretty(&document).unwrap()
            }
            // Help, or a stream that is not there.
            Err(_) => run.stdout.clone(),
        };
        Self { status: run.status, text: format!("exit status {}\n{text}\n", run.status) }
    }
}

fn without_moment(value: Value, caller: Option<&str>) -> Value {
    let field = |(key, value): (String, Value)| match key.as_str() {
        "version" | "age_ms" | "elapsed_ms" | "ended_after_ms" | "rss_bytes" | "bytes" => None,
        // How many there are is the whole machine's.
        "unreadable_processes" => Some((key, (value != 0).into())),
        "pid" | "ppid" if Some(value.to_string().as_str()) == caller => Some((key, "CALLER".into())),
        _ => Some((key, without_moment(value, caller))),
    };
    match value {
        Value::Object(fields) => fields.into_iter().filter_map(field).collect(),
        Value::Array(values) => values.into_iter().map(|value| without_moment(value, caller)).collect(),
        Value::String(text) => sentence_without_moment(&text, caller).into(),
        value => value,
    }
}

/// It may name the caller, and say how much memory something has.
fn sentence_without_moment(text: &str, caller: Option<&str>) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let masked = words.iter().zip(words.iter().skip(1).chain([&""])).map(|(word, next)| {
        let number = word.trim_matches(['(', ')', ',', ':', ';']);
        match word {
            _ if next.starts_with("MiB") => "#".to_owned(),
            _ if Some(number) == caller => word.replace(number, "CALLER"),
            _ => (*word).to_owned(),
        }
    });
    masked.collect::<Vec<_>>().join(" ")
}

/// Before a call of the program by a test.
#[track_caller]
pub(super) fn of_call(call: &Portclear) {
    agree(&call.arguments, |program, arguments| {
        let look = Portclear {
            arguments: arguments.to_vec(),
            environment: call.environment.clone(),
            wrapper: call.wrapper.clone(),
            prefix: call.prefix.clone(),
            output: [None, None],
            uid: call.uid,
        };
        let mut running = look.spawn_gated(program);
        let pid = running.process().pid().try_into().ok();
        let status = pid.and_then(|pid| Process::new(pid).ok()?.status().ok());
        // As it sees itself.
        let pid = status.and_then(|status| status.nspid?.pop()?.try_into().ok());
        running.open_gate();
        Said::of(&running.finish(), pid)
    });
}

/// Before a call of the program by a fixture.
#[track_caller]
pub(super) fn of_child(parent: &Fixture, arguments: &[&str], environment: &[(&str, &str)]) {
    agree(&words(arguments), |program, arguments| {
        let argv: Vec<&str> = [program.as_os_str()]
            .into_iter()
            .chain(arguments.iter().map(OsString::as_os_str))
            .map(|word| word.to_str().expect("plain text"))
            .collect();
        Said::of(&parent.run(&argv, environment, false), None)
    });
}

/// Before a call of the program by hand, beside the units of a systemd.
#[track_caller]
pub(super) fn of_sd(sd: &Sd, arguments: &[&str]) {
    static INSIDE: OnceLock<PathBuf> = OnceLock::new();
    agree(&words(arguments), |program, arguments| {
        let inside = || copy(program, &sd.booted.share.join("witness"));
        let program =
            if program == Path::new(PROGRAM) { sd.booted.program() } else { INSIDE.get_or_init(inside).clone() };
        let arguments = arguments.iter().map(|word| word.to_str().expect("plain text").to_owned());
        let argv: Vec<String> = [text(&program)].into_iter().chain(arguments).collect();
        Said::of(&sd.enter(&argv), None)
    });
}

fn words(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

/// `look` runs a program with these arguments.
#[track_caller]
fn agree(arguments: &[OsString], look: impl Fn(&Path, &[OsString]) -> Said) {
    // Without arguments it is a test's own server that is called.
    let is_look = arguments.first().is_some_and(|first| first != "unit");
    let Some(other) = other().filter(|_| is_look) else { return };
    // First, and once: what is asked twice is refused. A document goes without -q.
    let given = ["-n", "--dry-run", "--check", "--json", "-q", "--quiet"];
    let rest = arguments.iter().filter(|argument| given.iter().all(|given| argument != given));
    let line: Vec<OsString> = ["-n", "--json"].map(OsString::from).iter().chain(rest).cloned().collect();
    let mut differences = Vec::new();
    for _ in 0..ROUNDS {
        let [then, now] = [other, Path::new(PROGRAM)].map(|program| look(program, &line));
        if then == now || (then.status, now.status) == (2, 2) {
            return;
        }
        // Where it is the scene that changes, the other one contradicts itself, too.
        if look(other, &line) == then {
            differences.push(diff(&then.text, &now.text));
        }
    }
    let line = line.join(OsStr::new(" "));
    match differences.pop() {
        Some(difference) if differences.len() >= ROUNDS / 2 => {
            panic!("the witness (-) and the program (+) differ on {}:\n{difference}", line.display())
        }
        _ => eprintln!("not compared, for the scene changes all the time: {}", line.display()),
    }
}
