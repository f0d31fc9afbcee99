//! Bad arguments touch nothing. Several ports have one exit status.

use serde_json::Value;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(bad_arguments_are_one_sentence_and_touch_nothing),
        case!(a_port_given_twice_is_one),
        case!(several_ports_are_told_in_order_with_the_highest_status),
        case!(help_and_version_are_no_errors),
    ]
}

fn bytes(bytes: &[u8]) -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

fn bad_arguments_are_one_sentence_and_touch_nothing() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // arguments after a good port, and what the sentence must name
    let table: [(&[&str], &str); 24] = [
        (&["0"], "'0' for '<PORT>"),
        (&["65536"], "'65536' for '<PORT>"),
        (&["+1"], "'+1' for '<PORT>"),
        (&[""], "'' for '<PORT>"),
        (&["-1"], "'-1'"),
        (&["--", "-1"], "'-1' for '<PORT>"),
        (&["example.org:80"], "'example.org:80' for '<PORT>"),
        (&["::1:80"], "'::1:80' for '<PORT>"),
        (&["127.0.0.1:0"], "'127.0.0.1:0' for '<PORT>"),
        (&["--no-such-option"], "'--no-such-option'"),
        (&["--grace", "10"], "'10' for '--grace"),
        (&["--grace", "-1s"], "'-1' found"),
        (&["--signal", "STOP"], "'STOP' for '--signal"),
        (&["--signal", "FOO"], "'FOO' for '--signal"),
        (&["--signal", "9"], "'9' for '--signal"),
        (&["--protect", "0"], "'0' for '--protect"),
        (&["--protect", "x"], "'x' for '--protect"),
        (&["--marker", "A=b"], "--marker alone"),
        (&["--marker", "A", "--package", "x"], "'A' for '--marker"),
        (&["--service", "nope"], "'nope' for '--service"),
        (&["--service", "openclaw", "--package", "x"], "'--service <NAME>' cannot be used with '--package"),
        (&["--quiet", "--json"], "'--quiet' cannot be used with '--json'"),
        (&["--exe", "/usr/bin/env"], "'/usr/bin/env'"),
        (&["--color", "green"], "'green' for '--color"),
    ];
    let lines = table.iter().map(|(wrong, named)| ([&["18789"], *wrong].concat(), *named));
    for (line, named) in lines.chain([(vec![], "<PORT>...")]) {
        let run = portclear(&line);
        assert_eq!(run.status, 2, "{line:?}: {run}");
        assert_eq!(run.stdout, "", "{line:?}");
        let sentence = run.stderr.split("\n\n").next().unwrap();
        assert!(sentence.starts_with("error: ") && sentence.contains(named), "{line:?}: {run}");
        assert_eq!(run.stderr.matches("error:").count(), 1, "{line:?}: {run}");
    }
    let run = Portclear::new(&["18789"]).arg(bytes(b"\xff")).run();
    assert_eq!((run.status, &run.stdout[..]), (2, ""), "{run}");
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains("UTF-8"), "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    // It was stale all the while.
    assert_eq!(portclear(&["18789"]).status, 0);
    gateway.has_ended();
    bystander.answers();
}

fn a_port_given_twice_is_one() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = portclear(&["18789", "18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"].as_array().unwrap().len(), 1, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    // The same number with an address is another question.
    let run = portclear(&["18789", "127.0.0.1:18789", "18789", "--json"]);
    let ports = run.json()["ports"].clone();
    assert_eq!(ports.as_array().unwrap().len(), 2, "{run}");
    assert_eq!((&ports[0]["address"], &ports[1]["address"]), (&Value::Null, &Value::from("127.0.0.1")));
    bystander.answers();
}

fn several_ports_are_told_in_order_with_the_highest_status() {
    let stale = Fixture::gateway_on("127.0.0.1:1003").start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let in_flight = Fixture::gateway_on("127.0.0.1:1004").start();
    in_flight.sockets_in_flight();
    // The answers come in the order of the arguments, not of numbers or statuses.
    let line = ["1004", NOT_OURS, "1003", "1005", "1002"];
    let run = portclear(&[&line[..], &["--json"]].concat());
    let document = run.json();
    let of = |key: &str| -> Vec<Value> {
        document["ports"].as_array().unwrap().iter().map(|port| port[key].clone()).collect()
    };
    assert_eq!(of("port"), [1004, 80, 1003, 1005, 1002], "{run}");
    assert_eq!(of("status"), ["unseen", "error", "cleared", "free", "held"], "{run}");
    assert_eq!(of("exit"), [4, 1, 0, 0, 3], "{run}");
    assert_eq!((run.status, &document["exit"]), (4, &Value::from(4)), "{run}");
    stale.has_ended();
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    assert!(in_flight.is_alive());
    assert_eq!(in_flight.signals(), [""; 0]);

    let run = portclear(&line);
    let ports: Vec<&str> = run.stdout.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    // Port 1002 has a line for its holder and one for itself. Free ports have none.
    assert_eq!(ports, ["port 1004", "port 1002", "port 1002"], "{run}");
    assert_eq!(portclear(&["1005", NOT_OURS]).status, 1);
    assert_eq!(portclear(&[NOT_OURS, "1002", "1005"]).status, 3);
}

fn help_and_version_are_no_errors() {
    for (flag, groups) in [("-h", true), ("--help", true), ("--version", false), ("-V", false)] {
        let run = portclear(&[flag]);
        assert_eq!((run.status, &run.stderr[..]), (0, ""), "{flag}: {run}");
        assert_eq!(run.stdout.starts_with("Free a TCP port"), groups, "{flag}: {run}");
        let version = format!("portclear {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run.stdout == version, !groups, "{flag}: {run}");
        let statuses = include_str!("../../README.md").lines().filter_map(|line| {
            let (status, meaning) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
            status.parse::<u8>().ok().map(|status| format!("\n  {status}  {meaning}\n"))
        });
        let all: Vec<String> = statuses.collect();
        assert_eq!(all.len(), 7);
        for text in all.iter().map(String::as_str) {
            assert_eq!(run.stdout.contains(text), groups, "{flag}, {text}: {run}");
        }
        for group in ["\nWhat to do:\n", "\nWhich service:\n", "\nWhat to say:\n", "\nUsage: portclear "] {
            assert_eq!(run.stdout.contains(group), groups, "{flag}, {group}: {run}");
        }
    }
}
