//! Nobody looks after a process in a scope or a session, unless a live run put it there.

use serde_json::Value;

use super::claims::{called, fails, hook, is_judged, judge};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        b06_in_a_scope_nobody_looks_after_it,
        b06_in_a_session_nobody_looks_after_it,
        b06_moved_into_a_scope_it_outlives_its_unit,
        a05_what_a_live_run_put_into_a_scope_is_live,
        a05_what_was_started_in_a_scope_of_its_own_is_offspring,
    ]
}

fn b06_in_a_scope_nobody_looks_after_it(sd: &Sd) {
    nobody_looks_after_it(sd, |name, argv| sd.scope(&format!("{name}.scope"), argv));
}

fn b06_in_a_session_nobody_looks_after_it(sd: &Sd) {
    nobody_looks_after_it(sd, |_, argv| sd.session(argv));
}

#[track_caller]
fn nobody_looks_after_it(sd: &Sd, start: impl Fn(&str, &[String]) -> Running) {
    let bystander = sd.bystander();
    let [port, web] = [sd.port(), sd.port()];
    let by_hand = sd.install(sd.gateway(port));
    let _running = start("gw", &by_hand.command());
    let old = sd.until_answers(port);
    let plain = sd.plain(Plain::Python, web);
    let _other = start("web", &plain.command());
    let theirs = sd.until_answers(web);
    let stale = [("identity", "instance"), ("liveness", "unsupervised"), ("rule", "stale-instance")];
    is_judged(sd, port, old, 0, &stale);
    let foreign = [("identity", "foreign"), ("liveness", "unsupervised"), ("rule", "foreign")];
    is_judged(sd, web, theirs, 3, &foreign);
    let run = sd.portclear(&["--dry-run", "--json", &port.to_string()]);
    assert!(run.process(old)["unit"].is_null(), "{run}");

    let process = sd.process(old);
    let server = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{server}{}", hook(sd, port)));
    unit.start();
    process.has_ended();
    assert_eq!(sd.until_answers(port), unit.main_pid());
    let server = sd.install(sd.gateway(web));
    let unit = sd.unit("other.service", &format!("[Service]\n{server}{}", hook(sd, web)));
    fails(&unit, ": spared: not recognised as ");
    assert_eq!(sd.until_answers(web), theirs);
    bystander.answers();
}

fn b06_moved_into_a_scope_it_outlives_its_unit(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let scope = sd.named("moved.scope");
    let manager = if sd.manager() == Manager::User { "--user" } else { "--system" };
    let script = format!("systemd-run {manager} --scope --quiet --unit={} -- \"$@\" & wait", scope.name());
    let gateway = sd.install(sd.gateway(port).behind(&["/bin/sh", "-c", &script, "sh"]));
    // The manager would not take a message from outside the unit's cgroup for the unit's.
    let text = format!("[Service]\n{gateway}Type=exec\n{}", hook(sd, port));
    let unit = sd.unit("gw.service", &text);
    unit.start();
    let old = sd.until_answers(port);
    let process = sd.process(old);
    assert_eq!(scope.pids(), [old]);
    unit.stop();
    assert_eq!(unit.pids(), [0; 0]);
    assert_eq!(sd.until_answers(port), old);
    let stale = [("identity", "instance"), ("liveness", "unsupervised"), ("rule", "stale-instance")];
    is_judged(sd, port, old, 0, &stale);

    unit.start();
    process.has_ended();
    assert_ne!(sd.until_answers(port), old);
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    let line = unit.until_line("what was done", |line| line.message.contains(": cleared of node "));
    assert!(line.message.contains(&format!("(pid {old}, ")) && line.message.contains(", unit -, "), "{line:?}");
    bystander.answers();
}

/// The server has lost its parent, is in a scope, and runs a script that tells nothing.
fn in_a_scope(sd: &Sd, with: &str) -> (Installed, Installed, u16) {
    let [port, web] = [sd.port(), sd.port()];
    let server = sd.install(sd.gateway(web).no_package());
    let manager = if sd.manager() == Manager::User { "--user" } else { "--system" };
    let script = format!("setsid --fork systemd-run {manager} --scope --quiet -- env {with} \"$@\"");
    let command = server.command();
    let mut words = vec!["/bin/sh", "-c", &script, "sh"];
    words.extend(command.iter().map(String::as_str));
    (sd.install(sd.gateway(port).spawns(&words)), server, web)
}

/// It keeps the run of what started it. So does tmux, which is moved to a scope without an exec.
fn a05_what_a_live_run_put_into_a_scope_is_live(sd: &Sd) {
    let bystander = sd.bystander();
    let (gateway, _server, web) = in_a_scope(sd, "INVOCATION_ID=$INVOCATION_ID");
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = sd.until_answers(web);
    let run = judge(sd, web, &[]);
    let holder = run.process(pid);
    let told = (run.status, &holder["rule"], &holder["identity"], &holder["unit"]);
    assert_eq!(told, (3, &"live".into(), &"instance".into(), &Value::Null), "{run}");
    let said = run.json()["ports"][0]["sentence"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("unit {}", called(sd, &unit))), "{said}");
    assert_eq!(sd.until_answers(web), pid);

    unit.stop();
    let run = judge(sd, web, &[]);
    assert_eq!((run.status, &run.process(pid)["rule"]), (0, &"stale-instance".into()), "{run}");
    bystander.answers();
}

fn a05_what_was_started_in_a_scope_of_its_own_is_offspring(sd: &Sd) {
    let bystander = sd.bystander();
    let (gateway, _server, web) = in_a_scope(sd, "A=B");
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = sd.until_answers(web);
    let run = judge(sd, web, &["--live"]);
    let holder = run.process(pid);
    let told = (run.status, &holder["rule"], &holder["liveness"]);
    assert_eq!(told, (3, &"offspring".into(), &"unsupervised".into()), "{run}");
    assert_eq!(sd.until_answers(web), pid);
    let run = judge(sd, web, &["--offspring"]);
    assert_eq!((run.status, &run.process(pid)["rule"]), (0, &"end-offspring".into()), "{run}");
    bystander.answers();
}
