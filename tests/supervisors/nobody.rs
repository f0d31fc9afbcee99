//! Programs that start a gateway and do not look after it: shells, npm, terminal multiplexers, cron. What they leave is
//! stale. Some of them start it again all the same, and portclear says so.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::net::ask;
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor, answering};
use crate::support::wait::for_a_second;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_loop_that_starts_it_again_is_named, Needs::Node),
        case!(a_slow_loop_is_said_to_be_there, Needs::Node),
        case!(a_slow_loop_is_waited_for_as_long_as_asked, Needs::Node),
        case!(without_time_to_settle_nothing_is_watched, Needs::Node),
        case!(a_launcher_that_nobody_knows_is_named, Needs::Node),
        case!(npm_start_ends_with_it, Needs::Node, Needs::Supervisor("npm")),
        case!(the_primary_of_a_cluster_ends_with_its_workers, Needs::Node),
        case!(tmux_ends_with_its_last_window, Needs::Node, Needs::Supervisor("tmux")),
        case!(tmux_with_another_window_is_said_to_be_there, Needs::Node, Needs::Supervisor("tmux")),
        case!(a_loop_in_tmux_is_named, Needs::Node, Needs::Supervisor("tmux")),
        case!(screen_ends_with_its_last_window, Needs::Root, Needs::Node, Needs::Supervisor("screen")),
        case!(after_nohup_there_is_nobody, Needs::Node),
        case!(monit_is_not_seen, Needs::Node, Needs::Supervisor("monit")),
        case!(cron_is_said_to_be_there, Needs::Root, Needs::Node, Needs::Supervisor("cron")),
    ]
}

/// Something that starts a gateway by `start`. `shown` is a part of its command line, and of no other one.
#[track_caller]
fn started(shown: &'static str, start: fn(&Home) -> String) -> Supervisor {
    let none = |_: &Supervisor| unreachable!("it looks after nothing");
    let kind = Kind { name: "", shown, start, entry: |_| None, stop: none, returns: Returns::Later };
    Supervisor::start(&kind, Server::Unmarked)
}

/// Runs portclear. The gateway was stale, and has ended. Gives what the document says of the port.
#[track_caller]
fn ended_as_stale(there: &Supervisor, more: &[&str]) -> (Run, Value) {
    let pid = answering(GATEWAY);
    let process = Proc::of(there.outer(pid));
    let run = there.portclear(&[&JSON, more].concat());
    let holder = run.process(pid);
    assert_eq!((&holder["rule"], &holder["outcome"]), (&json!("stale-instance"), &json!("ended")), "{run}");
    assert_eq!((run.sent(pid), &holder["supervisor"]), (vec!["SIGTERM".to_owned()], &json!(null)), "{run}");
    process.has_ended();
    let port = run.json()["ports"][0].take();
    (run, port)
}

/// The port is free, and stays so. Nobody is named who may start it again.
#[track_caller]
fn nobody_returns(run: &Run, port: &Value) {
    assert_eq!((run.status, &port["starter"], &port["watched_ms"]), (0, &json!(null), &json!(0)), "{run}");
    assert!(!sentence(run).contains("again"), "{run}");
    for_a_second("nobody answers", || ask(GATEWAY).is_err());
}

/// The port is free now, and this process may start the gateway again.
#[track_caller]
fn may_return(run: &Run, port: &Value, starter: u32) {
    assert_eq!((run.status, &port["starter"]["pid"]), (0, &json!(starter)), "{run}");
    assert!(port["watched_ms"].as_u64().is_some_and(|ms| ms >= 1000), "{run}");
    let name = named(&port["starter"]);
    let says = format!("; {name} (pid {starter}) is still there and may start it again");
    assert!(sentence(run).ends_with(&says), "no {says:?}: {run}");
}

/// The name that a sentence has for a process: the file name of its executable.
fn named(starter: &Value) -> &str {
    starter["exe"].as_str().unwrap().rsplit('/').next().unwrap()
}

