//! A call returns as soon as the last target is gone. It keeps its time where one does not go.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use super::moments::is_check_of;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d01_returns_when_the_last_one_is_gone),
        case!(d07_ten_on_one_port_share_one_grace),
        case!(d07_ten_on_ten_ports_share_one_grace),
        case!(e05_interrupted_it_keeps_its_deadline),
        case!(e05_a_look_that_outlasts_the_call_forgets_no_end),
        case!(e05_a_look_that_outlasts_the_grace_forgets_no_end),
    ]
}

fn d01_returns_when_the_last_one_is_gone() {
    let bystander = Bystander::start();
    let mut late: Vec<Duration> = (0..20).map(|_| lateness()).collect();
    late.sort_unstable();
    println!("d01: returned {:?} after the last exit (median of 20, worst {:?})", late[10], late[19]);
    assert!(late[10] < Duration::from_millis(5), "{late:?}");
    bystander.answers();
}

/// The time from the end of the last target to the end of portclear. One thread sees both and waits for nothing else.
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

fn e05_interrupted_it_keeps_its_deadline() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let grace = Duration::from_secs(2);
    let running = Portclear::new(&["18789", "--json", "--grace", "2s"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    let asked = Instant::now();
    let mut stops = 0;
    // Many short stops take half of the grace, and one long stop takes the other half.
    while asked.elapsed() < grace / 2 {
        running.process().stop();
        running.process().signal(Signal::SIGCONT);
        until("running again", || running.process().state() != Some('T'));
        stops += 1;
    }
    assert!(stops > 10, "{stops}");
    running.process().stop();
    until("the grace is over", || asked.elapsed() > grace);
    assert!(gateway.is_alive());
    running.process().signal(Signal::SIGCONT);
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM", "SIGKILL"], "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    // Time counts while portclear is stopped, and no stop begins the wait anew.
    assert!(run.elapsed >= grace && run.elapsed < grace + Duration::from_millis(900), "{run}");
    bystander.answers();
}

fn signals(wanted: i32) -> impl Fn([u64; 6]) -> bool {
    move |call| u64::try_from(wanted) == Ok(call[1])
}

/// The look for newcomers outlasts the call. What was killed before it has ended, and the answer says so.
fn e05_a_look_that_outlasts_the_call_forgets_no_end() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let grace = Duration::from_millis(100);
    let mut run = Portclear::new(&["18789", "--json", "--tree", "--grace", "100ms"]).traced();
    run.run_to_call(libc::SYS_pidfd_send_signal, signals(libc::SIGTERM));
    let asked = Instant::now();
    run.run_to_call(libc::SYS_pidfd_send_signal, signals(libc::SIGKILL));
    run.run_to(libc::SYS_openat);
    gateway.has_ended();
    until("the call is over", || asked.elapsed() > grace + Duration::from_secs(2));
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    bystander.answers();
}

/// The same with --no-kill, where nothing follows the grace.
fn e05_a_look_that_outlasts_the_grace_forgets_no_end() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let server = Fixture::silent().package("mcp").on_term(OnTerm::Ignore).start_below(&gateway);
    let grace = Duration::from_secs(1);
    let mut run = Portclear::new(&["18789", "--json", "--tree", "--no-kill", "--grace", "1s"]).traced();
    run.run_to_call(libc::SYS_pidfd_send_signal, signals(libc::SIGCONT));
    let asked = Instant::now();
    // portclear looks at the offspring again at half the grace.
    run.run_to_call(libc::SYS_kill, is_check_of(&server));
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.process().kill();
    until("the grace is over", || asked.elapsed() > grace);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    said(&run, server.pid(), ["offspring", "tree", "survived"], &["SIGTERM"]);
    assert_eq!(sentence(&run), "cleared, 1 process ended, 1 process still there; a bind proves it", "{run}");
    bystander.answers();
}
