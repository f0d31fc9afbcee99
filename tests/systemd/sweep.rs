//! `--sweep` ends all that ended runs of the service left behind. docs/sweep.md shows what it says.

mod left;

use std::collections::BTreeSet;

use serde_json::Value;

use self::left::{LIVE, Left, PAGE};
use super::service::{Service, pids, with_servers};
use super::tree::with_unmarked_child;
use crate::instance::many::{LATE, MANY};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        f01_eighty_six_orphans_end_and_the_live_run_lives,
        f01_orphans_end_where_the_port_is_free,
        f01_the_next_start_ends_them,
        f01_nothing_left_over_is_nothing_to_say,
        f02_late_forks_of_what_is_swept_are_counted,
        e05_out_of_descriptors_for_the_sweep_the_ports_are_still_cleared,
        e05_what_was_swept_is_told_where_the_rest_cannot_be_counted,
    ]
}

fn f01_eighty_six_orphans_end_and_the_live_run_lives(sd: &Sd) {
    let bystander = sd.bystander();
    let mut left = Left::behind(sd, true);
    let port = left.port.to_string();
    let listener = sd.process(sd.until_answers(left.port));
    let hook = left.service.hook(&port);
    let main = left.go_on(&hook);
    listener.has_ended();
    let journal = left.journal();
    assert!(journal.contains("; 28 processes that it started are still running, with "), "{journal}");
    left.is_on_the_page(0, &journal);
    let all = pids(&left.unit);
    assert!(all.is_superset(&left.orphans));
    let live: BTreeSet<u32> = all.difference(&left.orphans).copied().collect();
    assert_eq!((live.len(), live.contains(&main)), (1 + LIVE, true));

    let run = left.service.portclear(&["--dry-run", "--json", "--sweep", &port]);
    assert_eq!(run.status, 3, "{run}");
    left.are_in(&run, "stale-leftover", "untouched", &[]);
    left.lives(main, &all);

    let run = left.service.portclear(&["--sweep", &port]);
    assert_eq!(run.status, 3, "{run}");
    left.lives(main, &live);
    // On one screen the refusal of the port comes first.
    left.is_on_the_page(1, &format!("{}{}", run.stderr, run.stdout));
    assert!(PAGE.contains(&format!("$ echo $?\n{}\n", run.status)));
    bystander.answers();
}

fn f01_orphans_end_where_the_port_is_free(sd: &Sd) {
    let bystander = sd.bystander();
    let mut left = Left::behind(sd, false);
    let main = left.go_on("");
    let live: BTreeSet<u32> = pids(&left.unit).difference(&left.orphans).copied().collect();
    assert_eq!(live.len(), 1 + LIVE);
    let run = left.service.portclear(&["--sweep", "--json", &sd.port().to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "free", "{run}");
    left.are_in(&run, "stale-leftover", "ended", &["SIGTERM"]);
    left.lives(main, &live);
    bystander.answers();
}

fn f01_the_next_start_ends_them(sd: &Sd) {
    let bystander = sd.bystander();
    let mut left = Left::behind(sd, false);
    let hook = left.service.hook(&format!("--sweep {}", left.port));
    let main = left.go_on(&hook);
    let live = pids(&left.unit);
    assert!(live.is_disjoint(&left.orphans));
    assert_eq!(live.len(), 1 + LIVE);
    left.lives(main, &live);
    let journal = left.journal();
    assert_eq!(journal.lines().count(), 4, "a line for each run, and one for all: {journal}");
    left.is_on_the_page(2, &journal);
    bystander.answers();
}

fn f01_nothing_left_over_is_nothing_to_say(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, port) = (Service::new(sd), sd.port());
    let free = sd.port().to_string();
    let gateway = sd.install(with_servers(service.gateway(port), 2));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{}", service.hook(&format!("--sweep {port}"))));
    unit.start();
    let pids = pids(&unit);
    sd.until_answers(port);
    let quiet = service.portclear(&["--sweep", &free]);
    assert_eq!((quiet.status, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""), "{quiet}");
    let told = service.portclear(&["--sweep", "--verbose", &free]);
    let said = format!("portclear: port {free}: free\nportclear: sweep: nothing is left over\n");
    assert_eq!((told.status, told.stdout.as_str()), (0, said.as_str()), "{told}");
    let document = service.portclear(&["--sweep", "--json", &free]).json();
    assert_eq!(document["swept"]["status"], "nothing", "{document:#}");
    assert_eq!(document["swept"]["processes"], Value::Array(vec![]), "{document:#}");
    assert_eq!(super::service::pids(&unit), pids);
    assert_eq!(unit.journal_of("portclear"), []);
    bystander.answers();
}

