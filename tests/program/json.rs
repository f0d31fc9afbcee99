//! `--json` writes one document, with true values.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::instance::rival::{lock_of, state};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(exactly_one_document_whatever_the_answer),
        case!(the_values_of_a_cleared_gateway_are_true),
        case!(the_values_of_a_stubborn_gateway_and_a_free_port_are_true),
        case!(the_values_of_a_look_and_of_an_error_are_true),
    ]
}

/// Real documents, of as many situations as possible.
pub(super) fn documents() -> Vec<Run> {
    let gateway = Fixture::gateway().start();
    let agent = Fixture::gateway_on("127.0.0.1:1002").env("OPENCLAW_SHELL", "exec").start_below(&gateway);
    let foreign = Fixture::other("127.0.0.1:1003").start();
    let stubborn = Fixture::gateway_on("127.0.0.1:1004").on_term(OnTerm::Ignore).start();
    let in_flight = Fixture::gateway_on("127.0.0.1:1005").start();
    in_flight.sockets_in_flight();
    let namespace = PidNs::new();
    let contained = Fixture::gateway_on("127.0.0.1:1006").inside(&namespace).start();
    let launcher = Fixture::gateway_on("127.0.0.1:1007").start();
    let worker = Fixture::silent().start_below(&launcher);
    let child = Fixture::silent().package("other").start_below(&launcher);
    let session = Fixture::silent().marked(false).package("session").start();
    let below = Fixture::gateway_on("127.0.0.1:1008").start_below(&session);
    let lines: [&[&str]; 13] = [
        &["1002"],
        &["1003"],
        &["1004", "--no-kill", "--grace", "100ms"],
        &["1004", "--protect", &stubborn.pid().to_string()],
        &["1005"],
        &["1006"],
        &["18789", "--dry-run"],
        &["18789", "1001"],
        &["1003", "--any-owner", "--dry-run"],
        &[NOT_OURS],
        &["1007", "--dry-run", "--tree"],
        &["1007", "--sweep"],
        &["1008", "--settle", "100ms"],
    ];
    let runs = lines.map(|line| portclear(&[line, &["--json"]].concat()));
    below.has_ended();
    for spared in [&agent, &foreign, &in_flight, &contained, &child, &session] {
        assert!(spared.is_alive());
    }
    worker.has_ended();
    let rival = Fixture::gateway_on("127.0.0.1:1009").start();
    let folder = state(&lock_of(&rival));
    let beside = Portclear::new(&["1001", "--json"]).env("OPENCLAW_STATE_DIR", folder.path()).run();
    runs.into_iter().chain([beside]).collect()
}

fn exactly_one_document_whatever_the_answer() {
    let bystander = Bystander::start();
    for run in documents() {
        let document = run.json();
        assert_eq!(
            (&document["schema"], &document["version"]),
            (&json!(1), &json!(env!("CARGO_PKG_VERSION"))),
            "{run}"
        );
        assert_eq!(document["exit"], run.status, "{run}");
        let highest = document["ports"].as_array().unwrap().iter().map(|port| port["exit"].as_i64()).max();
        assert_eq!(highest, Some(document["exit"].as_i64()), "{run}");
        // The document is one line, so a reader of lines reads it whole.
        assert_eq!(run.stdout.matches('\n').count(), 1, "{run}");
        assert!(run.stdout.ends_with('\n'), "{run}");
        // An error stands in the document, and is not said again on standard error.
        assert_eq!(run.stderr, "", "{run}");
    }
    bystander.answers();
}

/// The unit, as /proc tells it: the machine may run the tests in one.
fn unit_of(pid: u32) -> Value {
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    path.rsplit('/').find(|part| part.ends_with(".service")).map_or(Value::Null, Value::from)
}

