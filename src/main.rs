//! `portclear`: frees a TCP port that a stale instance of your own service still holds.

use std::process::ExitCode;

#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod cli;

#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
fn main() -> ExitCode {
    cli::main()
}

/// Where portclear cannot look, this is the answer to all arguments.
#[cfg(not(all(target_os = "linux", not(portclear_elsewhere))))]
fn main() -> ExitCode {
    use std::io::Write;

    // If standard error is closed, only the exit status can tell.
    let _ = writeln!(std::io::stderr(), "portclear: cannot look on this system: it finds holders on Linux alone");
    ExitCode::FAILURE
}
