//! What made a healthy process look left over once: a name, a variable, a unit shared with others.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![c05_a_run_of_its_own_making_is_live, b13_a_job_of_a_shared_daemon_owns_nothing];
    cases.push(case!(c05_a_name_that_systemd_escapes_in_the_cgroup, Needs::Systemd));
    cases
}

#[track_caller]
fn is_live(sd: &Sd, port: u16) {
    let run = sd.portclear(&["--json", &port.to_string()]);
    assert_eq!(run.status, 3, "{run}");
    assert_eq!(run.json()["ports"][0]["holders"][0]["rule"], "live", "{run}");
}

/// A unit may give its processes any INVOCATION_ID: a dump of another run's environment, say.
fn c05_a_run_of_its_own_making_is_live(sd: &Sd) {
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

/// cron and sshd run jobs in their own cgroup and clear their environment: such a job is in the unit, and what
/// the unit left behind is none of its business.
fn b13_a_job_of_a_shared_daemon_owns_nothing(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let server = sd.plain(Plain::Python, port);
    let unit = sd.unit("daemon.service", &format!("[Service]\n{server}KillMode=process\n"));
    unit.start();
    let leftover = sd.until_answers(port);
    unit.stop();
    let job = format!("[Service]\nType=oneshot\nExecStart=-/usr/bin/env -i {} {port}\n", sd.program());
    unit.write(&format!("{job}KillMode=process\n"));
    unit.start();
    unit.until_line("what was left alone", |line| line.message.contains("not the service's"));
    assert_eq!(sd.until_answers(port), leftover);
    // The hook of the same unit does own it.
    unit.write(&format!("[Service]\nType=oneshot\nExecStart={} {port}\n", sd.program()));
    let process = sd.process(leftover);
    unit.start();
    process.has_ended();
    bystander.answers();
}

/// The kernel has files like cpu.max in a cgroup, so systemd writes `_cpu.service` there and nowhere else.
fn c05_a_name_that_systemd_escapes_in_the_cgroup() {
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
