//! The library answers as the program does, and leaves nothing behind.

use std::fs;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use portclear::report::{Outcome, Progress};
use portclear::{Policy, PortSpec, Report, Service, clear, clear_observed, inspect};
use serde_json::{Value, json};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_server_asks_in_its_own_thread_and_network),
        case!(what_the_caller_started_and_what_is_newer_is_spared),
        case!(the_library_answers_as_the_program_and_leaves_nothing_behind),
    ]
}

/// This very program is a server that embeds the library. All instances are older than the server, none is its child,
/// and no other test opens descriptors in it.
const SERVER: &str = "PORTCLEAR_TESTS_LIBRARY";

/// Runs the server, if this program was started as one. `None`: this is the test run. Nothing may come before it.
pub(super) fn server() -> Option<ExitCode> {
    let ports = std::env::var(SERVER).ok()?;
    let ports = specs(&ports.split(' ').collect::<Vec<_>>());
    let before = left_behind();
    for _ in 0..4 {
        let _ = inspect(&ports, &policy());
    }
    let inspected = inspect(&ports, &policy());
    let mut waits = Vec::new();
    let mut observe = |progress: &Progress| {
        waits.push(json!([progress.pids, progress.then.map(|signal| signal.to_string())]));
        ControlFlow::Continue(())
    };
    let cleared = clear_observed(&ports, &policy(), &mut observe);
    let document = json!({
        "inspected": told(&inspected),
        "cleared": told(&cleared),
        "waits": waits,
        "before": before,
        "after": left_behind(),
    });
    println!("{document}");
    Some(ExitCode::SUCCESS)
}

const MASKS: [&str; 3] = ["SigBlk", "SigIgn", "SigCgt"];

/// Open descriptors, threads, signal handlers and children.
pub(super) fn left_behind() -> Value {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let masks = status.lines().filter(|line| MASKS.iter().any(|mask| line.starts_with(mask))).collect::<Vec<_>>();
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    json!([count("/proc/self/fd"), count("/proc/self/task"), masks, children])
}

fn specs(ports: &[&str]) -> Vec<PortSpec> {
    ports.iter().map(|port| port.parse().unwrap()).collect()
}

fn policy() -> Policy {
    Policy::new(Service::openclaw()).grace(Duration::from_millis(300))
}

/// A report in the words of `--json`.
fn told(report: &Report) -> Value {
    reduced(&schema::document(&report.to_json()).unwrap())
}

/// A document of the program's.
fn printed(run: &Run) -> Value {
    reduced(&run.json())
}

