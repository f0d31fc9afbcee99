//! F. What an instance started: ended with it by `--tree`, counted without.

use crate::f_launcher::{AT, ended, lives, said, sentence};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f02_offspring_whose_parent_ends_at_once),
        case!(f02_a_fork_that_offspring_leaves_behind),
        case!(f02_what_offspring_starts_during_the_grace),
        case!(f03_a_target_in_the_callers_process_group),
        case!(f03_a_process_group_of_its_own),
        case!(f04_sessions_of_their_own_end_with_the_tree),
        case!(f04_without_tree_they_live_and_are_counted),
        case!(f04_a_dry_run_lists_them),
        case!(c06_a_successor_is_not_of_the_tree),
        case!(c06_an_instance_that_one_started_while_it_was_ended),
        case!(c06_protected_offspring_and_what_is_below),
        case!(c06_a_caller_in_the_tree),
        case!(c06_a_caller_clears_another_tree_than_its_own),
    ]
}

const TREE: [&str; 3] = ["18789", "--json", "--tree"];

fn mcp() -> Builder {
    Fixture::silent().package("mcp")
}

fn f02_offspring_whose_parent_ends_at_once() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let below = mcp().start_below(&gateway);
    // Nothing but its parent tells whose it is.
    let deeper = Fixture::other("127.0.0.1:18791").start_below(&below);
    let run = portclear(&TREE);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    ended(&run, &deeper, "offspring", "tree");
    let after = |pid| run.process(pid)["signals"][0]["after_ms"].as_u64();
    assert!(after(below.pid()) >= run.process(gateway.pid())["ms"].as_u64(), "{run}");
    assert_eq!(sentence(&run), "cleared, 3 processes ended; a bind proves it");
    assert_eq!(run.json()["ports"][0]["remainder"]["processes"], 0, "{run}");
    bystander.answers();
}

fn f02_a_fork_that_offspring_leaves_behind() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let below = mcp().on_term(OnTerm::LeaveFork).start_below(&gateway);
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    let known = [gateway.inner_pid(), below.inner_pid()].map(u64::from);
    let pids = run.processes().into_iter().filter_map(|process| process["pid"].as_u64());
    let new: Vec<u64> = pids.filter(|pid| !known.contains(pid)).collect();
    let [fork] = new[..] else { panic!("{run}") };
    let fork = u32::try_from(fork).unwrap();
    said(&run, fork, ["offspring", "tree", "ended"], &["SIGTERM"]);
    assert_eq!(below.signals_of(fork), ["TERM"]);
    lives(&run, namespace.init());
    bystander.answers();
}

fn f02_what_offspring_starts_during_the_grace() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let below = mcp().on_term(OnTerm::Ignore).start_below(&gateway);
    let running = Portclear::new(&[&TREE[..], &["--grace", "3s"]].concat()).inside(&namespace).spawn();
    until("asked", || below.signals() == ["TERM"]);
    let fork = below.fork();
    let program = mcp().on_term(OnTerm::Ignore).start_below(&below);
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, below.inner_pid(), ["offspring", "tree", "ended"], &["SIGTERM", "SIGKILL"]);
    below.has_ended();
    fork.has_ended();
    program.has_ended();
    said(&run, program.inner_pid(), ["offspring", "tree", "ended"], &["SIGKILL"]);
    lives(&run, namespace.init());
    bystander.answers();
}

fn group(process: &Proc) -> i32 {
    process.stat().pgrp
}

fn f03_a_target_in_the_callers_process_group() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let below = mcp().start_below(&gateway);
    let sibling = Fixture::other("127.0.0.1:18791").start();
    let running = Portclear::new(&TREE).spawn();
    let callers = group(running.process());
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    let own = nix::unistd::getpgrp().as_raw();
    assert_eq!([callers, group(sibling.process())], [own, own]);
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    sibling.answers();
    lives(&run, &sibling);
    bystander.answers();
}

/// In the pid namespace the group of whoever leads it from outside is 0, which kill(2) takes for the caller's own.
fn f03_a_process_group_of_its_own() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let shell = Fixture::silent().marked(false).package("shell").inside(&namespace).start();
    let leads = "import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])";
    let joins = "import os, sys; os.setpgid(0, int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])";
    let python = "/usr/bin/python3";
    let gateway = Fixture::gateway().behind(&[python, "-c", leads]).start_below(&shell);
    let leader = gateway.inner_pid().to_string();
    let member =
        Fixture::other("127.0.0.1:18791").behind(&[python, "-c", joins, &leader]).start_below(&shell);
    assert_eq!(group(gateway.process()), i32::try_from(gateway.pid()).unwrap());
    assert_eq!(group(member.process()), group(gateway.process()));
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    member.answers();
    lives(&run, &member);

    let gateway = Fixture::gateway().inside(&namespace).start();
    let below = mcp().start_below(&gateway);
    let field = |pid| format!(r#"test "$(cut -d ' ' -f 5 /proc/{pid}/stat)" = 0"#);
    namespace.sh(&field(gateway.inner_pid()));
    namespace.sh(&field(shell.inner_pid()));
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    member.answers();
    for fixture in [&member, &shell, namespace.init()] {
        lives(&run, fixture);
    }
    bystander.answers();
}

