//! The line that a terminal shows while the program waits.

use std::io::{self, Write};

use portclear::report::Progress;
use portclear::{Policy, PortSpec, Report};

/// Clears, and shows on standard error what it waits for.
pub(crate) fn clear(ports: &[PortSpec], policy: &Policy) -> Report {
    let mut shown = false;
    let report = portclear::clear_observed(ports, policy, &mut |progress| {
        // A short wait needs no line.
        if progress.elapsed.as_millis() > 200 {
            shown = true;
            // A terminal that is gone is no reason to stop waiting.
            let _ = write!(io::stderr(), "\r\x1b[K{}", line(progress));
        }
    });
    if shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    report
}

fn line(progress: &Progress) -> String {
    let some: Vec<String> = progress.pids.iter().take(5).map(u32::to_string).collect();
    let more = progress.pids.len() - some.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let total = (progress.elapsed + progress.left).as_secs_f64().round();
    let left = progress.left.as_secs_f64().ceil();
    let then = progress.then.map(|signal| format!(", then {signal}")).unwrap_or_default();
    format!("waiting for {}{more}, {left} s of {total} s left{then}", some.join(", "))
}
