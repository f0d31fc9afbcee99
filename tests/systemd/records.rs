//! The record of a run counts, where a variable, a name or another user's manager could mislead.

use std::os::unix::fs::symlink;

use super::claims::judge;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        c05_a_run_that_the_unit_made_up_is_live,
        c05_a_unit_with_a_new_name_is_live,
        b03_a_unit_with_a_new_name_clears_what_its_old_one_left
    ];
    cases.extend([
        case!(c05_a_name_that_systemd_escapes_in_the_cgroup_is_live, Needs::Systemd),
        case!(d06_a_record_of_another_users_manager_is_no_answer, Needs::Systemd),
    ]);
    cases
}

#[track_caller]
fn is_live(sd: &Sd, port: u16) {
    let run = sd.portclear(&["--json", &port.to_string()]);
    assert_eq!(run.status, 3, "{run}");
    assert_eq!(run.json()["ports"][0]["holders"][0]["rule"], "live", "{run}");
}

/// A unit may give its processes any INVOCATION_ID, such as one from a dump of another run's environment.
fn c05_a_run_that_the_unit_made_up_is_live(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let id = "0123456789abcdef".repeat(2);
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}Environment=INVOCATION_ID={id}\n"));
    unit.start();
    let pid = sd.until_answers(port);
    assert_ne!(unit.invocation().unwrap(), id);
    is_live(sd, port);
    assert_eq!(sd.until_answers(port), pid);
    bystander.answers();
}

/// A cgroup has files like cpu.max. So systemd writes `_cpu.service` there, and nowhere else.
fn c05_a_name_that_systemd_escapes_in_the_cgroup_is_live() {
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let mut start: Vec<String> =
        ["systemd-run", "--quiet", "--collect", "--unit=cpu.service", "--"].map(str::to_owned).to_vec();
    start.extend(gateway.command());
    sd.enter(&start).succeeded();
    let pid = sd.until_answers(port);
    let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", sd.outer(pid))).unwrap();
    assert!(cgroup.contains("/_cpu.service"), "{cgroup}");
    is_live(&sd, port);
    assert_eq!(sd.until_answers(port), pid);
    sd.enter(&["systemctl", "stop", "cpu.service"]).succeeded();
    bystander.answers();
}

/// The unit has a new file, and its old name is a link to that: so an upgrade renames a product.
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
    // The leftover keeps the cgroup of the old name, and systemd puts the new run there.
    assert!(new.show("ControlGroup").ends_with(old.name()));

    let run = judge(sd, port, &[]);
    assert_eq!((run.status, &run.process(pid)["rule"]), (3, &"live".into()), "{run}");
    // Without --dry-run, root would end what other tests have left over.
    let run = judge(sd, sd.port(), &["--sweep", "--dry-run"]);
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

/// The user's process runs in a service of root's own manager, and only root may read that manager's records.
fn d06_a_record_of_another_users_manager_is_no_answer() {
    let [root, user] = [Manager::System, Manager::User].map(Sd::new);
    let bystander = user.bystander();
    let port = user.port();
    let gateway = root.install(root.gateway(port));
    // root's manager runs while root is logged in.
    let _login = root.session(&["sleep", "infinity"]);
    until("root's manager", || root.path("/run/user/0/systemd/private").exists());
    let name = root.named("gw.service").name().to_owned();
    let uid = user.uid();
    let start = ["XDG_RUNTIME_DIR=/run/user/0", "systemd-run", "--user", "--collect"].map(str::to_owned);
    let start = [&["/usr/bin/env".to_owned()], &start[..], &[format!("--unit={name}"), "--".to_owned()]].concat();
    let demoted = ["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "--"];
    let demoted = demoted.map(str::to_owned).to_vec();
    root.enter(&[start, demoted, gateway.command()].concat()).succeeded();
    let pid = root.until_answers(port);
    let process = root.process(pid);
    let reason = spared(&user.portclear(&["--json", &port.to_string()]), 4, pid, "unknown");
    assert_eq!(reason, "systemd's record of its unit may not be read from here");
    for more in ["--live", "--any-owner", "--offspring"] {
        spared(&user.portclear(&["--json", more, &port.to_string()]), 4, pid, "unknown");
    }
    let run = user.portclear(&[&port.to_string()]);
    let said = format!(
        "process {pid} of uid {uid} was left alone: {reason}; next: `sudo {} {port}` (tries again as root, and ends it if it is stale)\n",
        user.program()
    );
    assert!(run.status == 4 && run.stderr.ends_with(&said), "{run}");
    // A caller who may read the record gets the answer.
    let reason = spared(&root.portclear(&["--json", &port.to_string()]), 3, pid, "live");
    assert!(reason.starts_with(&format!("unit {name} of user 0 runs it now; ")), "{reason}");
    assert!(process.is_alive());
    assert_eq!(root.until_answers(port), pid);
    bystander.answers();
}
