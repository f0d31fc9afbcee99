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

mod a_offspring;
mod a_ports;
mod a_wrong;
mod b_crowd;
mod b_missing;
mod b_services;
mod b_sockets;
mod b_unseen;
mod b_witness;
mod bind_server;
mod c_asked;
mod c_evidence;
mod c_files;
mod c_healthy;
mod c_profile;
mod d_escalation;
mod d_permission;
mod d_refusals;
mod e_limits;
mod e_races;
mod e_within;
mod examples;
mod f_launcher;
mod f_neighbours;
mod f_orphans;
mod f_ports;
mod f_random;
mod f_review;
mod f_review_units;
mod f_sweep;
mod f_tree;
mod f_units;
mod g_guest;
mod golden;
mod h_places;
mod harness_self;
mod harness_world;
mod library_bind;
mod library_outside;
mod library_races;
mod library_refused;
mod program;
mod program_json;
mod program_library;
mod program_output;
mod program_secrets;
mod program_streams;
mod program_terminal;
mod s_dropin;
mod s_evidence;
mod s_hardened;
mod s_leftover;
mod s_live;
mod s_nested;
mod s_own_unit;
mod s_recipes;
mod s_review;
mod s_rivals;
mod s_sockets;
mod s_systemd_end;
mod s_systemd_self;
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(exit) = program_library::server().or_else(bind_server::server) {
        return exit;
    }
    support::needs::enter_user_namespace();
    let arguments = Arguments::from_args();
    let cases = [
        a_offspring::cases(),
        a_ports::cases(),
        a_wrong::cases(),
        b_crowd::cases(),
        b_missing::cases(),
        b_services::cases(),
        b_sockets::cases(),
        b_unseen::cases(),
        b_witness::cases(),
        c_asked::cases(),
        c_evidence::cases(),
        c_files::cases(),
        c_healthy::cases(),
        c_profile::cases(),
        d_escalation::cases(),
        d_permission::cases(),
        d_refusals::cases(),
        e_limits::cases(),
        e_races::cases(),
        e_within::cases(),
        f_launcher::cases(),
        f_neighbours::cases(),
        f_orphans::cases(),
        f_ports::cases(),
        f_tree::cases(),
        f_random::cases(),
        f_review::cases(),
        examples::cases(),
        g_guest::cases(),
        golden::cases(),
        program::cases(),
        program_json::cases(),
        program_library::cases(),
        program_output::cases(),
        program_secrets::cases(),
        program_streams::cases(),
        program_terminal::cases(),
        library_bind::cases(),
        library_outside::cases(),
        library_races::cases(),
        library_refused::cases(),
        h_places::cases(),
        harness_self::cases(),
        harness_world::cases(),
        s_systemd_self::cases(),
        s_leftover::cases(),
        s_nested::cases(),
        s_own_unit::cases(),
        s_live::cases(),
        s_rivals::cases(),
        s_sockets::cases(),
        s_systemd_end::cases(),
        s_dropin::cases(),
        s_hardened::cases(),
        s_evidence::cases(),
        s_recipes::cases(),
        s_review::cases(),
        f_sweep::cases(),
        f_units::cases(),
        f_review_units::cases(),
    ];
    let trials = cases.into_iter().flatten().map(support::case::Case::trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    support::systemd::take_down();
    conclusion.exit_code()
}