/// A gateway, what it started and what that started, each in a session of its own; the last one unmarked.
fn detached() -> [Fixture; 3] {
    let gateway = Fixture::gateway().start();
    let agent = Fixture::silent().package("agent").behind(&["setsid"]).start_below(&gateway);
    let grandchild = mcp().marked(false).behind(&["setsid"]).start_below(&agent);
    for process in [agent.process(), grandchild.process()] {
        let (own, stat) = (i32::try_from(process.pid()).unwrap(), process.stat());
        assert_eq!((stat.session, stat.pgrp), (own, own));
    }
    [gateway, agent, grandchild]
}

fn f04_sessions_of_their_own_end_with_the_tree() {
    let bystander = Bystander::start();
    let [gateway, agent, grandchild] = detached();
    let run = portclear(&TREE);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &agent, "offspring", "tree");
    ended(&run, &grandchild, "offspring", "tree");
    assert_eq!(run.json()["ports"][0]["remainder"]["processes"], 0, "{run}");
    bystander.answers();
}

fn f04_without_tree_they_live_and_are_counted() {
    let bystander = Bystander::start();
    let [gateway, agent, grandchild] = detached();
    let dry = portclear(&["18789", "--json", "--dry-run"]);
    let would = "would be cleared, 1 process stale; 2 processes started by it would live on, with ";
    assert!(sentence(&dry).starts_with(would), "{dry}");
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    lives(&run, &agent);
    lives(&run, &grandchild);
    for run in [&dry, &run] {
        let remainder = &run.json()["ports"][0]["remainder"];
        assert_eq!(remainder["processes"], 2, "{run}");
        assert!(remainder["bytes"].as_u64() > Some(1 << 20), "{run}");
    }
    assert!(sentence(&dry).ends_with(" (--tree ends that, too)"), "{dry}");
    assert!(sentence(&run).ends_with(" (--tree would have ended that, too)"), "{run}");
    let left = "cleared, 1 process ended; a bind proves it; 2 processes started by it still there, with ";
    assert!(sentence(&run).starts_with(left), "{run}");
    bystander.answers();
}

fn f04_a_dry_run_lists_them() {
    let [gateway, agent, grandchild] = detached();
    let run = portclear(&["18789", "--json", "--tree", "--dry-run"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(sentence(&run), "would be cleared, 3 processes stale");
    said(&run, gateway.pid(), ["holder", "stale-instance", "untouched"], &[]);
    for fixture in [&agent, &grandchild] {
        said(&run, fixture.pid(), ["offspring", "tree", "untouched"], &[]);
        lives(&run, fixture);
    }
    assert_eq!(run.processes().len(), 3, "{run}");
    lives(&run, &gateway);
    gateway.answers();
}

fn c06_a_successor_is_not_of_the_tree() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::HandOver).start();
    let below = mcp().start_below(&gateway);
    let run = portclear(&TREE);
    assert_eq!(run.status, 6, "{run}");
    let successor =
        ask(AT).unwrap().split(' ').next().and_then(|pid| pid.parse().ok()).map(Proc::of).unwrap();
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    said(&run, successor.pid(), ["holder", "newer", "untouched"], &[]);
    assert_eq!(gateway.signals_of(successor.pid()), [""; 0]);
    assert!(successor.is_alive());
    bystander.answers();
}

fn c06_an_instance_that_one_started_while_it_was_ended() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let running = Portclear::new(&[&TREE[..], &["--grace", "3s"]].concat()).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    let successor = Fixture::gateway_on("127.0.0.1:18791").start_below(&gateway);
    let program = mcp().start_below(&gateway);
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    program.has_ended();
    said(&run, program.pid(), ["offspring", "tree", "ended"], &["SIGKILL"]);
    lives(&run, &successor);
    successor.answers();
    bystander.answers();
}

fn c06_protected_offspring_and_what_is_below() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let [protected, other] = [(), ()].map(|()| mcp().start_below(&gateway));
    let below = mcp().start_below(&protected);
    let run = portclear(&[&TREE[..], &["--protect", &protected.pid().to_string()]].concat());
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &other, "offspring", "tree");
    lives(&run, &protected);
    lives(&run, &below);
    assert_eq!(run.processes().len(), 2, "{run}");
    bystander.answers();
}

fn c06_a_caller_in_the_tree() {
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let sibling = Fixture::silent().start_below(&launcher);
    let agent = mcp().start_below(&worker);
    let other = mcp().start_below(&worker);
    for caller in [&agent, &sibling, &launcher] {
        let run = caller.portclear(&TREE, &[]);
        assert_eq!(run.status, 3, "{run}");
        said(&run, worker.pid(), ["holder", "protected", "untouched"], &[]);
        for fixture in [&launcher, &worker, &sibling, &agent, &other] {
            lives(&run, fixture);
        }
    }
    worker.answers();
}

fn c06_a_caller_clears_another_tree_than_its_own() {
    let bystander = Bystander::start();
    // Older than the instance that asks.
    let stale = Fixture::gateway().start();
    let below = mcp().start_below(&stale);
    let launcher = Fixture::silent().start();
    let own = Fixture::gateway_on("127.0.0.1:18791").start_below(&launcher);
    let [agent, other] = [(), ()].map(|()| mcp().start_below(&own));
    let run = agent.portclear(&TREE, &[]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &stale, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    for fixture in [&launcher, &own, &agent, &other] {
        lives(&run, fixture);
    }
    own.answers();
    bystander.answers();
}