/// It was started again, by this process.
#[track_caller]
fn has_returned(run: &Run, port: &Value, starter: u32) {
    assert_eq!((run.status, &port["status"]), (6, &json!("respawned")), "{run}");
    assert_eq!(port["starter"]["pid"], starter, "{run}");
    let (pid, name) = (answering(GATEWAY), named(&port["starter"]));
    let says = format!("taken again by node (pid {pid}), started by {name} (pid {starter})");
    assert!(sentence(run).contains(&says), "no {says:?}: {run}");
}

fn a_loop_that_starts_it_again_is_named() {
    let shell = started("loop.sh", |home| looping(home, ""));
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&shell, &[]);
    has_returned(&run, &port, shell.pid());
    bystander.answers();
}

/// A script without a terminal.
fn looping(home: &Home, then: &str) -> String {
    let text = format!("#!/bin/sh\nwhile :; do {}; {then}\ndone\n", home.run());
    format!("exec {}", home.write("loop.sh", &text).display())
}

fn a_slow_loop_is_said_to_be_there() {
    let shell = started("loop.sh", |home| looping(home, "sleep 2"));
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&shell, &[]);
    may_return(&run, &port, shell.pid());
    until("it is started again", || ask(GATEWAY).is_ok());
    bystander.answers();
}

fn a_slow_loop_is_waited_for_as_long_as_asked() {
    let shell = started("loop.sh", |home| looping(home, "sleep 2"));
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&shell, &["--settle", "9s"]);
    has_returned(&run, &port, shell.pid());
    assert!(run.elapsed > Duration::from_secs(2), "{run}");
    bystander.answers();
}

fn without_time_to_settle_nothing_is_watched() {
    let shell = started("loop.sh", |home| looping(home, "sleep 2"));
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&shell, &["--settle", "0s"]);
    assert_eq!((run.status, &port["watched_ms"], &port["starter"]), (0, &json!(0), &json!(null)), "{run}");
    bystander.answers();
}

