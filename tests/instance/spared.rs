//! `--tree` spares some processes: a successor, what is protected, the caller's own tree, and another pid namespace.

use crate::support::process::only_child;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c06_a_successor_in_the_tree_lives),
        case!(c06_an_instance_that_a_target_starts_meanwhile_lives),
        case!(c06_protected_offspring_and_what_is_below_live),
        case!(c06_a_caller_in_the_tree_protects_it),
        case!(c06_a_caller_clears_another_tree_than_its_own),
        case!(c06_offspring_in_a_pid_namespace_of_its_own_lives),
    ]
}

fn c06_a_successor_in_the_tree_lives() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::HandOver).start();
    let below = Fixture::mcp().start_below(&gateway);
    let run = portclear(&TREE);
    assert_eq!(run.status, 6, "{run}");
    let successor = ask(GATEWAY).unwrap().split(' ').next().and_then(|pid| pid.parse().ok()).map(Proc::of).unwrap();
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    said(&run, successor.pid(), ["holder", "newer", "untouched"], &[]);
    assert_eq!(gateway.signals_of(successor.pid()), [""; 0]);
    assert!(successor.is_alive());
    bystander.answers();
}

fn c06_an_instance_that_a_target_starts_meanwhile_lives() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let running = Portclear::new(&[&TREE[..], &["--grace", "3s"]].concat()).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    let successor = Fixture::gateway_on("127.0.0.1:18791").start_below(&gateway);
    let program = Fixture::mcp().start_below(&gateway);
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    program.has_ended();
    said(&run, program.pid(), ["offspring", "tree", "ended"], &["SIGKILL"]);
    lives(&run, &successor);
    successor.answers();
    bystander.answers();
}

fn c06_protected_offspring_and_what_is_below_live() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let [protected, other] = [(), ()].map(|()| Fixture::mcp().start_below(&gateway));
    let below = Fixture::mcp().start_below(&protected);
    let run = portclear(&[&TREE[..], &["--protect", &protected.pid().to_string()]].concat());
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &other, "offspring", "tree");
    lives(&run, &protected);
    lives(&run, &below);
    assert_eq!(run.processes().len(), 2, "{run}");
    bystander.answers();
}

fn c06_a_caller_in_the_tree_protects_it() {
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let sibling = Fixture::silent().start_below(&launcher);
    let agent = Fixture::mcp().start_below(&worker);
    let other = Fixture::mcp().start_below(&worker);
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
    // It is older than the instance that asks.
    let stale = Fixture::gateway().start();
    let below = Fixture::mcp().start_below(&stale);
    let launcher = Fixture::silent().start();
    let own = Fixture::gateway_on("127.0.0.1:18791").start_below(&launcher);
    let [agent, other] = [(), ()].map(|()| Fixture::mcp().start_below(&own));
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

fn c06_offspring_in_a_pid_namespace_of_its_own_lives() {
    let bystander = Bystander::start();
    let contains = ["unshare", "--fork", "--pid", "--mount-proc", "--", "sleep", "600"];
    let gateway = Fixture::gateway().spawns(&contains).start();
    let outside = Proc::of(only_child(gateway.pid()));
    let inside = Proc::of(only_child(outside.pid()));
    until("sleeping", || inside.exe().is_some_and(|exe| exe.ends_with("sleep") || exe.ends_with("coreutils")));
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
