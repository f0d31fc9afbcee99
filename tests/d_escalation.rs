//! D. How a process is asked to end, waited for, and made sure of; and how long that takes.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d01_returns_when_the_last_one_is_gone),
        case!(d02_a_server_that_needs_a_while_finishes),
        case!(d02_the_grace_is_an_option),
        case!(d03_who_ignores_the_signal_is_killed),
        case!(d03_a_busy_loop_is_killed),
        case!(d03_no_grace_kills_at_once),
        case!(d03_no_kill_sends_none),
        case!(d04_a_stopped_process_ends_in_its_grace),
        case!(d05_a_zombie_is_gone),
        case!(d05_a_zombie_is_no_holder),
        case!(d07_ten_on_one_port_share_one_grace),
        case!(d07_ten_on_ten_ports_share_one_grace),
        case!(d12_one_signal_each),
    ]
}

const GATEWAY: &str = "127.0.0.1:18789";
const SECOND: &str = "127.0.0.1:18791";

/// What a test allows beyond the times that are promised: start, scan and report, on a machine that is busy.
const SLACK: Duration = Duration::from_millis(1500);

/// When a signal was sent, by the document, counted from the first signal of the call.
fn sent_after(run: &Run, pid: u32, signal: &str) -> Duration {
    let holder = run.process(pid);
    let mut signals = holder["signals"].as_array().unwrap().iter();
    let sent = signals.find(|sent| sent["signal"] == signal);
    let ms = sent.and_then(|sent| sent["after_ms"].as_u64());
    Duration::from_millis(ms.unwrap_or_else(|| panic!("no {signal} to {pid}: {run}")))
}

fn d01_returns_when_the_last_one_is_gone() {
    let bystander = Bystander::start();
    let mut late: Vec<Duration> = (0..20).map(|_| lateness()).collect();
    late.sort_unstable();
    println!("d01: returned {:?} after the last exit (median of 20, worst {:?})", late[10], late[19]);
    assert!(late[10] < Duration::from_millis(5), "{late:?}");
    bystander.answers();
}

/// From the end of the last target to the end of portclear, both seen by one thread that waits for nothing else.
fn lateness() -> Duration {
    let first = Fixture::gateway_on(SECOND).start();
    let last = Fixture::gateway().on_term(OnTerm::Drain(20)).start();
    let running = Portclear::new(&["18789", "18791"]).spawn();
    last.has_ended();
    let gone = Instant::now();
    running.process().has_ended();
    let late = gone.elapsed();
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(!first.is_alive());
    late
}

fn d02_a_server_that_needs_a_while_finishes() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(1500)).start();
    let running = Portclear::new(&["18789", "--json"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    gateway.answers();
    assert!(running.process().is_alive());
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.status().code(), Some(0));
    assert_eq!(gateway.signals(), ["TERM"]);
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended", "{run}");
    let drained = Duration::from_millis(1500);
    assert!(run.elapsed >= drained && run.elapsed < drained + SLACK, "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn d02_the_grace_is_an_option() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let run = portclear(&["18789", "--json", "--grace", "300ms"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
    assert_eq!(gateway.signals(), ["TERM"]);
    let killed = sent_after(&run, gateway.pid(), "SIGKILL");
    let grace = Duration::from_millis(300);
    assert!(killed >= grace && killed < grace + SLACK, "{run}");
    bystander.answers();
}

fn d03_who_ignores_the_signal_is_killed() {
    stubborn(|_| {});
}

fn d03_a_busy_loop_is_killed() {
    stubborn(|gateway| {
        gateway.spin();
        until("spinning", || gateway.process().state() == Some('R'));
    });
}

fn stubborn(also: fn(&Fixture)) {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    also(&gateway);
    let run = portclear(&["18789", "--json", "--grace", "500ms"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
    assert_eq!(gateway.signals(), ["TERM"]);
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM", "SIGKILL"], "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended", "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "cleared", "{run}");
    let grace = Duration::from_millis(500);
    let killed = sent_after(&run, gateway.pid(), "SIGKILL");
    assert!(killed >= grace && run.elapsed < grace + SLACK, "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn d03_no_grace_kills_at_once() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let run = portclear(&["18789", "--json", "--grace", "0s"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM", "SIGKILL"], "{run}");
    assert!(run.elapsed < SLACK, "{run}");
    bystander.answers();
}

fn d03_no_kill_sends_none() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let run = portclear(&["18789", "--json", "--grace", "300ms", "--no-kill"]);
    assert_eq!(run.status, 5, "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), ["TERM"]);
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "survived", "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!(port["status"], "survived", "{run}");
    assert_eq!(port["sentence"], "still held: 1 process signalled and still there", "{run}");
    // The two seconds that SIGKILL may take are not waited for.
    let grace = Duration::from_millis(300);
    assert!(run.elapsed >= grace && run.elapsed < grace + SLACK, "{run}");
    bystander.answers();
}

fn d04_a_stopped_process_ends_in_its_grace() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    gateway.process().stop();
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.status().code(), Some(0));
    assert_eq!(gateway.signals(), ["TERM"]);
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    assert!(run.elapsed < SLACK, "{run}");
    bystander.answers();
}

