//! D12, F01, F02, F05. What a unit has above its gateways, and what once was in the way of a sweep.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::f_sweep::{Service, pids, with_servers};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        f03_of_two_gateways_below_one_shell_one_is_ended,
        d12_a_shell_that_is_left_over_above_a_gateway,
        f01_a_gateway_that_another_service_has_started,
        f05_what_is_moved_away_before_its_signal,
    ];
    cases.push(case!(f01_a_record_that_a_user_has_spoilt, Needs::Systemd));
    cases
}

/// Where one process waits for another in vain, it is for this: the half of the default grace.
const HALF: Duration = Duration::from_secs(5);

/// Marked, of no package of the service, and starts these: what a shell in `ExecStart=` is.
fn shell(service: &Service<'_>, port: u16, below: &[&Installed]) -> Builder {
    let shell = service.gateway(port).package("shell");
    below.iter().fold(shell, |shell, one| {
        let command = one.command();
        shell.spawns(&command.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

fn children(sd: &Sd, unit: &Unit<'_>, of: u32) -> BTreeSet<u32> {
    let of = sd.outer(of);
    pids(unit).into_iter().filter(|pid| sd.process(*pid).parent() == of).collect()
}

fn told(run: &Run, pid: u32) -> String {
    let process = run.process(pid);
    let words = ["role", "rule", "outcome"].map(|key| process[key].as_str().unwrap_or("-").to_owned());
    [&words[..], &run.sent(pid)].concat().join(" ")
}

fn f03_of_two_gateways_below_one_shell_one_is_ended(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [own, one, two]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let files = [one, two].map(|port| sd.install(with_servers(service.gateway(port), 1)));
    let both = sd.install(shell(&service, own, &files.each_ref()));
    let unit = sd.unit("two.service", &format!("[Service]\n{both}"));
    unit.start();
    let main = unit.main_pid();
    let [ended, lives] = [one, two].map(|port| sd.until_answers(port));
    assert_eq!(children(sd, &unit, main), BTreeSet::from([ended, lives]));
    let [server, other] = [ended, lives].map(|gateway| {
        let servers: Vec<u32> = children(sd, &unit, gateway).into_iter().collect();
        let [server] = servers[..] else { panic!("{servers:?}") };
        server
    });
    let run = service.portclear(&["--live", "--tree", "--json", &one.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert!(run.elapsed < HALF, "{run}");
    assert_eq!(run.processes().len(), 2, "{run}");
    assert_eq!(told(&run, ended), "holder end-live ended SIGTERM");
    assert_eq!(told(&run, server), "offspring tree ended SIGTERM");
    assert_eq!(pids(&unit), BTreeSet::from([main, lives, other]), "{run}");
    assert_eq!((sd.until_answers(two), sd.until_answers(own)), (lives, main));
    assert_eq!(unit.signals_of(ended), ["TERM"]);
    for pid in [main, lives] {
        assert_eq!(unit.signals_of(pid), [""; 0], "{run}");
    }
    assert_eq!((unit.main_pid(), unit.show("NRestarts").as_str()), (main, "0"));
    bystander.answers();
}

/// The gateway is below the shell, and the shell is of the gateway's ended run: who is asked first?
fn d12_a_shell_that_is_left_over_above_a_gateway(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [main, own, port]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let gateway = sd.install(with_servers(service.gateway(port), 1));
    let between = sd.install(shell(&service, own, &[&gateway]));
    let top = sd.install(shell(&service, main, &[&between]));
    let unit = sd.unit("gw.service", &format!("[Service]\n{top}KillMode=process\n"));
    for options in [["--tree", "--json"], ["--sweep", "--json"]] {
        unit.start();
        sd.until_answers(main);
        let [shell, gateway] = [own, port].map(|port| sd.until_answers(port));
        assert_eq!(children(sd, &unit, shell), BTreeSet::from([gateway]));
        unit.stop();
        assert_eq!(pids(&unit).len(), 3);
        let run = service.portclear(&[&options[..], &[&port.to_string()]].concat());
        assert_eq!(run.status, 0, "{run}");
        assert!(run.elapsed < HALF, "{run}");
        assert_eq!(told(&run, gateway), "holder stale-leftover ended SIGTERM", "{run}");
        assert_eq!(unit.signals_of(gateway), ["TERM"]);
        // It is left over itself.
        assert_eq!(pids(&unit), BTreeSet::new(), "{run}");
        assert_eq!(unit.signals_of(shell), ["TERM"]);
    }
    bystander.answers();
}

/// As a developer's tool may that runs as a service: nothing marks it as what the service's own runs have left.
fn f01_a_gateway_that_another_service_has_started(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [theirs, ours, free]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let work = |port| service.gateway(port).env("OPENCLAW_PROFILE", "work").forks_listener();
    let files = [
        sd.install(work(theirs).env("SWEPT_SERVICE", "")),
        sd.install(service.gateway(ours).forks_listener()),
    ];
    let left = |name, at: usize, port| {
        let unit = sd.unit(name, &format!("[Service]\n{}KillMode=process\n", files[at]));
        unit.start();
        let holder = sd.until_answers(port);
        unit.stop();
        assert_eq!(pids(&unit), BTreeSet::from([holder]));
        (unit, holder)
    };
    let (host, healthy) = left("host.service", 0, theirs);
    let (gw, leftover) = left("gw.service", 1, ours);
    let run = service.portclear(&["--sweep", "--json", &free.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(told(&run, leftover), "leftover stale-leftover ended SIGTERM");
    assert_eq!(run.processes().len(), 1, "{run}");
    assert_eq!((pids(&gw), pids(&host)), (BTreeSet::new(), BTreeSet::from([healthy])));

    // The hook of a unit of the service, too.
    let (gw, _) = left("gw.service", 1, ours);
    let hook = service.hook(&format!("--sweep {free}"));
    let asking = sd.install(service.gateway(free));
    sd.unit("asking.service", &format!("[Service]\n{asking}{hook}")).start();
    assert_eq!((pids(&gw), pids(&host)), (BTreeSet::new(), BTreeSet::from([healthy])));
    assert_eq!(sd.until_answers(theirs), healthy);
    assert_eq!(host.signals_of(healthy), [""; 0]);
    // On its own port it is what it is.
    let run = service.portclear(&["--dry-run", "--json", &theirs.to_string()]);
    assert_eq!(told(&run, healthy), "holder stale-leftover untouched", "{run}");
    bystander.answers();
}

/// What a user writes into his own folder is no reason to leave root's port alone.
fn f01_a_record_that_a_user_has_spoilt() {
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let bystander = system.bystander();
    let service = Service::new(&system);
    let port = system.port();
    let gateway = system.install(with_servers(service.gateway(port), 2).forks_listener());
    let roots = system.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    let long = format!("{}.service", "x".repeat(205));
    for name in ["link.service", "file.service", &long] {
        let users_port = user.port();
        let files = user.install(with_servers(service.gateway(users_port), 1));
        let users = user.unit(name, &format!("[Service]\n{files}"));
        users.start();
        let theirs = user.until_answers(users_port);
        let record = user.path(&format!("/run/user/4711/systemd/units/invocation:{}", users.name()));
        match name {
            "link.service" => {
                fs::remove_file(&record).unwrap();
                std::os::unix::fs::symlink("garbage", &record).unwrap();
            }
            "file.service" => {
                fs::remove_file(&record).unwrap();
                fs::write(&record, "garbage").unwrap();
            }
            _ => assert!(record.file_name().unwrap().len() > 255),
        }
        let of_user = pids(&users);
        assert_eq!(of_user.len(), 2);
        for sweep in [false, true] {
            roots.start();
            let holder = system.until_answers(port);
            roots.stop();
            assert_eq!(pids(&roots).len(), if sweep { 5 } else { 3 });
            let port = port.to_string();
            let words = if sweep { &["--json", "--sweep", &port][..] } else { &["--json", &port] };
            let run = service.portclear(words);
            assert_eq!(run.status, 0, "{name}: {run}");
            assert_eq!(told(&run, holder), "holder stale-leftover ended SIGTERM", "{name}");
            let left = if sweep { 0 } else { 2 };
            assert_eq!(pids(&roots).len(), left, "{name}: {run}");
            if sweep {
                assert_eq!(run.json()["swept"]["status"], "swept", "{name}: {run}");
                assert_eq!(run.processes().len(), 5, "{name}: {run}");
            }
            assert_eq!(pids(&users), of_user, "{name}: {run}");
        }
        assert_eq!(user.until_answers(users_port), theirs);
        assert_eq!(users.signals_of(theirs), [""; 0]);
    }
    bystander.answers();
}

fn f05_what_is_moved_away_before_its_signal(sd: &Sd) {
    let bystander = sd.bystander();
    moved_away(sd, "sweep", "leftover stale-leftover");
    // Nothing but its parent tells whose it is, and nothing of what it is has changed.
    moved_away(sd, "tree", "offspring tree");
    bystander.answers();
}

/// Its turn comes when what is above it has gone; by then it is where it outlives.
#[track_caller]
fn moved_away(sd: &Sd, option: &str, was: &str) {
    let (service, [own, port, free]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let sweeps = option == "sweep";
    let mut below = service.gateway(port).package("mcp");
    if !sweeps {
        below = below.env("SWEPT_SERVICE", "");
    }
    let below = sd.install(below);
    let between = sd.install(shell(&service, own, &[&below]).on_term(OnTerm::Drain(1500)));
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
