//! A process that was moved out of a unit's cgroup outlives the unit.

use std::collections::BTreeSet;
use std::fs;

use procfs::process::all_processes;

use super::claims::told;
use super::service::{LAUNCHER, Service, pids, shell, with_servers};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        f05_a_child_in_a_scope_lives,
        f05_a_child_in_a_cgroup_below_the_units_lives,
        f05_what_is_moved_away_before_its_signal_lives,
    ]
}

fn f05_a_child_in_a_scope_lives(sd: &Sd) {
    let manager = if sd.manager() == Manager::User { "--user" } else { "--system" };
    let scope = sd.named("own.scope");
    let unit = format!("--unit={}", scope.name());
    let moved = ["systemd-run", manager, "--scope", "--quiet", &unit, "--", "/bin/sleep", "infinity"];
    lives_elsewhere(sd, &moved, "");
    assert_eq!(scope.pids().len(), 1);
}

fn f05_a_child_in_a_cgroup_below_the_units_lives(sd: &Sd) {
    let script = r#"
own=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/own
mkdir "$own" && echo $$ >"$own/cgroup.procs" && exec /bin/sleep infinity
"#;
    lives_elsewhere(sd, &["/bin/sh", "-c", script], "Delegate=yes\n");
}

/// A leftover gateway has two children. `moved` is the one that leaves the cgroup.
#[track_caller]
fn lives_elsewhere(sd: &Sd, moved: &[&str], more: &str) {
    let bystander = sd.bystander();
    let (service, port) = (Service::new(sd), sd.port());
    let gateway = sd.install(with_servers(service.gateway(port).spawns(moved), 1).behind(&LAUNCHER));
    let hook = service.hook(&format!("--tree --sweep {port}"));
    let text = format!("[Service]\n{gateway}NotifyAccess=all\nKillMode=process\n{more}{hook}");
    let unit = sd.unit("gw.service", &text);
    unit.start();
    let holder = sd.process(sd.until_answers(port));
    let cgroup = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let own = cgroup(holder.pid());
    let children = || -> Vec<Proc> {
        let stats = all_processes().expect("/proc").flatten().filter_map(|process| process.stat().ok());
        let children = stats.filter(|stat| stat.ppid.try_into() == Ok(holder.pid()) && stat.comm == "sleep");
        let children = children.map(|stat| Proc::of(stat.pid.try_into().unwrap())).inspect(Proc::keep);
        children.collect()
    };
    until("both have begun", || children().len() == 2);
    let (near, elsewhere): (Vec<Proc>, Vec<Proc>) =
        children().into_iter().partition(|child| cgroup(child.pid()) == own);
    let ([near], [elsewhere]) = (&near[..], &elsewhere[..]) else { panic!("one left the cgroup") };
    unit.stop();
    assert!(elsewhere.is_alive() && near.is_alive());

    let run = service.portclear(&["--tree", "--sweep", "--json", &port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    holder.has_ended();
    near.has_ended();
    assert!(elsewhere.is_alive(), "{run}");
    assert_eq!(run.processes().len(), 2, "{run}");
    for remainder in [&run.json()["ports"][0]["remainder"], &run.json()["swept"]["remainder"]] {
        assert_eq!(remainder["count"], 0, "it was to outlive: {run}");
    }
    // Its parent is gone now. Its run does not end it either, and it is no leftover of the unit.
    unit.start();
    assert!(elsewhere.is_alive());
    assert_eq!(unit.journal_of("portclear"), []);
    sd.until_answers(port);
    unit.stop();
    unit.start();
    assert!(elsewhere.is_alive());
    unit.until_line("the hook ends the others", |line| line.message.contains(": cleared, "));
    bystander.answers();
}

fn f05_what_is_moved_away_before_its_signal_lives(sd: &Sd) {
    let bystander = sd.bystander();
    moved_away(sd, "sweep", "leftover stale-leftover");
    // Only its parent tells whose it is, and nothing else about it has changed.
    moved_away(sd, "tree", "offspring tree");
    bystander.answers();
}

/// Its turn comes after the process above it is gone. By then it has moved to where it outlives the unit. The drain is
/// shorter than half the grace, and long enough for a slow look at the journal.
#[track_caller]
fn moved_away(sd: &Sd, option: &str, was: &str) {
    let (service, [own, port, free]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let sweeps = option == "sweep";
    let mut below = service.gateway(port).package("mcp");
    if !sweeps {
        below = below.env("SWEPT_SERVICE", "");
    }
    let below = sd.install(below);
    let between = sd.install(shell(&service, own, &[&below]).on_term(OnTerm::Drain(4000)));
    let top = sd.install(shell(&service, free, &[&between]));
    let unit = sd.unit(&format!("{option}.service"), &format!("[Service]\n{top}KillMode=process\n"));
    unit.start();
    let [moved, above, main] = [port, own, free].map(|port| sd.until_answers(port));
    unit.stop();
    assert!(!pids(&unit).contains(&main));
    let name = format!("{option}.scope");
    let scope = sd.named(&name);
    let _scope = sd.scope(&name, &["/bin/sleep", "infinity"]);
    until("the scope", || !scope.show("ControlGroup").is_empty());
    let folder = sd.path(&format!("/sys/fs/cgroup{}", scope.show("ControlGroup")));
    let process = sd.process(moved);
    let hook = service.hook(&format!("--{option} --json {}", if sweeps { free } else { own }));
    let argv: Vec<&str> = hook.trim().trim_start_matches("ExecStartPre=").split(' ').collect();
    let running = sd.spawn(sd.uid(), &argv);
    until("asked", || unit.signals_of(above) == ["TERM"]);
    fs::write(folder.join("cgroup.procs"), process.pid().to_string()).unwrap();
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    let asked = if sweeps { "leftover" } else { "holder" };
    assert_eq!(told(&run, above), format!("{asked} stale-leftover ended SIGTERM"), "{run}");
    assert_eq!(told(&run, moved), format!("{was} changed"), "{run}");
    assert_eq!(sd.until_answers(port), moved);
    assert_eq!(pids(&unit), BTreeSet::new());
}
