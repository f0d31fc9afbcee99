//! The program and the library against real processes, real sockets and real signals.
//!
//! Each test runs in a thread and a network namespace of its own. README.md says how to write one.

// Here a panic is how a test says no.
#![allow(
    clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout,
    clippy::print_stderr, clippy::too_many_arguments, clippy::too_many_lines, clippy::type_complexity
)]

mod comparison;
mod dist;
mod ending;
mod golden;
mod harness;
mod holders;
mod house;
mod identity;
mod instance;
mod library;
mod liveness;
mod openclaw;
mod program;
mod supervisors;
mod support;
mod systemd;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(exit) = library::server() {
        return exit;
    }
    support::needs::enter_user_namespace();
    let arguments = Arguments::from_args();
    let cases = [
        identity::cases(),
        liveness::cases(),
        holders::cases(),
        ending::cases(),
        instance::cases(),
        golden::cases(),
        program::cases(),
        library::cases(),
        harness::cases(),
        house::cases(),
        openclaw::cases(),
        supervisors::cases(),
        systemd::cases(),
        comparison::cases(),
        dist::cases(),
    ];
    let trials = cases.into_iter().flatten().map(support::case::Case::trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    support::systemd::take_down();
    conclusion.exit_code()
}
