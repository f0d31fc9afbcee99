//! The program and the library against real processes, real sockets and real signals.
//!
//! Each test runs in a thread and a network namespace of its own. `support` says how to write one.

// Here a panic is how a test says no.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod a_wrong;
mod b_missing;
mod c_healthy;
mod d_escalation;
mod e_races;
mod g_guest;
mod harness_self;
mod harness_world;
mod program;
mod s_systemd_end;
mod s_systemd_self;
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    support::needs::enter_user_namespace();
    let arguments = Arguments::from_args();
    let cases = [
        a_wrong::cases(),
        b_missing::cases(),
        c_healthy::cases(),
        d_escalation::cases(),
        e_races::cases(),
        g_guest::cases(),
        program::cases(),
        harness_self::cases(),
        harness_world::cases(),
        s_systemd_self::cases(),
        s_systemd_end::cases(),
    ];
    let trials = cases.into_iter().flatten().map(support::case::Case::trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    support::systemd::take_down();
    conclusion.exit_code()
}
