//! B04. An instance that serves several ports, and a call that names them all.

use crate::f_launcher::{ended, lives, said};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_workers_whose_ports_are_all_asked_for),
        case!(b04_a_launcher_that_serves_the_other_port_itself),
        case!(b04_a_worker_on_a_port_that_is_left_alone),
    ]
}

const OTHER: &str = "127.0.0.1:18792";

fn sentences(run: &Run) -> Vec<String> {
    let json = run.json();
    let ports = json["ports"].as_array().unwrap().iter();
    ports.map(|port| port["sentence"].as_str().unwrap().to_owned()).collect()
}

fn b04_workers_whose_ports_are_all_asked_for() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on(OTHER).start_below(&launcher);
    let serves_another = |run: &Run, worker: &Fixture| {
        let told =
            format!("held by an instance of which node (pid {}) serves another port, too", worker.pid());
        assert_eq!(run.status, 3, "{run}");
        assert!(sentences(run)[0].starts_with(&told), "{run}");
    };
    // One alone, either one, or the other at an address that its listener is not in the way of.
    serves_another(&portclear(&["18789", "--json"]), &other);
    serves_another(&portclear(&["18792", "--json"]), &worker);
    serves_another(&portclear(&["18789", "127.0.0.2:18792", "--json"]), &other);
    let run = portclear(&["18789", "18792", "--json", "--dry-run"]);
    assert_eq!(sentences(&run), ["would be cleared, 3 processes stale"; 2], "{run}");
    for fixture in [&launcher, &worker, &other] {
        lives(&run, fixture);
    }
    let run = portclear(&["18789", OTHER, "--json"]);
    assert_eq!(
        (run.status, &sentences(&run)[..]),
        (
            0,
            &[
                "cleared, 3 processes ended; a bind proves it".to_owned(),
                "cleared, 3 processes ended; a bind proves it".to_owned()
            ][..]
        ),
        "{run}"
    );
    ended(&run, &launcher, "launcher", "stale-instance");
    ended(&run, &worker, "holder", "stale-instance");
    other.has_ended();
    assert_eq!(other.signals(), ["TERM"], "{run}");
    bystander.answers();
}

fn b04_a_launcher_that_serves_the_other_port_itself() {
    let bystander = Bystander::start();
    let launcher = Fixture::gateway_on(OTHER).start();
    let worker = Fixture::gateway().start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, launcher.pid(), ["launcher", "elsewhere", "untouched"], &[]);
    let run = portclear(&["18789", "18792", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    for fixture in [&launcher, &worker] {
        fixture.has_ended();
        assert_eq!(fixture.signals(), ["TERM"], "{run}");
    }
    bystander.answers();
}

/// It was asked for, and somebody else holds it, too: nothing is ended for it, and so not its worker either.
fn b04_a_worker_on_a_port_that_is_left_alone() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on(OTHER).start_below(&launcher);
    let foreign = Fixture::other("[::1]:18792").start();
    let run = portclear(&["18789", "18792", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, worker.pid(), ["holder", "stale-instance", "untouched"], &[]);
    for fixture in [&launcher, &worker, &other, &foreign] {
        lives(&run, fixture);
    }
    assert_eq!(
        sentences(&run)[1],
        "held, and left alone: nothing was signalled; --any-owner ends it all the same, \
                                    --marker, --exe or --package say what your service looks like",
        "{run}"
    );
    other.answers();
    worker.answers();
    // At its own address it is nobody else's.
    let run = portclear(&["18789", OTHER, "--json"]);
    assert_eq!(run.status, 0, "{run}");
    lives(&run, &foreign);
    foreign.answers();
    bystander.answers();
}
