//! What tests claim of a run and of the processes around it. Each of these fails where the claim does not hold.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::GATEWAY;
use super::fixture::Fixture;
use super::net::can_bind;
use super::process::Proc;
use super::run::Run;

/// What a test allows beyond the promised times: start, scan and report, on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_millis(1500);

// One port with one holder.

/// The only port was left alone with this exit status, and its only holder by this rule. Gives the reason.
#[track_caller]
pub(crate) fn spared(run: &Run, exit: i32, pid: u32, rule: &str) -> String {
    assert_eq!(run.status, exit, "{run}");
    let port = run.json()["ports"][0].take();
    let status = if exit == 3 { "held" } else { "unseen" };
    assert_eq!((&port["exit"], &port["status"]), (&json!(exit), &json!(status)), "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), 1, "{run}");
    let holder = &port["holders"][0];
    assert_eq!((&holder["pid"], &holder["rule"]), (&json!(pid), &json!(rule)), "{run}");
    assert_eq!((&holder["verdict"], &holder["outcome"]), (&json!("spared"), &json!("untouched")), "{run}");
    assert_eq!(holder["signals"], json!([]), "{run}");
    holder["reason"].as_str().unwrap().to_owned()
}

/// The only port was cleared. Its only holder was ended by this rule, with these signals.
#[track_caller]
pub(crate) fn cleared(run: &Run, pid: u32, rule: &str, signals: &[&str]) {
    assert_eq!(run.status, 0, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!((&port["exit"], &port["status"]), (&json!(0), &json!("cleared")), "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), 1, "{run}");
    let holder = &port["holders"][0];
    assert_eq!((&holder["pid"], &holder["rule"]), (&json!(pid), &json!(rule)), "{run}");
    assert_eq!((&holder["verdict"], &holder["outcome"]), (&json!("stale"), &json!("ended")), "{run}");
    assert_eq!(sent(holder), signals, "{run}");
    assert!(can_bind(GATEWAY), "{run}");
}

/// The names of the signals that a holder was sent.
pub(crate) fn sent(holder: &Value) -> Vec<&str> {
    holder["signals"].as_array().unwrap().iter().map(|one| one["signal"].as_str().unwrap()).collect()
}

/// It serves, and it got no signal.
#[track_caller]
pub(crate) fn untouched(fixture: &Fixture) {
    fixture.answers();
    assert_eq!(fixture.signals(), [""; 0]);
    assert!(fixture.is_alive());
}

// One port with several holders.

/// These processes are the holders of the report, all of them stale instances. Each got one SIGTERM and has ended.
#[track_caller]
pub(crate) fn instances_ended(run: &Run, ended: &[&Proc]) {
    assert_eq!(run.status, 0, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!(port["status"], "cleared", "{run}");
    let holders = run.processes();
    for holder in &holders {
        let said = ["identity", "verdict", "rule", "outcome"].map(|field| holder[field].as_str().unwrap());
        assert_eq!(said, ["instance", "stale", "stale-instance", "ended"], "{run}");
        let signals: Vec<_> = holder["signals"].as_array().unwrap().iter().map(|s| &s["signal"]).collect();
        assert_eq!(signals, ["SIGTERM"], "{run}");
    }
    let mut said: Vec<u64> = holders.iter().map(|holder| holder["pid"].as_u64().unwrap()).collect();
    let mut expected: Vec<u64> = ended.iter().map(|process| process.pid().into()).collect();
    said.sort_unstable();
    expected.sort_unstable();
    assert_eq!(said, expected, "{run}");
    ended.iter().for_each(|process| process.has_ended());
}

/// These processes are the holders of the report, each with its rule. None was touched, and all live.
#[track_caller]
pub(crate) fn left_alone(run: &Run, untouched: &[(&Proc, &str)]) {
    assert_eq!(run.status, 3, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!(port["status"], "held", "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), untouched.len(), "{run}");
    for (process, rule) in untouched {
        let holder = holder(run, process);
        assert_eq!((&holder["rule"], &holder["outcome"]), (&(*rule).into(), &"untouched".into()), "{run}");
        assert_eq!(holder["signals"].as_array().unwrap().len(), 0, "{run}");
        assert!(process.is_alive(), "{run}");
    }
}

#[track_caller]
pub(crate) fn holder(run: &Run, process: &Proc) -> Value {
    let holders = run.json()["ports"][0]["holders"].as_array().unwrap().clone();
    let its = |holder: &Value| holder["pid"] == process.pid();
    holders.into_iter().find(its).unwrap_or_else(|| panic!("no holder {}: {run}", process.pid()))
}

#[track_caller]
pub(crate) fn reason(run: &Run, process: &Proc) -> String {
    holder(run, process)["reason"].as_str().unwrap().to_owned()
}

/// The sentence about the first port.
#[track_caller]
pub(crate) fn sentence(run: &Run) -> String {
    run.json()["ports"][0]["sentence"].as_str().unwrap().to_owned()
}

/// The addresses of the first port's listeners.
#[track_caller]
pub(crate) fn listeners(run: &Run) -> Vec<String> {
    let listeners = run.json()["ports"][0]["listeners"].as_array().unwrap().clone();
    listeners.iter().map(|listener| listener["address"].as_str().unwrap().to_owned()).collect()
}

/// The sockets of a holder. None is listed twice.
#[track_caller]
pub(crate) fn inodes(run: &Run, process: &Proc) -> BTreeSet<u64> {
    let inodes = holder(run, process)["listener_inodes"].as_array().unwrap().clone();
    let set: BTreeSet<u64> = inodes.iter().map(|inode| inode.as_u64().unwrap()).collect();
    assert_eq!(set.len(), inodes.len(), "an inode twice: {run}");
    set
}

// Holders, and what belongs to them.

/// The report says this of a process: its role, rule and outcome, and the signals it was sent.
#[track_caller]
pub(crate) fn said(run: &Run, pid: u32, [role, rule, outcome]: [&str; 3], signals: &[&str]) {
    let process = run.process(pid);
    let words = ["role", "rule", "outcome"].map(|key| process[key].as_str().unwrap().to_owned());
    assert_eq!((words, run.sent(pid)), ([role, rule, outcome].map(str::to_owned), owned(signals)), "{pid}: {run}");
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// It got one SIGTERM and has ended.
#[track_caller]
pub(crate) fn ended(run: &Run, fixture: &Fixture, role: &str, rule: &str) {
    said(run, fixture.inner_pid(), [role, rule, "ended"], &["SIGTERM"]);
    fixture.has_ended();
    assert_eq!(fixture.signals(), ["TERM"], "{run}");
}

/// It is alive and got no signal, and the report says so where it names it.
#[track_caller]
pub(crate) fn lives(run: &Run, fixture: &Fixture) {
    assert!(fixture.is_alive(), "{run}");
    assert_eq!(fixture.signals(), [""; 0], "{run}");
    let speaks_of = |process: &Value| process["pid"] == fixture.inner_pid();
    for process in run.processes().iter().filter(|process| speaks_of(process)) {
        assert_eq!((&process["outcome"], &process["signals"]), (&"untouched".into(), &json!([])));
    }
}

/// When it got its first signal, and when it was gone. Both count from the first signal of the call.
pub(crate) fn times(run: &Run, pid: u32) -> (Duration, Duration) {
    let process = run.process(pid);
    let ms = |value: &Value| Duration::from_millis(value.as_u64().unwrap_or_else(|| panic!("{pid}: no time: {run}")));
    (ms(&process["signals"][0]["after_ms"]), ms(&process["ended_after_ms"]))
}
