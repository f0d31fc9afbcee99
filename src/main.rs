//! `portclear`: frees a TCP port that a stale instance of your own service still holds.

use std::process::ExitCode;

#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod cli;

#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
fn main() -> ExitCode {
    cli::main()
}

/// The program takes no arguments where it cannot look: whatever it is asked, this is the answer.
#[cfg(not(all(target_os = "linux", not(portclear_elsewhere))))]
fn main() -> ExitCode {
    use std::io::Write;

    // Where standard error is gone too, the exit status is all that is left to say.
    let _ = writeln!(std::io::stderr(), "portclear: cannot look on this system: it finds holders on Linux alone");
    ExitCode::FAILURE
}