/// It starts its child again, as a thousand home-made programs do.
fn a_launcher_that_nobody_knows_is_named() {
    let launcher = started("launcher.js", |home| {
        let text = "const { spawn } = require('node:child_process');
const go = () => spawn(process.argv[2], { stdio: 'ignore' }).on('exit', () => setTimeout(go, 100));
go();
";
        format!("exec node {} {}", home.write("launcher.js", text).display(), home.run())
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&launcher, &[]);
    has_returned(&run, &port, launcher.pid());
    bystander.answers();
}

fn npm_start_ends_with_it() {
    let npm = started("npm start", |home| {
        let manifest = json!({ "name": "any", "scripts": { "start": home.run() } });
        home.write("project/package.json", &manifest.to_string());
        format!("cd {}/project; exec npm start", home.path().display())
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&npm, &[]);
    nobody_returns(&run, &port);
    bystander.answers();
}

/// The primary holds the port, and would start a worker again.
fn the_primary_of_a_cluster_ends_with_its_workers() {
    let cluster = started("index.js gateway", |home| {
        let text = "const cluster = require('node:cluster');
if (cluster.isPrimary) {
  cluster.fork();
  cluster.on('exit', () => cluster.fork());
} else {
  const server = require('node:net').createServer((socket) => socket.end(`${process.pid} worker\\n`));
  server.listen(18789, '127.0.0.1');
}
";
        home.write("cluster/package.json", r#"{ "name": "openclaw" }"#);
        let script = home.write("cluster/dist/index.js", text);
        format!("exec node {} gateway --port 18789", script.display())
    });
    let bystander = Bystander::start();
    let worker = Proc::of(cluster.outer(answering(GATEWAY)));
    let primary = cluster.inner(worker.parent());
    let run = cluster.portclear(&JSON);
    cleared(&run, primary, "stale-instance", &["SIGTERM"]);
    worker.has_ended();
    let port = run.json()["ports"][0].take();
    nobody_returns(&run, &port);
    bystander.answers();
}

fn tmux_ends_with_its_last_window() {
    let tmux = started("tmux", |home| {
        format!("exec tmux -f /dev/null -S {}/socket new-session -d {}", home.path().display(), home.run())
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&tmux, &[]);
    nobody_returns(&run, &port);
    bystander.answers();
}

/// It lives on. What it has started for a person, it starts once.
fn tmux_with_another_window_is_said_to_be_there() {
    let tmux = started("tmux", |home| {
        let tmux = format!("tmux -f /dev/null -S {}/socket", home.path().display());
        format!("{tmux} new-session -d 'sleep 600'; exec {tmux} new-window -d {}", home.run())
    });
    let server = Proc::of(tmux.outer(tmux.pid()));
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&tmux, &[]);
    may_return(&run, &port, tmux.pid());
    assert!(server.is_alive(), "{run}");
    for_a_second("nobody answers", || ask(GATEWAY).is_err());
    bystander.answers();
}

/// A shell with a terminal of its own, in which nobody types.
fn a_loop_in_tmux_is_named() {
    let tmux = started("tmux", |home| {
        let tmux = format!("tmux -f /dev/null -S {}/socket", home.path().display());
        format!("exec {tmux} new-session -d 'while :; do {}; done'", home.run())
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&tmux, &[]);
    assert_eq!((run.status, &port["status"]), (6, &json!("respawned")), "{run}");
    assert!(sentence(&run).contains("sh (pid "), "{run}");
    bystander.answers();
}

fn screen_ends_with_its_last_window() {
    let screen = started("SCREEN", |home| {
        let (home, run) = (home.path().display(), home.run());
        format!("mkdir -m 700 {home}/screens; SCREENDIR={home}/screens exec screen -c /dev/null -dmS gateway {run}")
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&screen, &[]);
    nobody_returns(&run, &port);
    bystander.answers();
}

fn after_nohup_there_is_nobody() {
    let shell = started("run", |home| format!("nohup {} >/dev/null 2>&1 &", home.run()));
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&shell, &[]);
    nobody_returns(&run, &port);
    bystander.answers();
}

/// It starts programs in the background, whose parent is PID 1 then. It starts them again in its next round.
fn monit_is_not_seen() {
    let monit = started("monit -I", |home| {
        let (folder, run) = (home.path().display(), home.run());
        home.write("start", &format!("#!/bin/sh\n{run} >/dev/null 2>&1 &\necho $! >{folder}/pid\n"));
        let text = format!(
            "set daemon 1
set pidfile {folder}/monit.pid
set statefile {folder}/monit.state
set idfile {folder}/monit.id
check process gateway with pidfile {folder}/pid
  start program = \"{folder}/start\"
"
        );
        let rules = home.write("rules", &text).display().to_string();
        format!("chmod 600 {rules}; exec monit -I -c {rules}")
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&monit, &[]);
    assert_eq!((run.status, &port["starter"], &port["watched_ms"]), (0, &json!(null), &json!(0)), "{run}");
    bystander.answers();
}

/// It will start the gateway again when its time comes.
fn cron_is_said_to_be_there() {
    let cron = started("cron -f", |home| {
        home.write("etc/cron.d/gateway", &format!("@reboot root {}\n", home.run()));
        let groups = fs::read_to_string("/etc/group").unwrap();
        home.write("etc/group", &format!("{groups}crontab:x:65533:\n"));
        let home = home.path().display();
        format!(
            "set -e
chmod 644 {home}/etc/cron.d/gateway
mount -t overlay -o lowerdir={home}/etc:/etc overlay /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/spool
exec cron -f"
        )
    });
    let bystander = Bystander::start();
    let (run, port) = ended_as_stale(&cron, &[]);
    may_return(&run, &port, cron.pid());
    bystander.answers();
}
