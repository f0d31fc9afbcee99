//! Offspring in great numbers is ended as far as descriptors and time go. The rest is counted.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::process::only_child;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f02_a_bomb_is_contained_or_said_to_be_not),
        case!(f02_a_tree_beyond_the_soft_limit_of_descriptors_is_ended),
        case!(f02_a_tree_beyond_the_hard_limit_of_descriptors_is_counted),
        case!(e05_out_of_descriptors_a_worker_is_still_held_for_its_own_port),
        case!(f02_late_forks_beyond_the_hard_limit_of_descriptors_are_counted),
        case!(f02_late_forks_below_late_forks_are_told_with_their_port),
        case!(e05_a_long_chain_of_processes_costs_the_same_for_each),
    ]
}

/// The processes in the namespace that have this name and are no zombies.
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

/// Ignores SIGTERM. The first one starts a chain of forks: each child forks one more, while there are tokens.
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
    let said = run.json()["ports"][0]["remainder"]["count"].as_u64().unwrap();
    assert_eq!(survivors > 0, said > 0, "{survivors} left, {said} said: {}", sentence(&run));
    lives(&run, namespace.init());
    bystander.answers();
}

pub(crate) const MANY: usize = 200;

/// portclear ends a gateway that has many children, with so few descriptors.
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

fn f02_a_tree_beyond_the_soft_limit_of_descriptors_is_ended() {
    let (namespace, run) = many("--nofile=64:4096");
    assert_eq!(named(&namespace, "sleep"), [0; 0], "{run}");
    assert_eq!(sentence(&run), format!("cleared, {} processes ended; a bind proves it", MANY + 1));
}

/// portclear frees the port, and ends as many children as it has descriptors for.
fn f02_a_tree_beyond_the_hard_limit_of_descriptors_is_counted() {
    let (namespace, run) = many("--nofile=64:64");
    let left = named(&namespace, "sleep").len();
    let offspring = run.processes().iter().filter(|process| process["role"] == "offspring").count();
    assert!(offspring > 5 && offspring + left == MANY, "{offspring} of them, {left} left: {run}");
    assert_eq!(run.json()["ports"][0]["remainder"]["count"], left, "{run}");
}