/// The descriptors do not suffice for all of them, and no port is cleared that could count them.
fn f02_late_forks_of_what_is_swept_are_counted(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [port, free]) = (Service::new(sd), [(); 2].map(|()| sd.port()));
    let late = ["/usr/bin/python3", "-c", LATE, &MANY.to_string(), "late"];
    let gateway = sd.install(service.gateway(port).spawns(&late));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    sd.until_answers(port);
    until("armed", || pids(&unit).into_iter().any(|pid| sd.process(pid).stat().comm == "armed"));
    unit.stop();
    let [armed] = pids(&unit).into_iter().collect::<Vec<_>>()[..] else { panic!("{:?}", pids(&unit)) };
    let hook = service.hook(&format!("--tree --sweep --json {free}"));
    let program = hook.trim().trim_start_matches("ExecStartPre=").split(' ');
    let argv: Vec<&str> = ["prlimit", "--nofile=64:64", "--"].into_iter().chain(program).collect();
    let run = sd.spawn(sd.uid(), &argv).finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.process(armed)["outcome"], "ended", "{run}");
    let (left, others) = (pids(&unit).len(), run.processes().len() - 1);
    assert!(others > 5 && others + left == MANY, "{others} of them, {left} left: {run}");
    assert_eq!(run.json()["swept"]["remainder"]["count"], left, "{run}");
    bystander.answers();
}

/// The descriptors do not suffice for all that is left over, and the last eight that got some are let go of again. One in
/// eight is the launcher of a listener that is ended for its port, so one of the launchers is among the last.
fn e05_out_of_descriptors_for_the_sweep_the_ports_are_still_cleared(sd: &Sd) {
    const EACH: usize = 7;
    let bystander = sd.bystander();
    let (service, ports) = (Service::new(sd), [(); 6].map(|()| sd.port()));
    let left = ports.map(|port| {
        let gateway = sd.install(with_servers(service.gateway(port), EACH).forks_listener());
        let unit = sd.unit(&format!("gw{port}.service"), &format!("[Service]\n{gateway}KillMode=none\n"));
        unit.start();
        let (listener, launcher) = (sd.until_answers(port), unit.main_pid());
        assert_ne!(listener, launcher);
        unit.stop();
        assert_eq!(pids(&unit).len(), EACH + 2);
        (unit, launcher, listener, gateway)
    });
    let ports = ports.map(|port| port.to_string());
    let hook = service.hook(&format!("--sweep --json {}", ports.join(" ")));
    let program = hook.trim().trim_start_matches("ExecStartPre=").split(' ');
    let argv: Vec<&str> = ["prlimit", "--nofile=64:64", "--"].into_iter().chain(program).collect();
    let run = sd.spawn(sd.uid(), &argv).finish();
    assert_eq!(run.status, 0, "{run}");
    for (_, launcher, listener, _) in &left {
        said(&run, *listener, ["holder", "stale-leftover", "ended"], &["SIGTERM"]);
        said(&run, *launcher, ["launcher", "stale-leftover", "ended"], &["SIGTERM"]);
    }
    // They did not suffice, so the run says something.
    let servers: usize = left.iter().map(|(unit, ..)| pids(unit).len()).sum();
    assert!(servers > 0 && servers < EACH * ports.len(), "{servers} left: {run}");
    bystander.answers();
}

/// The wait for what stays behind fails. What was signalled before that is told all the same.
fn e05_what_was_swept_is_told_where_the_rest_cannot_be_counted(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [port, free]) = (Service::new(sd), [(); 2].map(|()| sd.port()));
    let (unit, [gateway, marked, stays], _files) = with_unmarked_child(sd, &service, port);
    let mut run = service.traced(&["--sweep", "--json", &free.to_string()]);
    run.run_to(libc::SYS_pidfd_send_signal);
    run.run_to_call(libc::SYS_pidfd_open, |call| call[0] == u64::from(stays));
    run.fail_wait();
    let run = run.finish();
    assert_eq!(run.status, 1, "{run}");
    let document = run.json();
    assert_eq!((&document["exit"], &document["ports"][0]["status"]), (&1.into(), &"free".into()), "{run}");
    let swept = &document["swept"];
    let why =
        "could not find out what ended runs left behind: cannot wait for a process: Invalid argument (os error 22)";
    assert_eq!([&swept["status"], &swept["sentence"]], ["error", why], "{run}");
    assert_eq!(swept["processes"].as_array().map(Vec::len), Some(2), "{run}");
    for pid in [gateway, marked] {
        said(&run, pid, ["leftover", "stale-leftover", "ended"], &["SIGTERM"]);
    }
    assert_eq!(unit.signals_of(gateway), ["TERM"]);
    assert_eq!(pids(&unit), BTreeSet::from([stays]));
    bystander.answers();
}
