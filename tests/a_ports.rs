//! A. Taking the wrong process, where ports, connections or command lines decide.

use std::fs;

use serde_json::{Value, json};

use crate::a_wrong::{GATEWAY, lives};
use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a08_a_port_is_a_number_and_not_a_part_of_one),
        case!(a09_a_client_outlives_the_stale_server),
        case!(a09_both_ends_of_a_connection_from_the_port_live),
        case!(a10_the_port_given_is_cleaned_and_the_default_one_lives),
        case!(a11_the_cleaners_and_its_shells_command_lines_match_nothing),
        case!(a11_not_even_as_holders_of_the_port),
    ]
}

const GATEWAY_COMMAND: [&str; 5] =
    ["/usr/bin/node", "/usr/lib/node_modules/openclaw/dist/index.js", "gateway", "--port", "18789"];

fn a08_a_port_is_a_number_and_not_a_part_of_one() {
    let ports = ["1878", "8789", "18789", "18790"];
    for wanted in ports {
        let start = |port: &&str| Fixture::gateway_on(&format!("127.0.0.1:{port}")).start();
        let others: Vec<Fixture> = ports.iter().filter(|port| **port != wanted).map(start).collect();
        let run = portclear(&[wanted, "--json"]);
        assert_eq!((run.status, run.json()["ports"][0]["status"].as_str()), (0, Some("free")), "{run}");
        others.iter().for_each(lives);

        let gateway = start(&wanted);
        let run = portclear(&[wanted, "--json"]);
        let port = run.json()["ports"][0].take();
        assert_eq!((run.status, port["status"].as_str()), (0, Some("cleared")), "{run}");
        assert_eq!(port["listeners"].as_array().unwrap().len(), 1, "{run}");
        assert_eq!(port["listeners"][0]["port"].to_string(), wanted);
        assert_eq!(gateway.signals(), ["TERM"]);
        gateway.has_ended();
        others.iter().for_each(lives);
    }
}

fn a09_a_client_outlives_the_stale_server() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // An instance itself, so that only its not listening keeps it.
    let client = Fixture::gateway_on("127.0.0.1:18791").start();
    client.connect("127.0.0.1:0", GATEWAY);
    let run = portclear(&["18789", "--json"]);
    let holders = run.json()["ports"][0]["holders"].take();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!((holders.as_array().unwrap().len(), &holders[0]["pid"]), (1, &json!(gateway.pid())), "{run}");
    gateway.has_ended();
    lives(&client);
    bystander.answers();
}

fn a09_both_ends_of_a_connection_from_the_port_live() {
    let server = Fixture::gateway_on("127.0.0.1:18791").start();
    let client = Fixture::gateway_on("127.0.0.1:18792").start();
    client.connect(GATEWAY, "127.0.0.1:18791");
    let run = portclear(&["18789", "--any-owner"]);
    assert_eq!(run.status, 4, "{run}");
    let run = portclear(&["18789", "--json"]);
    let port = run.json()["ports"][0].take();
    assert_eq!((run.status, port["status"].as_str()), (4, Some("unseen")), "{run}");
    assert_eq!(
        (&port["connected"], &port["listeners"], &port["holders"]),
        (&json!(1), &json!([]), &json!([]))
    );
    let sentence = "nobody listens; one socket of a connection, which is not ended for a port";
    assert_eq!(port["sentence"], sentence);
    lives(&server);
    lives(&client);

    // The same beside a listener of the port that is not what refuses the bind.
    let elsewhere = Fixture::gateway_on("127.0.0.2:18789").start();
    let run = portclear(&["--json", GATEWAY]);
    let port = run.json()["ports"][0].take();
    assert_eq!(
        (run.status, &port["connected"], &port["sentence"]),
        (4, &json!(1), &json!(sentence)),
        "{run}"
    );
    lives(&elsewhere);
    drop(elsewhere);

    // And beside a stale listener of the same port: it ends, and the connection keeps its ends.
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on("[::1]:18789").start();
    let run = portclear(&["[::1]:18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    lives(&server);
    lives(&client);
    bystander.answers();
}

fn a10_the_port_given_is_cleaned_and_the_default_one_lives() {
    let default = Fixture::gateway().start();
    // Its arguments name the default port, and it listens elsewhere: the socket counts.
    let given = Fixture::gateway_on("127.0.0.1:19001").args(&["gateway", "--port", "18789"]).start();
    let run = Portclear::new(&["19001"]).env("OPENCLAW_GATEWAY_PORT", "18789").run();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(given.signals(), ["TERM"]);
    given.has_ended();
    lives(&default);
    let run = portclear(&["19001"]);
    assert_eq!(run.status, 0, "{run}");
    let run = Portclear::new(&[]).env("OPENCLAW_GATEWAY_PORT", "18789").run();
    assert_eq!(run.status, 2, "{run}");
    lives(&default);
}

fn a11_the_cleaners_and_its_shells_command_lines_match_nothing() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // As in ExecStartPre: the shell has the service's markers, too.
    let starter = Fixture::silent().start();
    let own = format!("CLEANS={}", GATEWAY_COMMAND.join(" "));
    let script = r#"p=$0; "$p" --package openclaw --runtime node --marker "$C" 18789; exit $?"#;
    let shell = [&["/bin/sh", "-c", script, PROGRAM], &GATEWAY_COMMAND[..]].concat();
    let run = starter.run(&shell, &[("C", &own)], false);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.has_ended();
    assert!(starter.is_alive());
    assert_eq!(starter.signals(), [""; 0]);
    bystander.answers();
}

fn a11_not_even_as_holders_of_the_port() {
    let gateway = Fixture::gateway().start();
    let [out, status] = ["out", "status"].map(|name| gateway.root().join(name));
    let script = format!(
        "{PROGRAM} 18789 --json --any-owner >{}; echo $? >{}; read -r end",
        out.display(),
        status.display()
    );
    // The gateway becomes the shell, which passes the listening socket on to portclear.
    let shell = [&["/bin/sh", "-c", &script], &GATEWAY_COMMAND[..]].concat();
    gateway.exec(&shell, &MARKERS);
    let read = || fs::read_to_string(&status).unwrap_or_default();
    until("portclear has ended", || read().ends_with('\n'));
    assert_eq!(read(), "3\n");
    let answer: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let holders = answer["ports"][0]["holders"].as_array().unwrap();
    assert_eq!(holders.len(), 2, "{answer}");
    let shell = holders.iter().find(|holder| holder["pid"] == gateway.pid()).unwrap();
    let itself = holders.iter().find(|holder| holder["ppid"] == gateway.pid()).unwrap();
    for (holder, reason) in [(shell, "the caller descends from it"), (itself, "it is the caller itself")] {
        assert_eq!((&holder["rule"], &holder["reason"]), (&json!("protected"), &json!(reason)));
        assert_eq!((&holder["signals"], &holder["outcome"]), (&json!([]), &json!("untouched")));
    }
    assert!(gateway.is_alive());
}
