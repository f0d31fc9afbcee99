//! F. Offspring that has lost its parent, and offspring in numbers: in pid namespaces, for what is taken by its
//! run may be anywhere.

use std::fs;
use std::time::Duration;

use crate::f_launcher::{SLACK, ended, lives, sentence};
use crate::support::process::only_child;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f02_an_orphan_is_told_by_its_run),
        case!(f02_orphans_of_a_run_that_two_share_are_spared),
        case!(f02_a_bomb_is_contained_or_said_to_be_not),
        case!(f02_more_than_the_soft_limit_of_descriptors),
        case!(f02_more_than_the_hard_limit_of_descriptors),
        case!(f02_more_late_forks_than_the_hard_limit_of_descriptors),
        case!(c06_offspring_in_a_pid_namespace_of_its_own),
    ]
}

const TREE: [&str; 3] = ["18789", "--json", "--tree"];
const RUN: &str = "6f02a1d4c58e4b7f9a3d2c1b0e9f8a7d";
const ANOTHER: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn of_run(builder: Builder, run: &str) -> Builder {
    builder.env("INVOCATION_ID", run)
}

fn orphan(namespace: &PidNs, builder: Builder) -> Fixture {
    let parent = Fixture::silent().marked(false).package("session").inside(namespace).start();
    let orphan = builder.start_below(&parent);
    parent.process().kill();
    until("another parent", || orphan.process().parent() == namespace.init().pid());
    orphan
}

fn f02_an_orphan_is_told_by_its_run() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let mcp = || Fixture::silent().package("mcp");
    let orphan = |builder| orphan(&namespace, builder);
    let own = orphan(of_run(mcp(), RUN));
    let spared = [
        orphan(mcp()),
        orphan(of_run(mcp(), ANOTHER)),
        orphan(of_run(mcp(), RUN).env("OPENCLAW_PROFILE", "work")),
        orphan(of_run(mcp(), RUN).marked(false)),
    ];
    let gateway = of_run(Fixture::gateway(), RUN).inside(&namespace).start();
    let look = Portclear::new(&["18789", "--json", "--dry-run"]).inside(&namespace).run();
    assert_eq!(look.json()["ports"][0]["remainder"]["processes"], 1, "{look}");
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &own, "offspring", "tree");
    spared.iter().for_each(|orphan| lives(&run, orphan));
    assert_eq!(run.processes().len(), 2, "{run}");

    // Without a run of its own, an instance has no orphans.
    let gateway = Fixture::gateway().inside(&namespace).start();
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    spared.iter().for_each(|orphan| lives(&run, orphan));
    lives(&run, namespace.init());
    bystander.answers();
}

/// As two that were started from one terminal do.
fn f02_orphans_of_a_run_that_two_share_are_spared() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let orphan = orphan(&namespace, of_run(Fixture::silent().package("mcp"), RUN));
    let gateway = of_run(Fixture::gateway(), RUN).inside(&namespace).start();
    let second = of_run(Fixture::gateway_on("127.0.0.1:18791"), RUN).inside(&namespace).start();
    let below = Fixture::silent().package("mcp").start_below(&gateway);
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    for fixture in [&orphan, &second, namespace.init()] {
        lives(&run, fixture);
    }
    second.answers();
    // With the other one it is nobody else's.
    let run = Portclear::new(&["18791", "--json", "--tree"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &second, "holder", "stale-instance");
    ended(&run, &orphan, "offspring", "tree");
    bystander.answers();
}

/// Those in the namespace that have this name and are no zombies.
fn named(namespace: &PidNs, name: &str) -> Vec<u32> {
    let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = space(namespace.init().pid());
    assert!(own.is_some());
    let all = procfs::process::all_processes().expect("/proc").flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    let of_name = stats.filter(|stat| stat.comm == name && !['Z', 'X'].contains(&stat.state));
    let pids = of_name.filter_map(|stat| stat.pid.try_into().ok());
    pids.filter(|pid| space(*pid) == own).collect()
}

/// Ignores SIGTERM, and from the first one on forks: each child one more, while there are tokens.
const BOMB: &str = r#"
import os, signal, time
tokens, more = os.pipe()
os.write(more, b"x" * 300)
os.set_blocking(tokens, False)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with open("/proc/self/comm", "w") as comm:
    comm.write("bomb")
signal.sigwait([signal.SIGTERM])
while True:
    try:
        os.read(tokens, 1)
    except BlockingIOError:
        break
    if os.fork():
        break
    time.sleep(0.005)
while True:
    signal.pause()
"#;

