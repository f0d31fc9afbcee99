//! `--check` says by its exit status whether a port is free now, and signals nobody.

use serde_json::Value;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(only_a_free_port_has_status_0),
        case!(several_ports_have_the_highest_status),
        case!(a_hidden_holder_has_its_own_status, Needs::Root),
    ]
}

/// The same call with `--json`, with `-q` and without both.
#[track_caller]
fn checked(ports: &[&str], status: i32) -> Run {
    for more in [&[][..], &["-q"], &["-v"]] {
        let run = portclear(&[&["--check"], more, ports].concat());
        assert_eq!(run.status, status, "{more:?}: {run}");
        // Quiet: a script asks for the status alone.
        assert!(more != ["-q"] || run.stdout.is_empty(), "{run}");
    }
    let run = portclear(&[&["--check", "--json"], ports].concat());
    assert_eq!((run.status, &run.json()["exit"]), (status, &Value::from(status)), "{run}");
    run
}

fn only_a_free_port_has_status_0() {
    let bystander = Bystander::start();
    checked(&["18789"], 0);
    let gateway = Fixture::gateway().start();
    let run = checked(&["18789"], 3);
    let port = &run.json()["ports"][0];
    // What a real call would do is said all the same.
    assert_eq!((&port["status"], &port["exit"]), (&Value::from("would-clear"), &Value::from(3)), "{run}");
    let said = portclear(&["--check", "18789"]);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.contains("held now by a stale instance"), "{said}");
    assert_eq!(portclear(&["-n", "18789"]).status, 0);
    let foreign = Fixture::other("127.0.0.1:1002").start();
    checked(&["1002"], 3);
    // With this option a real call would end it. It holds the port until then.
    assert_eq!(portclear(&["--check", "--any-owner", "1002"]).status, 3);
    for fixture in [&gateway, &foreign] {
        fixture.answers();
        assert_eq!(fixture.signals(), [""; 0]);
    }
    assert_eq!(portclear(&["18789"]).status, 0);
    gateway.has_ended();
    checked(&["18789"], 0);
    bystander.answers();
}

fn several_ports_have_the_highest_status() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = checked(&["1005", "18789"], 3);
    let exits: Vec<Value> = run.json()["ports"].as_array().unwrap().iter().map(|port| port["exit"].clone()).collect();
    assert_eq!(exits, [0, 3], "{run}");
    assert_eq!(portclear(&["--check", "1005", NOT_OURS]).status, 1);
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
}

fn a_hidden_holder_has_its_own_status() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    gateway.sockets_in_flight();
    checked(&["18789"], 4);
    assert!(gateway.is_alive());
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
}
