//! `--sweep` ends nothing else: no live run, no other service's leftover, nothing out of reach.

use std::collections::BTreeSet;
use std::fs;

use super::claims::told;
use super::service::{Service, pids, with_servers};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![f01_what_is_not_left_over_lives, f01_a_gateway_that_another_service_has_started_lives];
    cases.extend([
        case!(f01_what_another_user_left_is_out_of_reach, Needs::Systemd),
        case!(f01_a_spoilt_record_changes_nothing, Needs::Systemd),
    ]);
    cases
}

/// These live: a live run of another unit, a leftover of another service, and an instance in no unit.
fn f01_what_is_not_left_over_lives(sd: &Sd) {
    let bystander = sd.bystander();
    let service = Service::new(sd);
    let [port, other, foreign, hand] = [sd.port(), sd.port(), sd.port(), sd.port()];
    let files = [
        sd.install(with_servers(service.gateway(other), 2)),
        sd.install(with_servers(Fixture::other(&format!("127.0.0.1:{foreign}")), 2).forks_listener()),
        sd.install(service.gateway(hand)),
        sd.install(with_servers(service.gateway(port), 2).forks_listener()),
    ];
    let write =
        |name, at: usize, more: &str| sd.unit(name, &format!("[Service]\n{}KillMode=process\n{more}", files[at]));
    let live = write("live.service", 0, "");
    live.start();
    let theirs = write("theirs.service", 1, "");
    theirs.start();
    theirs.stop();
    let by_hand = sd.spawn(sd.uid(), &files[2].command());
    let spared = || {
        let answer = [other, foreign, hand].map(|port| sd.until_answers(port));
        assert!(by_hand.process().is_alive());
        assert_eq!((pids(&live).len(), pids(&theirs).len()), (3, 3));
        assert_eq!(live.signals_of(answer[0]), [""; 0]);
        assert_eq!(theirs.signals_of(answer[1]), [""; 0]);
        (answer, pids(&live), pids(&theirs))
    };
    let before = spared();

    let own = write("own.service", 3, &service.hook(&format!("--sweep {port}")));
    let begin = || {
        own.start();
        let pid = sd.until_answers(port);
        own.stop();
        let left = pids(&own);
        assert_eq!((left.len(), left.contains(&pid)), (3, true));
        left
    };
    let left = begin();
    own.start();
    assert!(pids(&own).is_disjoint(&left), "the hook ends what is its own");
    sd.until_answers(port);
    assert_eq!(spared(), before);
    own.stop();

    let left = pids(&own);
    let run = service.portclear(&["--sweep", "--json", &sd.port().to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let swept: BTreeSet<u32> =
        run.processes().iter().filter_map(|process| process["pid"].as_u64()?.try_into().ok()).collect();
    assert_eq!((left.len(), swept), (3, left), "{run}");
    assert_eq!(pids(&own), BTreeSet::new());
    assert_eq!(spared(), before);
    bystander.answers();
}

fn f01_what_another_user_left_is_out_of_reach() {
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let bystander = system.bystander();
    let left = |sd| {
        let service = Service::new(sd);
        let port = sd.port();
        let gateway = sd.install(with_servers(service.gateway(port), 2));
        let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
        unit.start();
        sd.until_answers(port);
        unit.stop();
        assert_eq!(unit.pids().len(), 2);
        (service, unit, gateway)
    };
    let [roots, users] = [&system, &user].map(left);
    let before = pids(&roots.1);
    let free = user.port().to_string();
    let run = users.0.portclear(&["--sweep", "--json", &free]);
    assert_eq!((run.status, run.processes().len()), (0, 2), "{run}");
    assert_eq!((pids(&users.1), pids(&roots.1)), (BTreeSet::new(), before.clone()));
    let run = roots.0.portclear(&["--sweep", "--json", &free]);
    assert_eq!((run.status, run.processes().len()), (0, before.len()), "{run}");
    assert_eq!(pids(&roots.1), BTreeSet::new());
    bystander.answers();
}

/// A developer's tool may run as a service and start a gateway. No marker says that the service's own runs left it.
fn f01_a_gateway_that_another_service_has_started_lives(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [theirs, ours, free]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let work = |port| service.gateway(port).env("OPENCLAW_PROFILE", "work").forks_listener();
    let files = [sd.install(work(theirs).env("SWEPT_SERVICE", "")), sd.install(service.gateway(ours).forks_listener())];
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

    // The hook of a unit of the service spares it, too.
    let (gw, _) = left("gw.service", 1, ours);
    let hook = service.hook(&format!("--sweep {free}"));
    let asking = sd.install(service.gateway(free));
    sd.unit("asking.service", &format!("[Service]\n{asking}{hook}")).start();
    assert_eq!((pids(&gw), pids(&host)), (BTreeSet::new(), BTreeSet::from([healthy])));
    assert_eq!(sd.until_answers(theirs), healthy);
    assert_eq!(host.signals_of(healthy), [""; 0]);
    // A call for its own port takes it for what it is.
    let run = service.portclear(&["--dry-run", "--json", &theirs.to_string()]);
    assert_eq!(told(&run, healthy), "holder stale-leftover untouched", "{run}");
    bystander.answers();
}

/// What a user writes into his own folder is no reason to leave root's port alone.
fn f01_a_spoilt_record_changes_nothing() {
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