fn d05_a_zombie_is_gone() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let running = Portclear::new(&["18789", "--json"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    gateway.process().kill();
    let run = running.finish();
    // Nobody has reaped it, and the ten seconds of grace were not waited for.
    assert_eq!(gateway.process().state(), Some('Z'));
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended", "{run}");
    assert!(run.elapsed < Duration::from_secs(5), "{run}");
    bystander.answers();
}

fn d05_a_zombie_is_no_holder() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    gateway.process().kill();
    let run = portclear(&["18789", "--json"]);
    assert_eq!(gateway.process().state(), Some('Z'));
    assert_eq!(run.status, 0, "{run}");
    assert!(!child.is_alive());
    let holders = run.json()["ports"][0]["holders"].as_array().unwrap().len();
    assert_eq!((holders, run.sent(child.pid())), (1, vec!["SIGTERM".to_owned()]), "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

const SHARED_GRACE: Duration = Duration::from_secs(2);

fn d07_ten_on_one_port_share_one_grace() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let children: Vec<Proc> = (0..9).map(|_| gateway.fork()).collect();
    let run = portclear(&["18789", "--json", "--grace", "2s"]);
    assert_eq!(run.status, 0, "{run}");
    for process in children.iter().chain([gateway.process()]) {
        assert!(!process.is_alive());
        assert_eq!(run.sent(process.pid()), ["SIGTERM", "SIGKILL"], "{run}");
        assert_eq!(gateway.signals_of(process.pid()), ["TERM"]);
    }
    assert!(run.elapsed >= SHARED_GRACE && run.elapsed < 2 * SHARED_GRACE, "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn d07_ten_on_ten_ports_share_one_grace() {
    let bystander = Bystander::start();
    let ports: Vec<String> = (18800..18810).map(|port| port.to_string()).collect();
    let start = |port| Fixture::gateway_on(&format!("127.0.0.1:{port}")).on_term(OnTerm::Ignore).start();
    let gateways: Vec<Fixture> = ports.iter().map(start).collect();
    let options = ["--json", "--grace", "2s"];
    let arguments: Vec<&str> = ports.iter().map(String::as_str).chain(options).collect();
    let run = portclear(&arguments);
    assert_eq!(run.status, 0, "{run}");
    let json = run.json();
    for (at, gateway) in gateways.iter().enumerate() {
        assert_eq!(json["ports"][at]["status"], "cleared", "{run}");
        assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
        assert_eq!(gateway.signals(), ["TERM"]);
    }
    assert!(run.elapsed >= SHARED_GRACE && run.elapsed < 2 * SHARED_GRACE, "{run}");
    bystander.answers();
}

fn d12_one_signal_each() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().listen(SECOND).listen("[::1]:18789").on_term(OnTerm::Drain(300)).start();
    let run = portclear(&["18789", GATEWAY, "localhost:18789", "18791", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    // The second one would have made it end with 1.
    assert_eq!(gateway.status().code(), Some(0));
    assert_eq!(gateway.signals(), ["TERM"]);
    let json = run.json();
    let ports = json["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 4, "{run}");
    for port in ports {
        assert_eq!(port["status"], "cleared", "{run}");
        assert_eq!(port["holders"].as_array().unwrap().len(), 1, "{run}");
    }
    assert!(can_bind(GATEWAY) && can_bind(SECOND));
    bystander.answers();
}
