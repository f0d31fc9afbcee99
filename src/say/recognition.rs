//! Why a process is not recognised as the service, in words: what it runs, and each sign that it lacks.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::model::argv::{Argument, script};
use crate::model::{Facts, ProcessReport, Runtime, Script, Seen, Service, escape};

/// A list names no more paths, markers or packages than these.
const NAMES: usize = 3;

impl ProcessReport {
    /// `not recognised as OpenClaw: it runs node server.js; no marker, no script of package openclaw, no lock file`.
    pub(super) fn unrecognised(&self) -> String {
        let (facts, service) = (&self.process.facts, &*self.judgement.service);
        let missing = missing(facts, service);
        let missing = if missing.is_empty() { "nothing describes that service".to_owned() } else { missing.join(", ") };
        format!("{}: it runs {}; {missing}", self.not_recognised(), program(facts))
    }

    /// `not recognised as OpenClaw`.
    pub(super) fn not_recognised(&self) -> String {
        format!("not recognised as {}", self.service())
    }

    /// The service's name, escaped: a server may take it from anywhere.
    pub(super) fn service(&self) -> String {
        escape(self.judgement.service.name().as_bytes())
    }

    /// The fact that is missing where nobody can tell what it is.
    pub(super) fn unread_identity(&self) -> &'static str {
        let facts = &self.process.facts;
        match (&facts.exe, &facts.environ, &facts.script) {
            (Seen::Denied | Seen::Gone, _, _) => "its executable may not be read from here",
            (_, Seen::Denied | Seen::Gone, _) => "its variables may not be read from here",
            (_, _, Script::Unreadable) => "its script or package.json cannot be read, or its owner is not trusted",
            (_, _, Script::NotARuntime | Script::At { .. } | Script::Inline | Script::Hidden) => {
                "what it is may not be read from here"
            }
        }
    }
}

/// The signs of the service that the process lacks.
fn missing(facts: &Facts, service: &Service) -> Vec<String> {
    let mut missing = Vec::new();
    if !service.executables.is_empty() {
        let own = service.executables.iter().map(|own| shown(own.path.as_os_str()));
        missing.push(format!("its program is not {}", one_of(own)));
    }
    if !service.markers.is_empty() && !facts.environ.value().is_some_and(|environ| service.is_marked(environ)) {
        missing.push(marker(service));
    }
    missing.extend(package(facts, service));
    match facts.lock {
        _ if service.locks.is_empty() => {}
        None => missing.push("no lock file".to_owned()),
        Some(_) => missing.push("no lock file for this port".to_owned()),
    }
    let pid_files = service.pid_files.iter().map(|path| shown(path.as_os_str()));
    match &facts.pid_file {
        _ if service.pid_files.is_empty() => {}
        None => missing.push(format!("pid file {} does not name it", one_of(pid_files))),
        Some(path) => {
            let path = shown(path.as_os_str());
            missing.push(format!("pid file {path} names it, but it executes something else"));
        }
    }
    missing
}

fn marker(service: &Service) -> String {
    match &service.markers[..] {
        [only] => {
            let pairs = only.iter().map(|marker| format!("{}={}", shown(&marker.key), shown(&marker.value)));
            format!("no marker {}", pairs.collect::<Vec<_>>().join(" "))
        }
        _ => "no marker".to_owned(),
    }
}

fn package(facts: &Facts, service: &Service) -> Option<String> {
    let (first, others) = service.packages.split_first()?;
    Some(match (&facts.script, &service.subcommand) {
        (Script::At { package: Some(name), .. }, Some(wanted)) if service.packages.contains(name) => {
            format!("its subcommand is not {}", shown(wanted))
        }
        // The others are its older names.
        _ if service.is_known() => format!("no script of package {}", escape(first.as_bytes())),
        _ => {
            let names = std::iter::once(first).chain(others).map(|name| escape(name.as_bytes()));
            format!("no script of package {}", one_of(names))
        }
    })
}

/// The file name of its executable, and of its script: no argument that may be a secret.
fn program(facts: &Facts) -> String {
    let file = match &facts.script {
        Script::At { path, .. } => path.file_name().map(OsStr::to_owned),
        Script::NotARuntime | Script::Inline | Script::Unreadable | Script::Hidden => script_argument(facts),
    };
    let file = file.map(|file| format!(" {}", shown(&file))).unwrap_or_default();
    format!("{}{file}", facts.name())
}

/// A runtime that is none of the service's has its script in its arguments alone.
fn script_argument(facts: &Facts) -> Option<OsString> {
    let exe = facts.exe.value().filter(|exe| Runtime::is_known(&exe.path))?;
    match script(&exe.path, facts.argv.value()?) {
        Argument::At(path, _) => Path::new(path).file_name().map(OsStr::to_owned),
        Argument::Inline | Argument::Ambiguous | Argument::Hidden => None,
    }
}

fn shown(text: &OsStr) -> String {
    escape(text.as_encoded_bytes())
}

/// `a`, `a or b`, `a, b, c or 2 others`.
fn one_of(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    // An executable may be known by its path and as a file.
    names.dedup();
    let more = names.len().saturating_sub(NAMES);
    if more > 0 {
        names.truncate(NAMES);
        names.push(if more == 1 { "1 other".to_owned() } else { format!("{more} others") });
    }
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
