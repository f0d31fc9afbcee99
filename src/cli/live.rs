//! The wait as a terminal shows it: a line that says what it waits for, and Ctrl-C that stops it.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use portclear::policy::Signal;
use portclear::report::Progress;
use portclear::{Policy, PortSpec, Report};
use rustix::termios::tcgetwinsize;

use crate::cli::interrupt::Interrupt;

/// Back to the start of the line, and erase it.
const ERASE: &str = "\r\x1b[K";

/// The line fits. But somebody may make the window narrower, and what flows over into another line is not erased.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// The width of a terminal that does not tell.
const WIDTH: usize = 80;

/// Clears. Ctrl-C stops the wait. `shows`: standard error shows what it waits for.
pub(crate) fn clear(ports: &[PortSpec], policy: &Policy, shows: bool) -> Report {
    let shows = shows && obeys_escapes();
    let mut interrupt = Interrupt::default();
    let mut shown = String::new();
    // A terminal that is gone is no reason to stop waiting.
    let show = |text: &str| drop(write!(io::stderr(), "{text}"));
    let report = portclear::clear_observed(ports, policy, &mut |progress| {
        let stops = interrupt.came();
        // A short wait needs no line.
        let line = if stops || !shows || progress.elapsed.as_millis() < 200 { None } else { line(progress, width()) };
        let line = line.unwrap_or_default();
        if line.is_empty() && !shown.is_empty() {
            show(ERASE);
        } else if line != shown {
            show(&format!("{ERASE}{NO_WRAP}{line}{WRAP}"));
        }
        shown = line;
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // Until here: between the wait and the watch Ctrl-C does not end the program without a report.
    interrupt.release();
    report
}

/// A terminal that cannot erase a line gets none.
fn obeys_escapes() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

fn width() -> usize {
    let columns = tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    if columns == 0 { WIDTH } else { columns.into() }
}

/// The longest form that fits: no word is cut off, and the last column stays free. `None`: nothing is waited for, or
/// nothing fits.
fn line(progress: &Progress, width: usize) -> Option<String> {
    let forms = match (progress.pids.first(), &progress.watched[..]) {
        (Some(first), _) => waiting(progress, *first),
        (None, []) => return None,
        (None, ports) => watching(ports),
    };
    forms.into_iter().find(|form| columns(form) < width)
}

/// How many columns it takes at most: a character of another script may take two.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// From the longest to the shortest. They count to one deadline.
fn waiting(progress: &Progress, first: u32) -> Vec<String> {
    let name = &progress.name;
    let (more, plus) = match progress.pids.len().saturating_sub(1) {
        0 => (String::new(), String::new()),
        more => (format!(" and {more} more"), format!(" +{more}")),
    };
    let next = match (progress.then, progress.sent) {
        (Some(signal), _) => format!(", {signal} in {}", seconds(progress.then_in)),
        (None, Signal::KILL) => ", SIGKILL sent".to_owned(),
        (None, _) => String::new(),
    };
    let left = seconds(progress.left);
    vec![
        format!("waiting for {name} (pid {first}){more} to end: {left} left{next}; Ctrl-C stops waiting"),
        format!("waiting for {name} (pid {first}){more}: {left} left{next}; Ctrl-C stops"),
        format!("{name} ({first}){plus}: {left}{next}, ^C stops"),
        format!("{name} ({first}){plus}: {left}, ^C stops"),
        format!("{left} left, ^C stops"),
        format!("{left} left"),
    ]
}

/// There is no number: the wait before has counted to its own deadline.
fn watching(ports: &[PortSpec]) -> Vec<String> {
    let (are_free, stay) = match ports {
        [port] => (format!("port {port} is free"), "it stays free"),
        _ => (format!("{} ports are free", ports.len()), "they stay free"),
    };
    vec![
        format!("{are_free}; checking that {stay}; Ctrl-C stops checking"),
        format!("{are_free}; ^C stops checking"),
        are_free,
        "free".to_owned(),
    ]
}

fn seconds(time: Duration) -> String {
    // The last moment also counts as a second: 0 s would be no time to wait for.
    format!("{} s", time.as_secs_f64().ceil().max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_not_ascii_may_take_two_columns() {
        assert_eq!((columns("node"), columns("nö"), columns("節点")), (4, 3, 4));
    }
}