/// What does not change from call to call.
fn reduced(document: &Value) -> Value {
    let ports = document["ports"].as_array().unwrap().iter().map(|port| {
        let listeners = port["listeners"].as_array().unwrap().iter();
        let inodes: Vec<&Value> = listeners.map(|listener| &listener["inode"]).collect();
        let holders = port["holders"].as_array().unwrap().iter().map(|holder| {
            let keys = "pid start_ticks exe identity liveness verdict rule outcome reason";
            let mut told: Value = keys
                .split(' ')
                .map(|key| (key.to_owned(), holder[key].clone()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            told["signals"] = holder["signals"].as_array().unwrap().len().into();
            told
        });
        json!({
            "port": port["port"],
            "status": port["status"],
            "sentence": port["sentence"],
            "inodes": inodes,
            "holders": holders.collect::<Vec<_>>(),
        })
    });
    ports.collect()
}

fn a_server_asks_in_its_own_thread_and_network() {
    let bystander = Bystander::start();
    // It is no child of this process any more, or it would be one of the caller's own.
    let mut foreign = Fixture::other("127.0.0.1:18789").start();
    foreign.orphan();
    let line = ["18789", "localhost:18789", "1001", "127.0.0.1:18791", "192.0.2.1:80"];
    let run = portclear(&[&line[..], &["--json"]].concat());
    for call in [inspect, clear] {
        let report = call(&specs(&line), &policy());
        assert!(matches!(report.ports[0].status, Ok(Outcome::Held(_))), "{report:?}");
        assert!(matches!(report.ports[2].status, Ok(Outcome::Free)), "{report:?}");
        assert!(report.ports[4].status.is_err(), "{report:?}");
        assert_eq!(told(&report), printed(&run));
    }
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    bystander.answers();
}

fn what_the_caller_started_and_what_is_newer_is_spared() {
    let bystander = Bystander::start();
    let child = Fixture::gateway().start();
    let mut newer = Fixture::gateway_on("127.0.0.1:1002").start();
    newer.orphan();
    for call in [inspect, clear] {
        let told = told(&call(&specs(&["18789", "1002"]), &policy()));
        assert_eq!((&told[0]["status"], &told[1]["status"]), (&"held".into(), &"held".into()), "{told}");
        let rule = |at: usize| told[at]["holders"][0]["rule"].clone();
        assert_eq!((rule(0), rule(1)), ("protected".into(), "newer".into()), "{told}");
        assert_eq!(told[0]["holders"][0]["reason"], "the caller started it", "{told}");
    }
    for spared in [&child, &newer] {
        spared.answers();
        assert_eq!(spared.signals(), [""; 0]);
    }
    // To the program, both are stale.
    assert_eq!(portclear(&["18789", "1002"]).status, 0);
    child.has_ended();
    newer.has_ended();
    bystander.answers();
}

fn sorted(wait: &Value) -> (Vec<u64>, &Value) {
    let mut pids: Vec<u64> = wait[0].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    pids.sort_unstable();
    (pids, &wait[1])
}

fn the_library_answers_as_the_program_and_leaves_nothing_behind() {
    let bystander = Bystander::start();
    let stale = Fixture::gateway_on("127.0.0.1:1001").start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let stubborn = Fixture::gateway_on("127.0.0.1:1003").on_term(OnTerm::Ignore).start();
    let in_flight = Fixture::gateway_on("127.0.0.1:1004").start();
    in_flight.sockets_in_flight();
    let ports = ["1001", "1002", "1003", "1004", "1005", "192.0.2.1:80"];
    let dry = portclear(&[&ports[..], &["--json", "--dry-run"]].concat());
    let this = std::env::current_exe().unwrap();
    let become_server = r#"exec "$0""#;
    let run = Portclear::new(&[])
        .env(SERVER, ports.join(" "))
        .through(&["/bin/sh", "-c", become_server, this.to_str().unwrap()])
        .run();
    assert_eq!((run.status, &run.stderr[..]), (0, ""), "{run}");
    let server = run.printed();
    assert_eq!(server["inspected"], printed(&dry), "{run}");
    assert_eq!(server["before"], server["after"], "{run}");
    // portclear waits for both at once, until one has ended.
    let both = json!([[stale.pid(), stubborn.pid()], "SIGKILL"]);
    assert_eq!(sorted(&server["waits"][0]), sorted(&both), "{run}");
    // And when the wait is over, for nobody.
    let [.., killed, over] = &server["waits"].as_array().unwrap()[..] else { panic!("{run}") };
    assert_eq!((killed, &over[0]), (&json!([[stubborn.pid()], null]), &json!([])), "{run}");
    let after = |key: &str| -> Vec<Value> {
        server["cleared"].as_array().unwrap().iter().map(|port| port[key].clone()).collect()
    };
    assert_eq!(after("status"), ["cleared", "held", "cleared", "unseen", "free", "error"], "{run}");
    let signals = |at: usize| after("holders")[at][0]["signals"].clone();
    assert_eq!((signals(0), signals(1), signals(2)), (1.into(), 0.into(), 2.into()), "{run}");
    assert_eq!((stale.signals(), stubborn.signals()), (vec!["TERM".to_owned()], vec!["TERM".to_owned()]));
    stale.has_ended();
    stubborn.has_ended();
    foreign.answers();
    assert_eq!((foreign.signals(), in_flight.signals()), (vec![], vec![]));
    assert!(in_flight.is_alive());
    bystander.answers();
}
