//! A launcher that a unit has left over ends with its listener. What the leftover started ends with `--tree`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::service::{LAUNCHER, Service, pids, with_servers};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        b04_a_launcher_that_is_left_over_ends_with_its_listener,
        f02_what_lost_its_parent_ends_with_its_run,
        f02_what_stays_behind_is_counted,
        f02_an_unmarked_child_is_told_by_its_parent_alone,
    ]
}

/// The document that the hook of the last start wrote.
#[track_caller]
fn document(unit: &Unit<'_>) -> Value {
    let line = unit.until_line("the document", |line| line.message.contains(r#""status":"cleared""#));
    assert_eq!(line.identifier, "portclear");
    schema::document(&line.message).unwrap()
}

/// The role, rule, outcome and signals of each process in a list.
fn all_told(list: &Value) -> Vec<(u32, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let told = |process: &Value| {
        let signals = process["signals"].as_array().unwrap().iter().map(|signal| text(&signal["signal"]));
        let fields = ["role", "rule", "outcome"].map(|key| text(&process[key]));
        let pid = process["pid"].as_u64().unwrap().try_into().unwrap();
        (pid, [&fields[..], &signals.collect::<Vec<_>>()].concat().join(" "))
    };
    let mut told: Vec<_> = list.as_array().expect("a list").iter().map(told).collect();
    told.sort();
    told
}

fn b04_a_launcher_that_is_left_over_ends_with_its_listener(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    // It lives long enough after its signal for the journal to know whose line it is.
    let gateway = sd.install(sd.gateway(port).forks_listener().on_term(OnTerm::Drain(300)));
    let hook = format!("ExecStartPre={} --json {port}\nKillMode=none\n", sd.program());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{hook}"));
    unit.start();
    let (listener, launcher) = (sd.until_answers(port), unit.main_pid());
    assert_ne!(listener, launcher);
    unit.stop();
    assert_eq!(pids(&unit), BTreeSet::from([launcher, listener]));
    let run = sd.portclear(&["--dry-run", "--json", &port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let would = |role: &str| format!("{role} stale-leftover untouched");
    assert_eq!(all_told(&run.json()["ports"][0]["holders"]), [(listener, would("holder"))], "{run}");
    assert_eq!(all_told(&run.json()["ports"][0]["members"]), [(launcher, would("launcher"))], "{run}");

    let processes = [launcher, listener].map(|pid| sd.process(pid));
    unit.start();
    for process in &processes {
        process.has_ended();
    }
    let document = document(&unit);
    let port_told = &document["ports"][0];
    assert_eq!(all_told(&port_told["holders"]), [(listener, "holder own-unit ended SIGTERM".to_owned())]);
    assert_eq!(all_told(&port_told["members"]), [(launcher, "launcher own-unit ended SIGTERM".to_owned())]);
    // The launcher is gone before the listener is asked.
    let (gone, asked) =
        (&port_told["members"][0]["ended_after_ms"], &port_told["holders"][0]["signals"][0]["after_ms"]);
    assert!(gone.as_u64().unwrap() <= asked.as_u64().unwrap(), "{document:#}");
    assert_eq!(port_told["sentence"], "cleared, 2 processes ended; a bind proves it");
    assert_eq!([launcher, listener].map(|pid| unit.signals_of(pid)), [["TERM"], ["TERM"]]);
    assert!(pids(&unit).is_disjoint(&BTreeSet::from([launcher, listener])));
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    bystander.answers();
}

/// Two runs have ended, and each left what it had started. The second one also left a child on the port. Gives what
/// the first one left, the child, and what the second one left.
#[track_caller]
fn two_runs<'a>(sd: &'a Sd, port: u16, hook: &str) -> (Unit<'a>, BTreeSet<u32>, u32, BTreeSet<u32>, [Installed; 2]) {
    let unit = sd.named("gw.service");
    let files =
        [sd.install(with_servers(sd.gateway(port), 2)), sd.install(with_servers(sd.gateway(port), 3).forks_listener())];
    let mut left = BTreeSet::new();
    let [earlier, later] = files.each_ref().map(|gateway| {
        unit.write(&format!("[Service]\n{gateway}KillMode=process\n{hook}"));
        unit.start();
        let answers = sd.until_answers(port);
        unit.stop();
        let all = pids(&unit);
        let new: BTreeSet<u32> = all.difference(&left).copied().collect();
        left = all;
        (answers, new)
    });
    let (holder, mut later) = later;
    assert!(later.remove(&holder));
    assert_eq!((earlier.1.len(), later.len()), (2, 3));
    let above = sd.outer(holder);
    assert!(later.iter().all(|pid| sd.process(*pid).parent() != above), "they have lost their parent");
    (unit, earlier.1, holder, later, files)
}

fn f02_what_lost_its_parent_ends_with_its_run(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let hook = format!("ExecStartPre={} --tree --json {port}\n", sd.program());
    let (unit, earlier, holder, later, _files) = two_runs(sd, port, &hook);
    unit.start();
    let now = pids(&unit);
    assert!(now.is_superset(&earlier), "another run's are not of its tree");
    assert!(now.is_disjoint(&later) && !now.contains(&holder));
    let document = document(&unit);
    let port_told = &document["ports"][0];
    assert_eq!(all_told(&port_told["holders"]), [(holder, "holder own-unit ended SIGTERM".to_owned())]);
    let expected: Vec<_> = later.iter().map(|pid| (*pid, "offspring own-unit ended SIGTERM".to_owned())).collect();
    assert_eq!(all_told(&port_told["members"]), expected, "{document:#}");
    assert_eq!(port_told["sentence"], "cleared, 4 processes ended; a bind proves it");
    assert_eq!(port_told["remainder"]["count"], 0, "{document:#}");
    assert_eq!(unit.signals_of(holder), ["TERM"]);
    assert!(now.contains(&sd.until_answers(port)));
    bystander.answers();
}

fn f02_what_stays_behind_is_counted(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let hook = format!("ExecStartPre={} {port}\n", sd.program());
    let (unit, earlier, holder, later, _files) = two_runs(sd, port, &hook);
    let run = sd.portclear(&["--dry-run", "--json", &port.to_string()]);
    let rss = |pid: &u32| sd.process(*pid).stat().rss * rustix::param::page_size() as u64;
    let rss: u64 = later.iter().map(rss).sum();
    let remainder = &run.json()["ports"][0]["remainder"];
    assert_eq!(remainder["count"], 3, "{run}");
    let bytes = remainder["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes <= rss, "{rss}: {run}");
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    let would =
        format!("would be cleared: 1 stale process; 3 processes that it started may live on, with {mebibytes:.1} MiB");
    let sentence = run.json()["ports"][0]["sentence"].as_str().unwrap().to_owned();
    assert!(sentence == would, "{sentence}");

    unit.start();
    let now = pids(&unit);
    assert!(now.is_superset(&earlier) && now.is_superset(&later) && !now.contains(&holder));
    let begin = format!(
        "portclear: port {port}: cleared, 1 process ended; a bind proves it; 3 processes that it started are still running, with "
    );
    let line = unit.until_line("what stays", |line| line.message.starts_with(&begin));
    let how = " (--tree would have ended those as well; --sweep ends those that carry the marker)";
    assert!(line.message.ends_with(how), "{line:?}");
    assert_eq!(line.priority, 5, "{line:?}");
    assert_eq!(unit.journal_of("portclear").len(), 2);
    bystander.answers();
}

/// A leftover gateway with two children. One of them has neither marker nor run. Gives the gateway, the marked child
/// and the other one.
#[track_caller]
pub(super) fn with_unmarked_child<'a>(sd: &'a Sd, service: &Service<'_>, port: u16) -> (Unit<'a>, [u32; 3], Installed) {
    let unmarked = ["/usr/bin/env", "-i", "/bin/sleep", "infinity"];
    let gateway = with_servers(service.gateway(port), 1).spawns(&unmarked).behind(&LAUNCHER);
    let gateway = sd.install(gateway);
    let text = format!("[Service]\n{gateway}NotifyAccess=all\nKillMode=process\n");
    let unit = sd.unit(&format!("gw{port}.service"), &text);
    unit.start();
    let holder = sd.until_answers(port);
    unit.stop();
    let mut children = [None, None];
    for pid in pids(&unit).into_iter().filter(|pid| *pid != holder) {
        let process = sd.process(pid);
        until("it has executed", || process.exe().is_some_and(|exe| exe.ends_with("sleep")));
        let environ = std::fs::read(format!("/proc/{}/environ", process.pid())).unwrap();
        assert_eq!(process.parent(), sd.outer(holder));
        assert_eq!(children[usize::from(environ.is_empty())].replace(pid), None);
    }
    let [marked, unmarked] = children.map(|pid| pid.expect("a child"));
    (unit, [holder, marked, unmarked], gateway)
}

fn f02_an_unmarked_child_is_told_by_its_parent_alone(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, port) = (Service::new(sd), sd.port());
    let (unit, [holder, marked, unmarked], _files) = with_unmarked_child(sd, &service, port);
    let run = service.portclear(&["--tree", "--json", &port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let ended = |role: &str| format!("{role} ended SIGTERM");
    assert_eq!(all_told(&run.json()["ports"][0]["holders"]), [(holder, ended("holder stale-leftover"))], "{run}");
    let mut members = [(marked, ended("offspring stale-leftover")), (unmarked, ended("offspring tree"))];
    members.sort();
    assert_eq!(all_told(&run.json()["ports"][0]["members"]), members, "{run}");
    assert_eq!(pids(&unit), BTreeSet::new());

    let port = sd.port();
    let (unit, [holder, marked, unmarked], _files) = with_unmarked_child(sd, &service, port);
    let run = service.portclear(&["--sweep", "--json", &sd.port().to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let mut swept = [holder, marked].map(|pid| (pid, ended("leftover stale-leftover")));
    swept.sort();
    assert_eq!(all_told(&run.json()["swept"]["processes"]), swept, "{run}");
    assert_eq!(run.json()["swept"]["remainder"]["count"], 1, "{run}");
    assert_eq!(pids(&unit), BTreeSet::from([unmarked]));
    bystander.answers();
}
