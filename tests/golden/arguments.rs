//! The errors of wrong command lines, as they lie in tests/golden/arguments.txt.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use crate::support::diff::diff;
use crate::support::*;

/// Each of them is refused, or prints a hint.
const LINES: [&str; 72] = [
    "",
    "status",
    "list",
    "check",
    "version",
    "kill 8080",
    "stop 8080",
    "free 8080",
    "restart 8080",
    "openclaw",
    "8080 unit",
    "install",
    "nonsense",
    "0",
    "65536",
    "18789,18790",
    "18789-18790",
    "18000-19000",
    ":18789",
    "*:18789",
    "18789/tcp",
    "53/udp",
    "http://127.0.0.1:18789/",
    "ws://localhost:18789/path",
    "localhost",
    "127.0.0.1",
    "::1:18789",
    "[::1]",
    "gateway.example:18789",
    "http://gateway.example:18789/",
    "--grace 1.5 18789",
    "--grace soon 18789",
    "--grace=-1s 18789",
    "--settle 1x 18789",
    "--signal 10 18789",
    "--signal STOP 18789",
    "--signal FOO 18789",
    "--protect abc 18789",
    "--protect 0 18789",
    "--marker MY_APP --package x 18789",
    "--marker MY_APP=api 18789",
    "--runtime python3 18789",
    "--runtime /no/such --package x 18789",
    "--exe my-app 18789",
    "--exe /no/such 18789",
    "--exe /usr/bin 18789",
    "--exe /etc/passwd 18789",
    "--exe /usr/bin/env 18789",
    "--service nope 18789",
    "--service openclaw --package x 18789",
    "--color green 18789",
    "--quiet --json 18789",
    "--check -n 18789",
    "--grace",
    "--kill 8080",
    "--force 8080",
    "-f 8080",
    "-9 8080",
    "--dryrun 8080",
    "--check-only 8080",
    "--list 8080",
    "--timeout 5 8080",
    "-p 8080",
    "--profile work 8080",
    "--profile=work 8080",
    "--swep 8080",
    "unit",
    "unit --protect 1 18789",
    "unit -n 18789",
    "unit --unit gw.timer 18789",
    "unit --package my-app 8080",
    "unit --unit my-app --package it's 8080",
];

pub(super) fn a_wrong_command_line_says_what_is_wrong() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut now = String::new();
    for line in LINES {
        let words: Vec<&str> = line.split_whitespace().collect();
        let run = portclear(&words);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{line}: {run}");
        assert!(run.stderr.lines().count() <= 5, "{line}: {run}");
        let _ = writeln!(now, "$ portclear {line}");
        for line in run.stderr.lines().filter(|line| !line.is_empty() && !line.starts_with("For more information")) {
            let _ = writeln!(now, "{line}");
        }
        now.push('\n');
    }
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/arguments.txt");
    if env::var_os("PORTCLEAR_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&path, &now).unwrap();
    }
    let then = fs::read_to_string(&path).unwrap_or_default();
    assert!(then == now, "tests/golden/arguments.txt (-) and what is said now (+) differ:\n{}", diff(&then, &now));
}
