//! What started after the caller is never ended: a restart may just have brought it.

use std::io::Write;

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c06_a_gateway_that_started_after_the_call_is_newer),
        case!(c06_another_command_of_the_service_is_no_server_that_asks),
        case!(e02_an_older_one_of_the_same_second_is_ended),
        case!(e02_a_younger_one_of_the_same_second_is_spared),
        case!(e04_a_server_that_starts_during_the_second_look_is_seen),
        case!(c06_the_successor_that_was_handed_the_socket_lives),
        case!(c06_a_successor_whose_stack_is_not_at_random_lives),
        case!(c06_a_fork_that_becomes_the_next_server_lives),
        case!(c06_a_fork_made_in_the_grace_that_becomes_the_next_server_lives),
    ]
}

fn c06_a_gateway_that_started_after_the_call_is_newer() {
    let bystander = Bystander::start();
    let rounds = [
        (Fixture::gateway(), &[][..]),
        (Fixture::gateway(), &["--any-owner"]),
        (Fixture::gateway().marked(false), &[]),
        (Fixture::other(GATEWAY), &["--any-owner"]),
    ];
    for (server, more) in rounds {
        // The probe must find the port busy.
        let earlier = Fixture::gateway().start();
        let mut late = Portclear::new(&[&JSON, more].concat()).traced();
        late.run_to_call(libc::SYS_socket, |arguments| arguments[0] == libc::AF_NETLINK as u64);
        drop(earlier);
        let server = server.start();
        let reason = spared(&late.finish(), 3, server.pid(), "newer");
        assert!(
            reason.starts_with("it did not start before the caller, so it is probably the new server; "),
            "{reason}"
        );
        untouched(&server);
    }
    bystander.answers();
}

/// A server may start the program that asks for it, and its start is that of the call. Another command of its package
/// waits for no port.
fn c06_another_command_of_the_service_is_no_server_that_asks() {
    let bystander = Bystander::start();
    let rounds = [
        (Fixture::silent(), true),
        // Its marker alone shows what it is.
        (Fixture::silent().no_package(), true),
        (Fixture::silent().args(&["agent"]), false),
        (Fixture::silent().args(&["agent"]).marked(false), false),
    ];
    for (asker, is_server) in rounds {
        let asker = asker.start();
        crate::support::wait::tick_after(asker.process().stat().starttime);
        let gateway = Fixture::gateway().start();
        crate::support::wait::tick_after(gateway.process().stat().starttime);
        let run = asker.portclear(&JSON, &[]);
        if is_server {
            spared(&run, 3, gateway.pid(), "newer");
            untouched(&gateway);
        } else {
            cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
            gateway.has_ended();
        }
        assert!(asker.is_alive() && asker.signals().is_empty(), "{run}");
    }
    bystander.answers();
}

/// Tries until both processes have started within one second, in different clock ticks.
fn in_one_second(mut attempt: impl FnMut() -> [u64; 2]) {
    let per_second = rustix::param::clock_ticks_per_second();
    let met = (0..20).map(|_| attempt()).any(|[older, younger]| {
        assert!(older < younger);
        older / per_second == younger / per_second
    });
    assert!(met, "never within one second");
}

fn e02_an_older_one_of_the_same_second_is_ended() {
    let bystander = Bystander::start();
    in_one_second(|| {
        let gateway = Fixture::gateway().start();
        let started = gateway.process().stat().starttime;
        let run = Portclear::new(&["18789", "--json"]).traced();
        let called = run.process().stat().starttime;
        let run = run.finish();
        assert_eq!(run.status, 0, "{run}");
        assert!(!gateway.is_alive());
        assert_eq!(run.process(gateway.pid())["start_ticks"], started, "{run}");
        [started, called]
    });
    bystander.answers();
}

fn e02_a_younger_one_of_the_same_second_is_spared() {
    let bystander = Bystander::start();
    in_one_second(|| {
        // portclear has not looked at anything yet.
        let run = Portclear::new(&["18789", "--json"]).traced();
        let called = run.process().stat().starttime;
        crate::support::wait::tick_after(called);
        let gateway = Fixture::gateway().start();
        let started = gateway.process().stat().starttime;
        let run = run.finish();
        assert_eq!(run.status, 3, "{run}");
        let holder = run.process(gateway.pid());
        assert_eq!((&holder["rule"], &holder["identity"]), (&"newer".into(), &"instance".into()), "{run}");
        assert_eq!(holder["start_ticks"], started, "{run}");
        gateway.answers();
        assert_eq!(gateway.signals(), [""; 0]);
        [called, started]
    });
    bystander.answers();
}