/// The descriptors do not suffice for all that is below the gateway, and the last eight that got some are let go of again.
/// One process in eight is a worker that holds another port of the call, so one of the workers is among the last.
fn e05_out_of_descriptors_a_worker_is_still_held_for_its_own_port() {
    const EACH: usize = 7;
    let ports: Vec<String> = (18791..18799).map(|port| port.to_string()).collect();
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let worker = |port: &String| {
        let worker = Fixture::gateway_on(&format!("127.0.0.1:{port}"));
        (0..EACH).fold(worker, |worker, _| worker.spawns(&["sleep", "600"])).start_below(&gateway)
    };
    let workers: Vec<Fixture> = ports.iter().map(worker).collect();
    until("sleeping", || named(&namespace, "sleep").len() == EACH * workers.len());
    let arguments: Vec<&str> = TREE.into_iter().chain(ports.iter().map(String::as_str)).collect();
    let run = Portclear::new(&arguments).through(&["prlimit", "--nofile=64:64", "--"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    let document = run.json();
    let statuses = document["ports"].as_array().unwrap().iter().map(|port| &port["status"]);
    assert!(statuses.eq(["cleared"; 9]), "{run}");
    for instance in workers.iter().chain([&gateway]) {
        instance.has_ended();
        assert_eq!(instance.signals(), ["TERM"], "{run}");
    }
    // They did not suffice, so the run says something.
    assert!(!named(&namespace, "sleep").is_empty(), "{run}");
    lives(&run, namespace.init());
    bystander.answers();
}

/// Starts many processes at SIGTERM, and ends before they do.
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

/// The same, where it starts one process, and that one starts all the others.
const LATE_BELOW: &str = r#"
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
def rename(name):
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)
rename("armed")
signal.sigwait([signal.SIGTERM])
rename(sys.argv[2])
done, tell = os.pipe()
if os.fork():
    os.read(done, 1)
    os._exit(0)
for _ in range(int(sys.argv[1]) - 1):
    if os.fork() == 0:
        break
else:
    os.write(tell, b"x")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
while True:
    signal.pause()
"#;

const PORTS: [(&str, &str); 2] = [("127.0.0.1:18789", "one"), ("127.0.0.1:18791", "two")];

/// Ends the gateways on two ports in one call. Each has a child that starts so many processes at SIGTERM.
fn two_ports(script: &str, count: usize, descriptors: &str) -> (PidNs, Run) {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateways = PORTS.map(|(at, name)| {
        let late = ["/usr/bin/python3", "-c", script, &count.to_string(), name];
        Fixture::gateway_on(at).spawns(&late).inside(&namespace).start()
    });
    until("armed", || named(&namespace, "armed").len() == 2);
    let run = Portclear::new(&[&TREE[..], &["18791"]].concat());
    let run = run.through(&["prlimit", descriptors, "--"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    gateways.iter().for_each(|gateway| ended(&run, gateway, "holder", "stale-instance"));
    lives(&run, namespace.init());
    bystander.answers();
    (namespace, run)
}

/// A process that starts after the first look is counted, too, at the port that it belongs to.
fn f02_late_forks_beyond_the_hard_limit_of_descriptors_are_counted() {
    for script in [LATE, LATE_BELOW] {
        let (namespace, run) = two_ports(script, MANY, "--nofile=64:64");
        for (at, (_, name)) in PORTS.iter().enumerate() {
            let left = named(&namespace, name).len();
            assert!(left > 5, "{left} {name} left: {run}");
            assert_eq!(run.json()["ports"][at]["remainder"]["count"], left, "{name}: {run}");
        }
        let late = run.processes().iter().filter(|process| process["rule"] == "tree").count() - 2;
        assert!(late > 5, "{late}: {run}");
    }
}

/// A late fork below a late fork stands with the port whose holder it descends from.
fn f02_late_forks_below_late_forks_are_told_with_their_port() {
    const EACH: usize = 10;
    let (namespace, run) = two_ports(LATE_BELOW, EACH, "--nofile=1024:1024");
    let document = run.json();
    for (at, (_, name)) in PORTS.iter().enumerate() {
        let mut members = document["ports"][at]["members"].as_array().expect("a list").clone();
        let armed = members.iter().position(|member| member["comm"] == "armed").expect("what was there before");
        members.remove(armed);
        let names: Vec<&str> = members.iter().filter_map(|member| member["comm"].as_str()).collect();
        assert_eq!(names, [*name; EACH], "{name}: {run}");
        for member in members {
            assert_eq!([&member["role"], &member["outcome"]], ["offspring", "ended"], "{name}: {run}");
        }
        assert_eq!(named(&namespace, name), [0; 0], "{run}");
        assert_eq!(document["ports"][at]["remainder"]["count"], 0, "{name}: {run}");
    }
}

const CHAIN: usize = 200;

/// The most system calls for each process of the chain, however many are above it. It takes 160.
const MOST: usize = 400;

const DEEPEST: &str = "127.0.0.1:18795";

const FORKS: &str = r#"
import os, signal, socket, sys
for _ in range(int(sys.argv[1]) - 1):
    if os.fork():
        signal.pause()
server = socket.create_server(("127.0.0.1", 18795))
signal.pause()
"#;

fn e05_a_long_chain_of_processes_costs_the_same_for_each() {
    let bystander = Bystander::start();
    let chain = ["/usr/bin/python3", "-c", FORKS, &CHAIN.to_string()];
    for options in [&["18789", "--json"][..], &TREE] {
        let namespace = PidNs::new();
        let gateway = Fixture::gateway().spawns(&chain).inside(&namespace).start();
        until("the chain", || TcpStream::connect(DEEPEST).is_ok());
        let (run, calls) = Portclear::new(options).inside(&namespace).traced().record();
        assert_eq!(run.status, 0, "{run}");
        assert!(calls.len() < CHAIN * MOST, "{} calls: {run}", calls.len());
        ended(&run, &gateway, "holder", "stale-instance");
        let left = run.json()["ports"][0]["remainder"]["count"].as_u64();
        let members = run.processes().len() - 1;
        let tree = options.len() > 2;
        assert_eq!((left, members), if tree { (Some(0), CHAIN) } else { (Some(CHAIN as u64), 0) });
        assert_eq!(TcpStream::connect(DEEPEST).is_err(), tree);
    }
    bystander.answers();
}
