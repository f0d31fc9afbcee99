//! `--tree` ends what an instance started. Without it, that lives on and is counted.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f02_offspring_whose_parent_ends_at_once_is_ended),
        case!(f02_a_fork_that_offspring_leaves_behind_is_ended),
        case!(f02_what_offspring_starts_during_the_grace_is_ended),
        case!(f04_sessions_of_their_own_end_with_the_tree),
        case!(f04_without_tree_they_live_and_are_counted),
        case!(f04_a_dry_run_lists_them),
        case!(f02_a_survivor_is_counted_once),
    ]
}

fn f02_offspring_whose_parent_ends_at_once_is_ended() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let below = Fixture::mcp().start_below(&gateway);
    // Only its parent tells whose it is.
    let deeper = Fixture::other("127.0.0.1:18791").start_below(&below);
    let run = portclear(&TREE);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    ended(&run, &deeper, "offspring", "tree");
    let after = |pid| run.process(pid)["signals"][0]["after_ms"].as_u64();
    assert!(after(below.pid()) >= run.process(gateway.pid())["ended_after_ms"].as_u64(), "{run}");
    assert_eq!(sentence(&run), "cleared, 3 processes ended; a bind proves it");
    assert_eq!(run.json()["ports"][0]["remainder"]["count"], 0, "{run}");
    bystander.answers();
}

fn f02_a_fork_that_offspring_leaves_behind_is_ended() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let below = Fixture::mcp().on_term(OnTerm::LeaveFork).start_below(&gateway);
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

fn f02_what_offspring_starts_during_the_grace_is_ended() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let below = Fixture::mcp().on_term(OnTerm::Ignore).start_below(&gateway);
    let running = Portclear::new(&[&TREE[..], &["--grace", "3s"]].concat()).inside(&namespace).spawn();
    until("asked", || below.signals() == ["TERM"]);
    let fork = below.fork();
    let program = Fixture::mcp().on_term(OnTerm::Ignore).start_below(&below);
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

/// A gateway, a child and a grandchild, each in a session of its own. The grandchild carries no marker.
fn detached() -> [Fixture; 3] {
    let gateway = Fixture::gateway().start();
    let agent = Fixture::silent().package("agent").behind(&["setsid"]).start_below(&gateway);
    let grandchild = Fixture::mcp().marked(false).behind(&["setsid"]).start_below(&agent);
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
    assert_eq!(run.json()["ports"][0]["remainder"]["count"], 0, "{run}");
    bystander.answers();
}

fn f04_without_tree_they_live_and_are_counted() {
    let bystander = Bystander::start();
    let [gateway, agent, grandchild] = detached();
    let dry = portclear(&["18789", "--json", "--dry-run"]);
    let would = "would be cleared: 1 stale process; 2 processes that it started may live on, with ";
    assert!(sentence(&dry).starts_with(would), "{dry}");
    let advised = portclear(&["18789", "--dry-run"]);
    assert!(advised.stdout.ends_with(" (--tree ends those as well)\n"), "{advised}");
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    lives(&run, &agent);
    lives(&run, &grandchild);
    for run in [&dry, &run] {
        let remainder = &run.json()["ports"][0]["remainder"];
        assert_eq!(remainder["count"], 2, "{run}");
        assert!(remainder["bytes"].as_u64() > Some(1 << 20), "{run}");
    }
    // The document names no option of the program.
    assert!(sentence(&dry).ends_with(" MiB") && sentence(&run).ends_with(" MiB"), "{dry} {run}");
    let left = "cleared, 1 process ended; a bind proves it; 2 processes that it started are still running, with ";
    assert!(sentence(&run).starts_with(left), "{run}");
    bystander.answers();
}

fn f04_a_dry_run_lists_them() {
    let [gateway, agent, grandchild] = detached();
    let run = portclear(&["18789", "--json", "--tree", "--dry-run"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(sentence(&run), "would be cleared: 3 stale processes");
    said(&run, gateway.pid(), ["holder", "stale-instance", "untouched"], &[]);
    for fixture in [&agent, &grandchild] {
        said(&run, fixture.pid(), ["offspring", "tree", "untouched"], &[]);
        lives(&run, fixture);
    }
    assert_eq!(run.processes().len(), 3, "{run}");
    lives(&run, &gateway);
    gateway.answers();
}

fn f02_a_survivor_is_counted_once() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let server = Fixture::mcp().on_term(OnTerm::Ignore).start_below(&gateway);
    let run = portclear(&[&TREE[..], &["--no-kill", "--grace", "300ms"]].concat());
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert_eq!(sentence(&run), "cleared, 1 process ended, 1 process still there; a bind proves it", "{run}");
    assert_eq!(run.json()["ports"][0]["remainder"]["count"], 0, "{run}");
    said(&run, server.pid(), ["offspring", "tree", "survived"], &["SIGTERM"]);
    bystander.answers();
}
