//! A process is asked once, has its grace, and is killed after that.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d02_a_server_that_needs_a_while_finishes),
        case!(d02_the_grace_is_an_option),
        case!(d02_a_drain_that_is_cut_off_is_said_to_be),
        case!(d03_a_process_that_ignores_the_signal_is_killed),
        case!(d03_a_busy_loop_is_killed),
        case!(d03_no_grace_kills_at_once),
        case!(d03_no_kill_does_not_wait_for_a_sigkill),
        case!(d04_a_stopped_process_ends_in_its_grace),
        case!(d12_a_holder_of_several_ports_gets_one_signal),
        case!(d02_no_kill_sends_no_sigkill),
        case!(d02_another_signal_is_sent_instead_of_sigterm),
    ]
}

/// When the document says a signal was sent, counted from the first signal of the call.
fn sent_after(run: &Run, pid: u32, signal: &str) -> Duration {
    let holder = run.process(pid);
    let mut signals = holder["signals"].as_array().unwrap().iter();
    let sent = signals.find(|sent| sent["signal"] == signal);
    let ms = sent.and_then(|sent| sent["after_ms"].as_u64());
    Duration::from_millis(ms.unwrap_or_else(|| panic!("no {signal} to {pid}: {run}")))
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

fn d02_a_drain_that_is_cut_off_is_said_to_be() {
    let bystander = Bystander::start();
    let draining = || Fixture::gateway().on_term(OnTerm::Drain(60_000));
    let (openclaw, other) = ("; --grace 330s waits longer", "; a longer --grace waits longer");
    let package = ["--package", "openclaw", "--grace", "300ms"];
    // The options, and the advice: only of its own service does the program know how long that may drain.
    for (more, advice) in [(&["--grace", "300ms"][..], openclaw), (&package, other)] {
        let gateway = draining().start();
        let run = portclear(&[&["18789"], more].concat());
        gateway.has_ended();
        let said = format!("cleared, 1 process ended, cut off by SIGKILL; a bind proves it{advice}\n");
        assert!(run.status == 0 && run.stdout.ends_with(&said), "{run}");
        assert!(run.stdout.contains(" ms: cut off, perhaps while draining\n"), "{run}");
    }
    // A process that was asked by SIGKILL, or has ended in time, was not cut off.
    let quick = || Fixture::gateway().on_term(OnTerm::Drain(100));
    type Row<'a> = (&'a dyn Fn() -> Builder, &'a [&'a str], bool);
    let table: [Row<'_>; 3] = [
        (&draining, &["--grace", "300ms"], true),
        (&quick, &["--grace", "9s"], false),
        (&draining, &["--signal", "KILL"], false),
    ];
    for (server, more, is_cut_off) in table {
        let gateway = server().start();
        let run = portclear_json(more);
        gateway.has_ended();
        assert_eq!(run.process(gateway.pid())["cut_off"], is_cut_off, "{run}");
        assert_eq!(sentence(&run).contains("cut off by SIGKILL"), is_cut_off, "{run}");
        // The library's sentence names no option of the program.
        assert!(!sentence(&run).contains("--grace"), "{run}");
    }
    bystander.answers();
}

fn d03_a_process_that_ignores_the_signal_is_killed() {
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

fn d03_no_kill_does_not_wait_for_a_sigkill() {
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
    // portclear waits for none of the two seconds that SIGKILL may take.
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

fn d12_a_holder_of_several_ports_gets_one_signal() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().listen(SECOND).listen("[::1]:18789").on_term(OnTerm::Drain(300)).start();
    let run = portclear(&["18789", GATEWAY, "localhost:18789", "18791", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    // A second signal would have made it end with 1.
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

fn d02_no_kill_sends_no_sigkill() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let left = portclear_json(&["--no-kill", "--grace", "200ms"]);
    assert_eq!(left.status, 5, "{left}");
    let port = left.json()["ports"][0].take();
    assert_eq!(port["status"], "survived", "{left}");
    assert_eq!(port["sentence"], "still held: 1 process signalled and still there", "{left}");
    let holder = &port["holders"][0];
    assert_eq!((sent(holder), &holder["outcome"]), (vec!["SIGTERM"], &json!("survived")), "{left}");
    gateway.answers();
    assert_eq!(gateway.signals(), ["TERM"]);
    // Without --no-kill the same process does not survive.
    let killed = portclear_json(&["--grace", "200ms"]);
    cleared(&killed, gateway.pid(), "stale-instance", &["SIGTERM", "SIGKILL"]);
    assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
    bystander.answers();
}

fn d02_another_signal_is_sent_instead_of_sigterm() {
    let bystander = Bystander::start();
    for name in ["INT", "SIGINT"] {
        let gateway = Fixture::gateway().start();
        cleared(&portclear_json(&["--signal", name]), gateway.pid(), "stale-instance", &["SIGINT"]);
        assert_eq!(gateway.status().code(), Some(0));
        assert_eq!(gateway.signals(), ["INT"]);
    }
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let killed = portclear_json(&["--signal", "INT", "--grace", "200ms"]);
    cleared(&killed, gateway.pid(), "stale-instance", &["SIGINT", "SIGKILL"]);
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["INT"]);
    bystander.answers();
}
