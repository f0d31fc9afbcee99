//! Descriptors may run out and processes may vanish. portclear may then report an error, but never a wrong "free".

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e05_out_of_descriptors_a_foreign_holder_is_never_free),
        case!(e05_out_of_descriptors_an_offspring_is_never_ended),
        case!(e05_out_of_descriptors_0_means_free),
        case!(e05_entries_that_vanish_change_no_answer),
    ]
}

/// Runs portclear with so few descriptors. Three of them are its standard streams.
fn with_descriptors(count: u32) -> Run {
    let limit = format!("--nofile={count}:{count}");
    Portclear::new(&["18789", "--json"]).through(&["prlimit", &limit, "--"]).run()
}

/// From next to none to enough. The caller checks that both ends were reached.
const LIMITS: std::ops::RangeInclusive<u32> = 4..=20;

fn at_every_limit_left_alone(holder: &Fixture, rule: &str) {
    let bystander = Bystander::start();
    let runs: Vec<Run> = LIMITS.map(with_descriptors).collect();
    for (run, count) in runs.iter().zip(LIMITS) {
        assert!([1, 3].contains(&run.status), "{count} descriptors: {run}");
        assert!(!run.stdout.contains("SIGTERM"), "{count} descriptors: {run}");
    }
    assert_eq!(runs[0].status, 1, "{}", runs[0]);
    let last = runs.last().unwrap();
    assert_eq!((last.status, &last.process(holder.pid())["rule"]), (3, &rule.into()), "{last}");
    holder.answers();
    assert_eq!(holder.signals(), [""; 0]);
    bystander.answers();
}

fn e05_out_of_descriptors_a_foreign_holder_is_never_free() {
    at_every_limit_left_alone(&Fixture::other(GATEWAY).start(), "foreign");
}

/// A few descriptors are enough to read its marker, but not its package.
fn e05_out_of_descriptors_an_offspring_is_never_ended() {
    at_every_limit_left_alone(&Fixture::gateway().package("other").start(), "offspring");
}

fn e05_out_of_descriptors_0_means_free() {
    let bystander = Bystander::start();
    let mut statuses = Vec::new();
    for count in LIMITS {
        let gateway = Fixture::gateway().start();
        let run = with_descriptors(count);
        assert!([0, 1].contains(&run.status), "{count} descriptors: {run}");
        assert_eq!(run.status == 0, can_bind(GATEWAY), "{count} descriptors: {run}");
        assert_eq!(run.status == 0, !gateway.is_alive(), "{count} descriptors: {run}");
        statuses.push(run.status);
    }
    assert_eq!((statuses.first(), statuses.last()), (Some(&1), Some(&0)), "{statuses:?}");
    bystander.answers();
}

/// Runs something while processes come and go as fast as they can.
fn amid_churn(body: impl FnOnce()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // A panic of the body must stop the churn, too.
        let _stop = Stop(&over);
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert!(Command::new("true").status().unwrap().success());
                }
            });
        }
        body();
    });
}

fn e05_entries_that_vanish_change_no_answer() {
    let bystander = Bystander::start();
    let foreign = Fixture::other(GATEWAY).start();
    amid_churn(|| {
        for _ in 0..50 {
            let run = portclear(&["18789", "--json"]);
            assert_eq!(run.status, 3, "{run}");
            assert_eq!(run.process(foreign.pid())["rule"], "foreign", "{run}");
            let run = portclear(&["18792"]);
            assert_eq!((run.status, &run.stdout[..]), (0, ""), "{run}");
        }
        for _ in 0..5 {
            let gateway = Fixture::gateway_on("127.0.0.1:18791").start();
            let run = portclear(&["18791"]);
            assert_eq!(run.status, 0, "{run}");
            assert!(!gateway.is_alive());
        }
    });
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    bystander.answers();
}