fn the_values_of_a_cleared_gateway_are_true() {
    let bystander = Bystander::start();
    let before = Instant::now();
    let gateway = Fixture::gateway().start();
    let stat = gateway.process().stat();
    let unit = unit_of(gateway.pid());
    let resident = stat.rss * rustix::param::page_size() as u64;
    let run = portclear(&["127.0.0.1:18789", "--json"]);
    let oldest = before.elapsed() + Duration::from_millis(20);
    assert_eq!(run.status, 0, "{run}");
    let document = run.json();
    let port = &document["ports"][0];
    assert_eq!((&port["port"], &port["address"]), (&json!(18789), &json!("127.0.0.1")), "{run}");
    assert_eq!(port["sentence"], "cleared, 1 process ended; a bind proves it", "{run}");
    let [answer, call] = [port, &document].map(|one| u128::from(one["elapsed_ms"].as_u64().unwrap()));
    assert!(answer <= call && call <= run.elapsed.as_millis(), "{run}");
    assert_eq!((&document["dry_run"], &port["error"]), (&json!(false), &Value::Null), "{run}");
    assert_eq!(port["connections"], json!({ "connected": 0, "time_wait": 0 }), "{run}");
    let [listener] = &port["listeners"].as_array().unwrap()[..] else { panic!("{run}") };
    let inode = listener["inode"].as_u64().unwrap();
    assert!(inode > 0, "{run}");
    assert_eq!(*listener, json!({ "address": "127.0.0.1", "port": 18789, "inode": inode, "uid": 0 }));

    let [holder] = &port["holders"].as_array().unwrap()[..] else { panic!("{run}") };
    let exact = json!({
        "pid": gateway.pid(),
        "start_ticks": stat.starttime,
        "comm": "node",
        "exe": gateway.exe(),
        "exe_replaced": false,
        "uid": 0,
        "ppid": stat.ppid,
        "run": null,
        "supervisor": null,
        "listener_inodes": [inode],
        "markers": { MARKERS[0].0: MARKERS[0].1, MARKERS[1].0: MARKERS[1].1 },
        "identity": "instance",
        "liveness": "unsupervised",
        "verdict": "stale",
        "rule": "stale-instance",
        "reason": "an older instance of OpenClaw, and no supervisor runs it; its script lies in package openclaw",
        "outcome": "ended",
    });
    for (key, value) in exact.as_object().unwrap() {
        assert_eq!(holder[key], *value, "{key}: {run}");
    }
    assert_eq!(holder["unit"].get("name").cloned().unwrap_or_default(), unit, "{run}");
    assert_eq!(holder["lineage"][0]["pid"], stat.ppid, "{run}");
    assert_eq!(holder["lineage"].as_array().unwrap().last().unwrap()["pid"], 1, "{run}");
    let age = Duration::from_millis(holder["age_ms"].as_u64().unwrap());
    assert!(!age.is_zero() && age <= oldest, "{run}");
    let rss = holder["rss_bytes"].as_u64().unwrap();
    assert!((resident / 2..=resident * 2).contains(&rss), "{resident}: {run}");
    assert!(holder["command"].as_str().unwrap().ends_with("/index.js gateway --port 18789"), "{run}");
    let [signal] = &holder["signals"].as_array().unwrap()[..] else { panic!("{run}") };
    assert_eq!(signal["signal"], "SIGTERM", "{run}");
    let [sent, ended] = [&signal["after_ms"], &holder["ended_after_ms"]].map(|ms| ms.as_u64().unwrap());
    assert!(sent <= ended && u128::from(ended) <= run.elapsed.as_millis(), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn the_values_of_a_stubborn_gateway_and_a_free_port_are_true() {
    let bystander = Bystander::start();
    let id = "0123456789abcdef0123456789abcdef";
    let gateway = Fixture::gateway().env("INVOCATION_ID", id).on_term(OnTerm::Ignore).start();
    let run = portclear(&["18789", "localhost:1001", "--json", "--grace", "300ms"]);
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    let document = run.json();
    let holder = &document["ports"][0]["holders"][0];
    assert_eq!(holder["run"], id, "{run}");
    let signals = holder["signals"].as_array().unwrap();
    let names: Vec<&Value> = signals.iter().map(|signal| &signal["signal"]).collect();
    assert_eq!(names, ["SIGTERM", "SIGKILL"], "{run}");
    let after = |at: usize| signals[at]["after_ms"].as_u64().unwrap();
    assert!(after(0) < 300 && after(1) >= 300, "{run}");
    assert!(holder["ended_after_ms"].as_u64().unwrap() >= after(1), "{run}");
    let free = &document["ports"][1];
    let exact = json!({
        "port": 1001,
        "address": "localhost",
        "status": "free",
        "exit": 0,
        "sentence": "free",
        "error": null,
        "elapsed_ms": free["elapsed_ms"],
        "connections": { "connected": 0, "time_wait": 0 },
        "unreadable_processes": 0,
        "listeners": [],
        "holders": [],
        "members": [],
        "remainder": { "count": 0, "bytes": 0, "kind": "pss" },
        "watched_ms": 0,
        "stopped": false,
        "starter": null,
    });
    assert_eq!(*free, exact, "{run}");
    bystander.answers();
}

/// Documentation's own address (RFC 5737), which no machine has: EADDRNOTAVAIL.
fn the_values_of_a_look_and_of_an_error_are_true() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = portclear(&["-n", "18789", "192.0.2.1:18791", "--json"]);
    assert_eq!(run.status, 1, "{run}");
    let document = run.json();
    assert_eq!((&document["dry_run"], &document["exit"]), (&json!(true), &json!(1)), "{run}");
    let [look, failed] = &document["ports"].as_array().unwrap()[..] else { panic!("{run}") };
    assert_eq!((&look["status"], &look["error"]), (&json!("would-clear"), &Value::Null), "{run}");
    let error = &failed["error"];
    assert_eq!((&failed["status"], &error["os_error"]), (&json!("error"), &json!(99)), "{run}");
    let sentence = format!("could not find out: {}: {}", text(&error["attempt"]), text(&error["cause"]));
    assert_eq!(failed["sentence"], sentence, "{run}");
    untouched(&gateway);
    bystander.answers();
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
