//! A server that does not want to wait any longer stops the wait. Nobody is signalled after that.

use std::ops::ControlFlow;
use std::process::ExitCode;

use portclear::report::{Outcome, Progress, WhySurvived};
use portclear::{Policy, PortSpec, Service, clear_observed};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d02_a_stopped_wait_leaves_what_drains),
        case!(d02_a_wait_that_is_stopped_at_its_end_has_no_successor),
        case!(d02_what_was_not_asked_yet_is_not_asked),
    ]
}

/// This very program is the server. The variable says when it has waited long enough.
const SERVER: &str = "PORTCLEAR_TESTS_STOPS";

/// Runs the server, if this program was started as one. It writes the document, and beside it how often it was told what
/// is waited for.
pub(super) fn server() -> Option<ExitCode> {
    let when = std::env::var(SERVER).ok()?;
    let port: PortSpec = "18789".parse().unwrap();
    let mut calls = 0;
    let mut observe = |progress: &Progress| {
        calls += 1;
        let is_over = progress.pids.is_empty();
        let stops = if when == "at the end" { is_over } else { !is_over };
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let report = clear_observed(&[port], &Policy::new(Service::openclaw()), &mut observe);
    let stopped = matches!(report.ports[0].status, Ok(Outcome::Survived(WhySurvived::Stopped)));
    println!("{}", report.to_json());
    eprintln!("{calls} {}", if stopped { "stopped" } else { "went on" });
    Some(ExitCode::from(report.exit_status()))
}

#[track_caller]
fn stops(when: &str) -> Run {
    let this = std::env::current_exe().unwrap();
    let line = ["/bin/sh", "-c", r#"exec "$0""#, this.to_str().unwrap()];
    let run = Portclear::new(&[]).env(SERVER, when).through(&line).run();
    assert!(run.elapsed < SLACK, "{run}");
    run
}

fn d02_a_stopped_wait_leaves_what_drains() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let run = stops("at once");
    assert_eq!((run.status, run.stderr.as_str()), (5, "1 stopped\n"), "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "survived"], &["SIGTERM"]);
    let expected = "still held: the wait was stopped; 1 process signalled and still there, perhaps draining; \
                    no further signal is sent";
    assert_eq!(sentence(&run), expected, "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

/// The gateway leaves a fork, which holds the port and would be the target of the next round.
fn d02_a_wait_that_is_stopped_at_its_end_has_no_successor() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::LeaveFork).start();
    let run = stops("at the end");
    gateway.has_ended();
    assert!(run.status == 5 && run.stderr.ends_with(" stopped\n"), "{run}");
    assert_eq!(run.processes().len(), 1, "{run}");
    assert_eq!(sentence(&run), "still held: the wait was stopped; no further signal is sent", "{run}");
    let fork = ask(GATEWAY).expect("the fork answers");
    let fork = Proc::of(fork.split(' ').next().unwrap().parse().unwrap());
    assert_ne!(fork.pid(), gateway.pid());
    // Without a stop it is ended.
    assert_eq!(portclear(&["18789"]).status, 0);
    fork.has_ended();
    bystander.answers();
}

/// It is asked when the gateway has ended, or at half the grace. The stop comes before both.
fn d02_what_was_not_asked_yet_is_not_asked() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let worker = Fixture::silent().start_below(&gateway);
    let run = stops("at once");
    assert_eq!(run.status, 5, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "survived"], &["SIGTERM"]);
    said(&run, worker.pid(), ["worker", "stale-instance", "survived"], &[]);
    assert!(sentence(&run).contains("; 1 process signalled and still there"), "{run}");
    assert!(worker.is_alive());
    assert_eq!(worker.signals(), [""; 0]);
    bystander.answers();
}
