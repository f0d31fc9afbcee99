//! A holder may end, fork or let go of the port while portclear works. The answer is true all the same.

use serde_json::json;

use super::moments::At;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e04_a_holder_that_ends_during_the_scan_leaves_a_free_port),
        case!(e04_a_holder_that_ends_before_the_signal_is_not_signalled),
        case!(e04_a_fork_made_during_the_scan_is_ended_too),
        case!(e04_a_fork_made_before_the_kill_is_ended_too),
        case!(b08_a_fork_made_while_it_is_ended_is_ended_too),
        case!(c06_a_holder_that_has_let_go_of_the_port_is_not_signalled),
    ]
}

fn e04_a_holder_that_ends_during_the_scan_leaves_a_free_port() {
    let bystander = Bystander::start();
    for at in [At::Pin, At::Open, At::Check] {
        for reaped in [true, false] {
            let gateway = Fixture::gateway().start();
            let run = at.stop(Portclear::new(&["18789", "--json"]), gateway.pid());
            gateway.process().kill();
            if reaped {
                gateway.status();
            }
            let run = run.finish();
            assert_eq!(run.status, 0, "at {at}, reaped {reaped}: {run}");
            let port = &run.json()["ports"][0];
            assert_eq!((&port["status"], &port["exit"]), (&"free".into(), &0.into()), "at {at}: {run}");
            assert_eq!(port["holders"], serde_json::json!([]), "at {at}: {run}");
            assert!(can_bind(GATEWAY));
        }
    }
    bystander.answers();
}

fn e04_a_holder_that_ends_before_the_signal_is_not_signalled() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = At::Signal.stop(Portclear::new(&["18789", "--json"]), gateway.pid());
    gateway.process().kill();
    gateway.status();
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended-by-itself", "{run}");
    assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    bystander.answers();
}

fn e04_a_fork_made_during_the_scan_is_ended_too() {
    forked(At::Pin, OnTerm::Exit, &["SIGTERM"]);
}

fn e04_a_fork_made_before_the_kill_is_ended_too() {
    forked(At::Wait, OnTerm::Ignore, &["SIGTERM", "SIGKILL"]);
}

/// The child keeps the socket, and no scan has seen it. It is younger than portclear, but it is no newcomer.
fn forked(at: At, on_term: OnTerm, signals: &[&str]) {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(on_term).start();
    let run = at.stop(Portclear::new(&["18789", "--json", "--grace", "1s"]), gateway.pid());
    let portclear = run.process().stat().starttime;
    tick_after(portclear);
    let child = gateway.fork();
    assert!(child.stat().starttime > portclear);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(!gateway.is_alive() && !child.is_alive() && can_bind(GATEWAY));
    for pid in [gateway.pid(), child.pid()] {
        assert_eq!(run.sent(pid), signals, "{run}");
        assert_eq!(run.process(pid)["outcome"], "ended", "{run}");
    }
    // If SIGKILL follows at once, the child may have had no time to report.
    assert!(gateway.signals_of(child.pid()).len() <= 1);
    bystander.answers();
}

fn b08_a_fork_made_while_it_is_ended_is_ended_too() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::LeaveFork).start();
    let run = portclear(&JSON);
    assert_eq!(run.status, 0, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!(port["status"], "cleared", "{run}");
    let [first, child] = [0, 1].map(|at| &port["holders"][at]);
    assert_eq!(first["pid"], json!(gateway.pid()), "{run}");
    assert_eq!(first["listener_inodes"], child["listener_inodes"], "another socket");
    for holder in [first, child] {
        let told = (&holder["rule"], sent(holder), &holder["outcome"]);
        assert_eq!(told, (&json!("stale-instance"), vec!["SIGTERM"], &json!("ended")), "{run}");
    }
    let child = child["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap();
    assert_eq!(gateway.signals_of(child), ["TERM"]);
    assert_eq!(gateway.signals_of(gateway.pid()), ["TERM"]);
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn c06_a_holder_that_has_let_go_of_the_port_is_not_signalled() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut late = Portclear::new(&JSON).traced();
    // portclear asks twice whether it may signal the process: for the judgement, and for the last look.
    let of_gateway = |arguments: [u64; 6]| arguments[..2] == [gateway.pid().into(), 0];
    late.run_to_call(libc::SYS_kill, of_gateway);
    late.run_to_call(libc::SYS_kill, of_gateway);
    gateway.close_sockets();
    let run = late.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "free", "{run}");
    assert!(can_bind(GATEWAY));
    assert!(gateway.is_alive());
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
}
