//! Bad arguments touch nothing. Several ports have one exit status.

use serde_json::Value;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(bad_arguments_are_one_sentence_and_touch_nothing),
        case!(a_port_given_twice_is_one),
        case!(several_ports_are_told_in_order_with_the_highest_status),
        case!(help_and_version_are_no_errors),
        case!(the_whole_help_has_the_table_of_statuses),
        case!(values_have_several_forms),
    ]
}

fn bytes(bytes: &[u8]) -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

fn bad_arguments_are_one_sentence_and_touch_nothing() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // arguments after a good port, and what the sentence must name
    let table: [(&[&str], &str); 30] = [
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
        (&["--grace", "1.5"], "'1.5' for '--grace"),
        (&["--settle", "soon"], "'soon' for '--settle"),
        (&["--grace", "-1s"], "'-1' found"),
        (&["--signal", "STOP"], "'STOP' for '--signal"),
        (&["--signal", "FOO"], "'FOO' for '--signal"),
        (&["--signal", "10"], "'10' for '--signal"),
        (&["--protect", "0"], "'0' for '--protect"),
        (&["--protect", "x"], "'x' for '--protect"),
        (&["--marker", "A=b"], "--marker needs"),
        (&["--marker", "A", "--package", "x"], "'A' for '--marker"),
        (&["--service", "nope"], "'nope' for '--service"),
        (&["--service", "openclaw", "--package", "x"], "'--service <NAME>' cannot be used with '--package"),
        (&["--quiet", "--json"], "'--quiet' cannot be used with '--json'"),
        (&["--exe", "/usr/bin/env"], "'/usr/bin/env'"),
        (&["--exe", "/no/such"], "there is no such file"),
        (&["--exe", "/usr/bin"], "that is no file"),
        (&["--exe", "/etc/passwd"], "not executable"),
        (&["--check", "-n"], "'--check' cannot be used with '--dry-run'"),
        (&["--profile", "work"], "'--profile' found"),
        (&["--color", "green"], "'green' for '--color"),
    ];
    let lines = table.iter().map(|(wrong, named)| ([&["18789"], *wrong].concat(), *named));
    for (line, named) in lines.chain([(vec![], "name the port")]) {
        let run = portclear(&line);
        assert_eq!(run.status, 2, "{line:?}: {run}");
        assert_eq!(run.stdout, "", "{line:?}");
        let sentence = run.stderr.split("\n\n").next().unwrap();
        assert!(sentence.starts_with("error: ") && sentence.contains(named), "{line:?}: {run}");
        assert_eq!(run.stderr.matches("error:").count(), 1, "{line:?}: {run}");
    }
    // A terminal shows an argument as text, and does not obey it.
    for hostile in ["\x1b[2J", "--\x1b[2J", "--grace=\x1b[2J", "--exe=/\x1b[2J", "--protect=\u{202e}1", "\x1b@x:80"] {
        let run = portclear(&["18789", hostile]);
        assert_eq!((run.status, &run.stdout[..]), (2, ""), "{hostile:?}: {run}");
        let invisible = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!run.stderr.contains(invisible), "{hostile:?}: {run:?}", run = run.stderr);
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
    let ports: Vec<&str> = run.stderr.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    // Port 1002 has a line for its holder and one for itself. Free ports have none.
    let not_ours = format!("port {NOT_OURS}");
    assert_eq!(ports, ["port 1004", &not_ours, "port 1002", "port 1002", "5 ports"], "{run}");
    assert_eq!(run.stdout, "", "{run}");
    assert_eq!(portclear(&["1005", NOT_OURS]).status, 1);
    assert_eq!(portclear(&[NOT_OURS, "1002", "1005"]).status, 3);
}

fn help_and_version_are_no_errors() {
    for flag in ["-h", "--help", "help"] {
        let run = portclear(&[flag]);
        assert_eq!((run.status, &run.stderr[..]), (0, ""), "{flag}: {run}");
        assert!(run.stdout.starts_with("Free a TCP port"), "{flag}: {run}");
        for group in ["\nEnding:\n", "\nEnding more", "\nWhich service", "\nOutput:\n", "\nUsage: portclear "] {
            assert!(run.stdout.contains(group), "{flag}, {group}: {run}");
        }
    }
    assert_eq!(portclear(&["help"]).stdout, portclear(&["-h"]).stdout);
    for line in [["unit", "-h"], ["unit", "--help"], ["help", "unit"]] {
        let run = portclear(&line);
        assert_eq!((run.status, &run.stderr[..]), (0, ""), "{line:?}: {run}");
        assert!(run.stdout.contains("\nUsage: portclear unit "), "{line:?}: {run}");
    }
    for line in [&["--version"][..], &["-V"], &["unit", "-V"]] {
        let run = portclear(line);
        assert_eq!((run.status, &run.stderr[..]), (0, ""), "{line:?}: {run}");
        assert!(run.stdout.ends_with(&format!(" {}\n", env!("CARGO_PKG_VERSION"))), "{line:?}: {run}");
    }
}

/// README, the whole help and the program have one table.
fn the_whole_help_has_the_table_of_statuses() {
    let statuses = include_str!("../../README.md").lines().filter_map(|line| {
        let (status, meaning) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        status.parse::<u8>().ok().map(|status| format!("\n  {status}  {meaning}\n"))
    });
    let all: Vec<String> = statuses.collect();
    assert_eq!(all.len(), 7);
    let run = portclear(&["--help"]);
    for text in all {
        assert!(run.stdout.contains(&text), "{text}: {run}");
    }
}

/// A number alone is seconds, and a signal may be a number.
fn values_have_several_forms() {
    let bystander = Bystander::start();
    for signal in ["2", "int", "SIGINT"] {
        let gateway = Fixture::gateway().start();
        let run = portclear(&["18789", "--grace", "10", "--signal", signal, "--json"]);
        assert_eq!(run.status, 0, "{signal}: {run}");
        assert_eq!(run.sent(gateway.pid()), ["SIGINT"], "{signal}: {run}");
        gateway.has_ended();
    }
    let stubborn = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let run = portclear(&["18789", "--grace", "1", "--json"]);
    assert_eq!(run.sent(stubborn.pid()), ["SIGTERM", "SIGKILL"], "{run}");
    assert!(run.elapsed.as_millis() >= 1000 && run.elapsed < SLACK, "{run}");
    bystander.answers();
}
