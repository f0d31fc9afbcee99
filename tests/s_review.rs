//! What a run is on record by, where it is not the name of its cgroup.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::sd::both;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        c05_a_unit_with_a_new_name_is_live,
        b03_a_unit_with_a_new_name_clears_what_its_old_one_left,
        a05_what_a_live_run_put_into_a_scope,
        a05_what_was_started_in_a_scope_of_its_own,
        a05_whose_listener_a_manager_holds,
    ]
}

fn judge(sd: &Sd, arguments: &[&str]) -> Run {
    sd.portclear(&[&["--json"], arguments].concat())
}

/// A new file, and the old name as a link to it: an upgrade of a product that has been given another name.
fn renamed<'a>(sd: &'a Sd, old: &Unit<'_>, text: &str) -> Unit<'a> {
    old.remove();
    let new = sd.named("new.service");
    symlink(new.name(), sd.unit_folder().join(old.name())).unwrap();
    new.write(text);
    new
}

fn c05_a_unit_with_a_new_name_is_live(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let text = |server: &Installed| format!("[Service]\n{server}KillMode=process\n");
    let before = sd.install(sd.gateway(port).spawns(&["/bin/sleep", "1000"]));
    let old = sd.unit("old.service", &text(&before));
    old.start();
    old.stop();
    let left = old.pids();
    assert_eq!(left.len(), 1);
    let now = sd.install(sd.gateway(port));
    let new = renamed(sd, &old, &text(&now));
    new.start();
    let pid = sd.until_answers(port);
    // What is left keeps the cgroup of the old name, and the new run is put there.
    assert!(new.show("ControlGroup").ends_with(old.name()));

    let run = judge(sd, &[&port.to_string()]);
    assert_eq!((run.status, &run.process(pid)["rule"]), (3, &"live".into()), "{run}");
    // Root would end what other tests have left over.
    let run = judge(sd, &["--sweep", "--dry-run", &sd.port().to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let swept = run.json()["swept"]["processes"].as_array().unwrap().clone();
    let swept: Vec<u64> = swept.iter().filter_map(|process| process["pid"].as_u64()).collect();
    assert!(swept.contains(&left[0].into()) && !swept.contains(&pid.into()), "{run}");
    assert_eq!((sd.until_answers(port), new.main_pid()), (pid, pid));
    assert_eq!(new.signals_of(pid), [""; 0]);
    bystander.answers();
}

fn b03_a_unit_with_a_new_name_clears_what_its_old_one_left(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let hook = format!("ExecStartPre={} {port}\nKillMode=process\n", sd.program());
    let plain = sd.plain(Plain::Python, port);
    let old = sd.unit("old.service", &format!("[Service]\n{plain}{hook}"));
    old.start();
    let left = sd.process(sd.until_answers(port));
    old.stop();
    assert!(left.is_alive());
    let new = renamed(sd, &old, &format!("[Service]\n{plain}{hook}"));
    new.start();
    left.has_ended();
    bystander.answers();
}

/// Lost to its parent, in a scope, and with a script that tells nothing.
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

/// With the run of what started it, as tmux does, which is moved to a scope without an exec.
fn a05_what_a_live_run_put_into_a_scope(sd: &Sd) {
    let bystander = sd.bystander();
    let (gateway, _server, web) = in_a_scope(sd, "INVOCATION_ID=$INVOCATION_ID");
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = sd.until_answers(web);
    let number = web.to_string();
    let run = judge(sd, &[&number]);
    let holder = run.process(pid);
    let told = (run.status, &holder["rule"], &holder["identity"], &holder["unit"]);
    assert_eq!(told, (3, &"live".into(), &"instance".into(), &Value::Null), "{run}");
    let said = run.json()["ports"][0]["sentence"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("unit {}", crate::s_live::called(sd, &unit))), "{said}");
    assert_eq!(sd.until_answers(web), pid);

    unit.stop();
    let run = judge(sd, &[&number]);
    assert_eq!((run.status, &run.process(pid)["rule"]), (0, &"stale-instance".into()), "{run}");
    bystander.answers();
}

fn a05_what_was_started_in_a_scope_of_its_own(sd: &Sd) {
    let bystander = sd.bystander();
    let (gateway, _server, web) = in_a_scope(sd, "A=B");
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = sd.until_answers(web);
    let run = judge(sd, &["--live", &web.to_string()]);
    let holder = run.process(pid);
    let told = (run.status, &holder["rule"], &holder["liveness"]);
    assert_eq!(told, (3, &"offspring".into(), &"unsupervised".into()), "{run}");
    assert_eq!(sd.until_answers(web), pid);
    let run = judge(sd, &["--offspring", &web.to_string()]);
    assert_eq!((run.status, &run.process(pid)["rule"]), (0, &"end-offspring".into()), "{run}");
    bystander.answers();
}

fn a05_whose_listener_a_manager_holds(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let socket = sd.unit("gw.socket", &format!("[Socket]\nListenStream=127.0.0.1:{port}\n"));
    let service = sd.unit("gw.service", "[Service]\nExecStart=/bin/sleep 1000\n");
    socket.start();
    let run = judge(sd, &["--any-owner", "--live", &port.to_string()]);
    let holder = &run.json()["ports"][0]["holders"][0];
    assert_eq!(
        (run.status, &holder["comm"], &holder["rule"]),
        (3, &"systemd".into(), &"protected".into()),
        "{run}"
    );
    assert_eq!(socket.show("ActiveState"), "active");
    assert_eq!(service.show("ActiveState"), "inactive");
    bystander.answers();
}
