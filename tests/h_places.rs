//! B06, C05. Whose a process is where systemd is missing, or is not the one that the caller knows.

use std::fs;

use crate::f_launcher::{lives, said};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(b06_by_hand_on_a_machine_without_systemd)]
}

const JSON: [&str; 2] = ["18789", "--json"];

/// Until the unified hierarchy is first mounted, no process has a line of it.
fn b06_by_hand_on_a_machine_without_systemd() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    for (lines, status) in [("2:cpu,cpuacct:/\n1:name=openrc:/sshd\n", 0), ("", 0), ("2\n", 4)] {
        let gateway = Fixture::gateway().inside(&namespace).start();
        let file = gateway.root().join("cgroup");
        fs::write(&file, lines).unwrap();
        namespace.sh(&format!("mount --bind {} /proc/{}/cgroup", file.display(), gateway.inner_pid()));
        let run = Portclear::new(&JSON).inside(&namespace).run();
        assert_eq!(run.status, status, "{lines:?}: {run}");
        if status == 0 {
            said(&run, gateway.inner_pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
            assert_eq!(run.process(gateway.inner_pid())["liveness"], "unsupervised", "{run}");
            gateway.has_ended();
        } else {
            said(&run, gateway.inner_pid(), ["holder", "unknown", "untouched"], &[]);
            lives(&run, &gateway);
            gateway.answers();
        }
    }
    bystander.answers();
}