/// The call is in the middle of a restart: first nobody listens, and then somebody does.
fn e04_a_server_that_starts_during_the_second_look_is_seen() {
    let bystander = Bystander::start();
    let earlier = Fixture::gateway().start();
    let mut late = Portclear::new(&["--json", "18789"]).traced();
    late.run_to_call(libc::SYS_socket, |arguments| arguments[0] == libc::AF_NETLINK as u64);
    drop(earlier);
    late.run_to_call(libc::SYS_socket, |arguments| arguments[0] != libc::AF_NETLINK as u64);
    let server = Fixture::gateway().start();
    spared(&late.finish(), 3, server.pid(), "newer");
    assert!(server.is_alive());
    assert_eq!(server.signals(), [""; 0]);
    bystander.answers();
}

/// The pid of the server that answers.
fn answering() -> u32 {
    let line = ask(GATEWAY).expect("an answer");
    line.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid")
}

fn c06_the_successor_that_was_handed_the_socket_lives() {
    the_successor_lives(Fixture::gateway());
}

/// Below a debugger, every process has its stack at the same place. The successor then looks like a fork of the old
/// one.
fn c06_a_successor_whose_stack_is_not_at_random_lives() {
    the_successor_lives(Fixture::gateway().behind(&["/bin/sh", "-c", r#"setarch -R "$@"; true"#, "sh"]));
}

fn the_successor_lives(gateway: Builder) {
    let bystander = Bystander::start();
    let gateway = gateway.on_term(OnTerm::HandOver).start();
    let run = portclear(&JSON);
    assert_eq!(run.status, 6, "{run}");
    let successor = Proc::of(answering());
    assert_ne!(successor.pid(), gateway.pid());
    let port = run.json()["ports"][0].take();
    let said = format!("cleared, and taken again by node (pid {})", successor.pid());
    assert!(port["sentence"].as_str().unwrap().starts_with(&said), "{run}");
    let [old, new] = [0, 1].map(|at| &port["holders"][at]);
    assert_eq!((&old["pid"], &old["outcome"]), (&json!(gateway.pid()), &json!("ended")), "{run}");
    assert_eq!(sent(old), ["SIGTERM"], "{run}");
    assert_eq!((&new["pid"], &new["rule"]), (&json!(successor.pid()), &json!("newer")), "{run}");
    assert_eq!((sent(new), &new["outcome"]), (vec![], &json!("untouched")), "{run}");
    assert_eq!(old["listener_inodes"], new["listener_inodes"], "another socket");
    // It reports a signal before it answers, and it has answered after the run.
    assert_eq!(gateway.signals_of(successor.pid()), [""; 0]);
    assert!(successor.is_alive());
    assert_eq!(gateway.status().code(), Some(0));
    bystander.answers();
}

/// The gateway's child has executed nothing when it is judged. It is a server when its turn comes.
fn heir(options: &[&str]) {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut run = Portclear::new(options).traced();
    run.run_to_call(libc::SYS_pidfd_open, |call| call[0] == u64::from(gateway.pid()));
    tick_after(run.process().stat().starttime);
    let (heir, mut gate) = gateway.fork_heir(SECOND);
    assert!(heir.stat().starttime > run.process().stat().starttime);
    run.run_to(libc::SYS_pidfd_send_signal);
    gate.write_all(b"x").unwrap();
    serves(&heir);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert!(can_bind(GATEWAY));
    serves(&heir);
    assert_eq!(gateway.signals_of(heir.pid()), [""; 0], "{run}");
    assert!(!run.stdout.contains("SIGKILL"), "{run}");
    bystander.answers();
}

#[track_caller]
fn serves(heir: &Proc) {
    until("the next server answers", || {
        assert!(heir.is_alive(), "it has ended");
        ask(SECOND).is_ok_and(|line| line.starts_with(&format!("{} ", heir.pid())))
    });
}

fn c06_a_fork_that_becomes_the_next_server_lives() {
    heir(&["18789", "--json"]);
    heir(&TREE);
}

fn c06_a_fork_made_in_the_grace_that_becomes_the_next_server_lives() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(700)).start();
    let running = Portclear::new(&["18789", "--json"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    let (heir, mut gate) = gateway.fork_heir(SECOND);
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert!(heir.is_alive(), "{run}");
    gate.write_all(b"x").unwrap();
    serves(&heir);
    bystander.answers();
}