fn f02_a_bomb_is_contained_or_said_to_be_not() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let bomb = ["/usr/bin/python3", "-c", BOMB];
    let gateway = Fixture::gateway().spawns(&bomb).inside(&namespace).start();
    until("armed", || named(&namespace, "bomb") == [only_child(gateway.pid())]);
    Proc::of(only_child(gateway.pid())).keep();
    let grace = Duration::from_millis(600);
    let run = Portclear::new(&[&TREE[..], &["--grace", "600ms"]].concat()).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert!(run.elapsed < grace + Duration::from_secs(2) + SLACK, "{run}");
    let survivors = named(&namespace, "bomb").len();
    let killed = run.processes().iter().filter(|process| process["outcome"] == "ended").count();
    println!("f02: {killed} killed, {survivors} left; {}", sentence(&run));
    assert!(killed > 10, "it has not gone off: {run}");
    let said = run.json()["ports"][0]["remainder"]["processes"].as_u64().unwrap();
    assert_eq!(survivors > 0, said > 0, "{survivors} left, {said} said: {}", sentence(&run));
    lives(&run, namespace.init());
    bystander.answers();
}

pub(crate) const MANY: usize = 200;

/// A gateway with many children, and portclear with as many descriptors.
fn many(descriptors: &str) -> (PidNs, Run) {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = (0..MANY).fold(Fixture::gateway(), |gateway, _| gateway.spawns(&["sleep", "600"]));
    let gateway = gateway.inside(&namespace).start();
    until("sleeping", || named(&namespace, "sleep").len() == MANY);
    let run = Portclear::new(&TREE).through(&["prlimit", descriptors, "--"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    lives(&run, namespace.init());
    bystander.answers();
    (namespace, run)
}

fn f02_more_than_the_soft_limit_of_descriptors() {
    let (namespace, run) = many("--nofile=64:4096");
    assert_eq!(named(&namespace, "sleep"), [0; 0], "{run}");
    assert_eq!(sentence(&run), format!("cleared, {} processes ended; a bind proves it", MANY + 1));
}

/// The port is freed all the same, and as many of them as there are descriptors for.
fn f02_more_than_the_hard_limit_of_descriptors() {
    let (namespace, run) = many("--nofile=64:64");
    let left = named(&namespace, "sleep").len();
    let offspring = run.processes().iter().filter(|process| process["role"] == "offspring").count();
    assert!(offspring > 5 && offspring + left == MANY, "{offspring} of them, {left} left: {run}");
    assert_eq!(run.json()["ports"][0]["remainder"]["processes"], left, "{run}");
}

/// At SIGTERM it starts many, and ends before they do.
pub(crate) const LATE: &str = r#"
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
def rename(name):
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)
rename("armed")
signal.sigwait([signal.SIGTERM])
rename(sys.argv[2])
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        while True:
            signal.pause()
os._exit(0)
"#;

/// What nobody knew of at the first look is counted like the others, and with its own port.
fn f02_more_late_forks_than_the_hard_limit_of_descriptors() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let ports = [("127.0.0.1:18789", "one"), ("127.0.0.1:18791", "two")];
    let gateways = ports.map(|(at, name)| {
        let late = ["/usr/bin/python3", "-c", LATE, &MANY.to_string(), name];
        Fixture::gateway_on(at).spawns(&late).inside(&namespace).start()
    });
    until("armed", || named(&namespace, "armed").len() == 2);
    let run = Portclear::new(&[&TREE[..], &["18791"]].concat());
    let run = run.through(&["prlimit", "--nofile=64:64", "--"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    gateways.iter().for_each(|gateway| ended(&run, gateway, "holder", "stale-instance"));
    for (at, (_, name)) in ports.iter().enumerate() {
        let left = named(&namespace, name).len();
        assert!(left > 5, "{left} {name} left: {run}");
        assert_eq!(run.json()["ports"][at]["remainder"]["processes"], left, "{name}: {run}");
    }
    let late = run.processes().iter().filter(|process| process["rule"] == "tree").count() - 2;
    assert!(late > 5, "{late}: {run}");
    lives(&run, namespace.init());
    bystander.answers();
}

fn c06_offspring_in_a_pid_namespace_of_its_own() {
    let bystander = Bystander::start();
    let contains = ["unshare", "--fork", "--pid", "--mount-proc", "--", "sleep", "600"];
    let gateway = Fixture::gateway().spawns(&contains).start();
    let outside = Proc::of(only_child(gateway.pid()));
    let inside = Proc::of(only_child(outside.pid()));
    until("sleeping", || {
        inside.exe().is_some_and(|exe| exe.ends_with("sleep") || exe.ends_with("coreutils"))
    });
    let run = portclear(&[&TREE[..], &["--grace", "300ms"]].concat());
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert_eq!(run.process(outside.pid())["outcome"], "ended", "{run}");
    outside.has_ended();
    assert!(inside.is_alive());
    assert_eq!(run.processes().len(), 2, "{run}");
    assert!(run.elapsed < SLACK, "{run}");
    bystander.answers();
}
