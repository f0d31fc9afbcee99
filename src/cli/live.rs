//! The wait as a terminal shows it: a line that says what it waits for, and Ctrl-C that stops it.

use std::io::{self, Write};
use std::ops::ControlFlow;

use portclear::policy::Signal;
use portclear::report::Progress;
use portclear::{Policy, PortSpec, Report};

use crate::cli::interrupt::Interrupt;

/// Back to the start of the line, and erase it.
const ERASE: &str = "\r\x1b[K";

/// A longer line is cut off at the margin. What flows over into another line is not erased with it.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Clears. Ctrl-C stops the wait. `shows`: standard error shows what it waits for.
pub(crate) fn clear(ports: &[PortSpec], policy: &Policy, shows: bool) -> Report {
    let mut interrupt = Interrupt::default();
    let mut shown = String::new();
    // A terminal that is gone is no reason to stop waiting.
    let show = |text: &str| drop(write!(io::stderr(), "{text}"));
    portclear::clear_observed(ports, policy, &mut |progress| {
        let stops = interrupt.came();
        let ends = stops || progress.pids.is_empty();
        // A short wait needs no line.
        let line = if ends || !shows || progress.elapsed.as_millis() < 200 { String::new() } else { line(progress) };
        if line.is_empty() && !shown.is_empty() {
            show(ERASE);
        } else if line != shown {
            show(&format!("{ERASE}{NO_WRAP}{line}{WRAP}"));
        }
        shown = line;
        if ends {
            interrupt.release();
        }
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// The beginning is what matters on a narrow terminal.
fn line(progress: &Progress) -> String {
    let first = progress.pids.first().copied().unwrap_or_default();
    let more = match progress.pids.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let done = match progress.sent {
        Signal::KILL => "was sent SIGKILL",
        _ => "was asked to end and may be draining",
    };
    let left = progress.left.as_secs_f64().ceil();
    let then = progress.then.map(|signal| format!(", then {signal}")).unwrap_or_default();
    format!("{} (pid {first}) {done}{more}: {left} s left{then}; Ctrl-C stops waiting", progress.name)
}
