//! `--check`: a look whose exit status says whether the port is free now.

use portclear::Report;
use portclear::report::{Outcome, PortReport};
use serde_json::Value;

use crate::cli::exit::Exit;

impl Exit {
    /// `check`: a port that a real call would clear is held until then.
    pub(crate) fn of_port(port: &PortReport, check: bool) -> Self {
        let waits = check && matches!(port.status, Ok(Outcome::WouldClear));
        if waits { Self::Held } else { Self::of(port.exit_status()) }
    }

    /// The program's own status.
    pub(crate) fn of_report(report: &Report, check: bool) -> Self {
        let ports = report.ports.iter().map(|port| Self::of_port(port, check));
        ports.fold(Self::of(report.exit_status()), Self::max)
    }
}

/// The answer for people.
pub(crate) fn sentence(port: &PortReport, check: bool) -> String {
    let sentence = port.sentence();
    let waits = Exit::of_port(port, check) != Exit::of(port.exit_status());
    if waits { format!("held now by a stale instance: {sentence}") } else { sentence }
}

/// The document of `--json`. Its fields `exit` are the program's.
pub(crate) fn document(report: &Report, check: bool) -> String {
    let document = report.to_json();
    let changed = if check { with_statuses(&document, report) } else { None };
    changed.unwrap_or(document)
}

fn with_statuses(document: &str, report: &Report) -> Option<String> {
    let mut document: Value = serde_json::from_str(document).ok()?;
    *document.get_mut("exit")? = Exit::of_report(report, true).code().into();
    for (port, told) in report.ports.iter().zip(document.get_mut("ports")?.as_array_mut()?) {
        *told.get_mut("exit")? = Exit::of_port(port, true).code().into();
    }
    Some(document.to_string())
}
