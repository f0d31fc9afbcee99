//! Where nobody may start the gateway again, a cleared port costs no time.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::run::PROGRAM;
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor, answering};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![a_hook_in_a_unit_watches_nothing];
    cases.extend([
        case!(after_an_orphan_nothing_is_watched),
        case!(below_a_shell_with_a_terminal_nothing_is_watched, Needs::Node),
        case!(below_a_shell_that_called_it_nothing_is_watched, Needs::Node),
    ]);
    cases
}

#[track_caller]
fn is_unwatched(port: &Value) {
    let said = [&port["status"], &port["watched_ms"], &port["starter"]];
    assert_eq!(said, [&json!("cleared"), &json!(0), &json!(null)], "{port}");
    assert!(!port["sentence"].as_str().unwrap().contains("again"), "{port}");
}

#[track_caller]
fn is_quick(run: &Run, pid: u32) {
    cleared(run, pid, "stale-instance", &["SIGTERM"]);
    is_unwatched(&run.json()["ports"][0]);
    // Less than the second for which it would watch.
    assert!(run.elapsed < Duration::from_millis(900), "{run}");
}

/// A gateway started by hand, whose terminal was closed.
fn after_an_orphan_nothing_is_watched() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let orphan = namespace.orphan(Fixture::gateway());
    let run = Portclear::new(&JSON).inside(&namespace).run();
    is_quick(&run, orphan.inner_pid());
    bystander.answers();
}

/// A person works in that shell. It lives on, and starts nothing by itself.
fn below_a_shell_with_a_terminal_nothing_is_watched() {
    let terminal = started("pty.spawn", |home| {
        // A person types it into a shell.
        let text = "import os, pty, sys
pid, terminal = pty.fork()
pid or os.execvp('sh', ['sh'])
os.write(terminal, sys.argv[1].encode() + b'\\n')
while os.read(terminal, 4096): pass
";
        format!("exec /usr/bin/python3 {} {}", home.write("pty.spawn", text).display(), home.run())
    });
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let gateway = Proc::of(terminal.outer(pid));
    let shell = Proc::of(gateway.parent());
    let run = terminal.portclear(&JSON);
    is_quick(&run, pid);
    assert!(shell.is_alive(), "{run}");
    bystander.answers();
}

/// A script starts the gateway, and clears the port later.
fn below_a_shell_that_called_it_nothing_is_watched() {
    let script = started("script.sh", |home| {
        let (folder, run) = (home.path().display(), home.run());
        let text = format!(
            "#!/bin/sh
mkfifo {folder}/go
{run} &
read go <{folder}/go
{PROGRAM} --json 18789 >{folder}/said
echo $? >>{folder}/said
read go <{folder}/go
"
        );
        format!("exec {}", home.write("script.sh", &text).display())
    });
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let home = script.home().path();
    fs::write(home.join("go"), "\n").unwrap();
    let mut said = String::new();
    until("the exit status", || {
        said = fs::read_to_string(home.join("said")).unwrap_or_default();
        said.ends_with("}\n0\n")
    });
    let document = schema::document(said.lines().next().unwrap()).unwrap();
    let port = &document["ports"][0];
    assert_eq!((&port["holders"][0]["pid"], &port["holders"][0]["outcome"]), (&json!(pid), &json!("ended")), "{said}");
    is_unwatched(port);
    bystander.answers();
}

/// The launcher of the gateway is left over, too. The user's manager looks after neither.
fn a_hook_in_a_unit_watches_nothing(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let text =
        format!("[Service]\n{gateway}ExecStartPre={} --json {port}\nKillMode=process\nRestart=always\n", sd.program());
    let unit = sd.unit("gw.service", &text);
    unit.start();
    let leftover = sd.process(sd.until_answers(port));
    unit.stop();
    unit.start();
    leftover.has_ended();
    let line = unit.until_line("the document", |line| line.message.contains("\"cleared\""));
    let document = schema::document(&line.message).unwrap();
    is_unwatched(&document["ports"][0]);
    assert_ne!(sd.until_answers(port), leftover.pid());
    bystander.answers();
}

#[track_caller]
fn started(shown: &'static str, start: fn(&Home) -> String) -> Supervisor {
    let none = |_: &Supervisor| unreachable!("it looks after nothing");
    let kind = Kind { name: "", shown, start, entry: |_| None, stop: none, returns: Returns::Later };
    Supervisor::start(&kind, Server::Unmarked)
}
