//! The exit status is 0 only after a bind. What keeps the port is named, and no other port is forgotten for it.

use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d05_a_zombie_is_gone),
        case!(d05_a_zombie_is_no_holder),
        case!(d08_a_survivor_is_never_0),
        case!(d08_0_only_after_a_bind),
        case!(d08_a_free_port_is_0_though_the_process_is_still_there),
        case!(d10_a_respawn_is_named_and_not_chased),
        case!(d11_a_process_that_cannot_die_is_said_in_time),
        case!(d13_a_survivor_makes_nothing_forgotten),
        case!(d13_an_error_makes_nothing_forgotten),
        case!(d13_a_refused_bind_makes_nothing_forgotten, Needs::Root),
    ]
}

fn d05_a_zombie_is_gone() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let running = Portclear::new(&["18789", "--json"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    gateway.process().kill();
    let run = running.finish();
    // It is a zombie, and portclear did not wait for the ten seconds of grace.
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

fn d08_a_survivor_is_never_0() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    let hold = hold_at_exit(&gateway);
    let run = portclear(&["18789", "--json", "--grace", "200ms"]);
    assert_eq!(run.status, 5, "{run}");
    hold.is_held();
    assert!(!can_bind(GATEWAY) && !child.is_alive());
    assert_eq!(run.json()["ports"][0]["status"], "survived", "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "survived", "{run}");
    assert_eq!(run.process(child.pid())["outcome"], "ended", "{run}");
    drop(hold);
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn d08_0_only_after_a_bind() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // It is in no socket table, but it refuses the bind.
    let other = Fixture::silent().marked(false).package("other").bound_exclusively("127.0.0.2:18789").start();
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 4, "{run}");
    assert_eq!(gateway.status().code(), Some(0));
    assert_eq!(run.json()["ports"][0]["status"], "unseen", "{run}");
    assert_eq!(sentence(&run), "a process has bound the port and does not listen; Linux does not show which one");
    assert!(other.is_alive());
    assert_eq!(other.signals(), [""; 0]);
    bystander.answers();
}

fn d08_a_free_port_is_0_though_the_process_is_still_there() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let running = Portclear::new(&["18789", "--json", "--grace", "500ms", "--no-kill"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    gateway.close_sockets();
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(gateway.is_alive() && can_bind(GATEWAY));
    assert_eq!(gateway.signals(), ["TERM"]);
    assert_eq!(run.process(gateway.pid())["outcome"], "survived", "{run}");
    assert_eq!(sentence(&run), "cleared, 1 process released the port and is still running; a bind proves it");
    bystander.answers();
}

fn d10_a_respawn_is_named_and_not_chased() {
    let bystander = Bystander::start();
    let supervisor =
        ["setpriv", "--pdeathsig=KILL", "--", "sh", "-c", r#"exec 2>/dev/null; while :; do "$@"; done"#, "sh"];
    let gateway = Fixture::gateway().behind(&supervisor).start();
    let parent = gateway.process().parent();
    let mut traced = Portclear::new(&["18789", "--json"]).traced();
    traced.run_to(libc::SYS_pidfd_send_signal);
    // portclear stands between the end of the old one and its own bind, until the new one serves.
    traced.run_to(libc::SYS_bind);
    assert!(!gateway.is_alive());
    let mut respawn = None;
    until("a respawn", || {
        respawn = ask(GATEWAY).ok().and_then(|line| line.split(' ').next()?.parse().ok());
        respawn.is_some()
    });
    let respawn = Proc::of(respawn.unwrap());
    assert_eq!(respawn.parent(), parent);
    let run = traced.finish();
    assert_eq!(run.status, 6, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "respawned", "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended", "{run}");
    let holder = run.process(respawn.pid());
    assert_eq!((&holder["rule"], &holder["outcome"]), (&"newer".into(), &"untouched".into()), "{run}");
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    let shell = shell.file_name().unwrap().display();
    let (pid, said) = (respawn.pid(), sentence(&run));
    assert_eq!(said, format!("cleared, and taken again by node (pid {pid}), started by {shell} (pid {parent})"));
    // The same process still answers, and it got no signal.
    assert_eq!(ask(GATEWAY).unwrap(), format!("{pid} gateway"));
    assert_eq!(gateway.signals_of(pid), [""; 0]);
    assert!(respawn.is_alive());
    bystander.answers();
}

/// A tracer holds the process at its exit. So does a driver or a dead mount that keeps a process in the kernel: it
/// takes SIGKILL, nothing more happens, and its descriptors stay open.
fn d11_a_process_that_cannot_die_is_said_in_time() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let hold = hold_at_exit(&gateway);
    let run = portclear(&["18789", "--grace", "300ms"]);
    assert_eq!(run.status, 5, "{run}");
    hold.is_held();
    assert!(gateway.is_alive() && !can_bind(GATEWAY));
    let all = Duration::from_millis(2300);
    assert!(run.elapsed >= all && run.elapsed < all + Duration::from_millis(1500), "{run}");
    assert!(run.stderr.contains("still there (state t)"), "{run}");
    assert!(run.stderr.contains("still held: 1 process signalled and still there"), "{run}");
    bystander.answers();
}

fn d13_a_survivor_makes_nothing_forgotten() {
    let bystander = Bystander::start();
    let stuck = Fixture::gateway().start();
    let other = Fixture::gateway_on(SECOND).start();
    let _hold = hold_at_exit(&stuck);
    let run = portclear(&["18789", "18791", "--json", "--grace", "200ms"]);
    assert_eq!(run.status, 5, "{run}");
    let json = run.json();
    let answer = |at: usize| (json["ports"][at]["status"].clone(), json["ports"][at]["exit"].clone());
    assert_eq!(answer(0), ("survived".into(), 5.into()), "{run}");
    assert_eq!(answer(1), ("cleared".into(), 0.into()), "{run}");
    assert_eq!(other.status().code(), Some(0));
    assert!(can_bind(SECOND) && !can_bind(GATEWAY));
    bystander.answers();
}

fn d13_an_error_makes_nothing_forgotten() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // No machine has this address (RFC 5737), so a bind to it proves nothing.
    let run = portclear(&["192.0.2.1:18791", "18789", "--json"]);
    assert_eq!(run.status, 1, "{run}");
    let json = run.json();
    assert_eq!((&json["ports"][0]["status"], &json["ports"][0]["exit"]), (&"error".into(), &1.into()), "{run}");
    assert!(sentence(&run).contains("cannot try to bind 192.0.2.1:18791"), "{run}");
    assert_eq!(json["ports"][1]["status"], "cleared", "{run}");
    assert_eq!(gateway.status().code(), Some(0));
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    bystander.answers();
}

/// This error is found only after the look at all holders.
fn d13_a_refused_bind_makes_nothing_forgotten() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().uid(NOBODY).start();
    let run = Portclear::new(&["80", "18789", "--json"]).uid(NOBODY).run();
    assert_eq!(run.status, 1, "{run}");
    let json = run.json();
    assert_eq!(json["ports"][0]["status"], "error", "{run}");
    assert_eq!(json["ports"][1]["status"], "cleared", "{run}");
    assert_eq!(gateway.status().code(), Some(0));
    bystander.answers();
}
