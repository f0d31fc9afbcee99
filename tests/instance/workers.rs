//! The workers of an instance end with it. Another child that runs the same program need not be a worker.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_other_workers_of_the_launcher_go_with_it),
        case!(b04_workers_of_a_real_node_go_with_it, Needs::Node),
        case!(b04_a_worker_is_found_where_lists_of_children_are_hidden),
        case!(f02_forks_are_workers_where_nothing_is_put_at_random),
        case!(f02_other_forks_of_a_pool_live),
        case!(f02_what_hides_its_script_is_no_worker),
    ]
}

fn b04_other_workers_of_the_launcher_go_with_it() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let sibling = Fixture::silent().start_below(&launcher);
    let nephew = Fixture::silent().start_below(&sibling);
    let profile = Fixture::silent().env("OPENCLAW_PROFILE", "work").start_below(&launcher);
    let mcp = Fixture::silent().package("mcp").start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &worker, "holder", "stale-instance");
    ended(&run, &launcher, "launcher", "stale-instance");
    ended(&run, &sibling, "worker", "stale-instance");
    ended(&run, &nephew, "worker", "stale-instance");
    lives(&run, &mcp);
    lives(&run, &profile);
    assert_eq!(run.json()["ports"][0]["remainder"]["count"], 1, "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn b04_workers_of_a_real_node_go_with_it() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().real_node().workers(2).on_term(OnTerm::Drain(200)).start();
    assert_eq!(gateway.workers().len(), 2);
    let mcp = Fixture::silent().package("mcp").behind(&["setsid"]).start_below(&gateway);
    let run = portclear(&["18789", "--json", "--tree"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert_eq!(gateway.status().code(), Some(0));
    for worker in gateway.workers() {
        assert_eq!(run.process(worker.pid())["role"], "worker", "{run}");
        worker.has_ended();
    }
    ended(&run, &mcp, "offspring", "tree");
    bystander.answers();
}

/// A mount may hide the list of children. The worker is found all the same.
fn b04_a_worker_is_found_where_lists_of_children_are_hidden() {
    let bystander = Bystander::start();
    // The first mount hides the threads. The second makes each list of children unreadable: no memory is mapped at 0.
    for (mounted, on) in [("/bin", "task"), ("/proc/1/mem", "task/*/children")] {
        let namespace = PidNs::new();
        let gateway = Fixture::gateway().inside(&namespace).start();
        let worker = Fixture::silent().start_below(&gateway);
        let all = format!("/proc/{}/{on}", gateway.inner_pid());
        namespace.sh(&format!("for one in {all}; do mount --bind {mounted} $one; done"));
        let run = Portclear::new(&["18789", "--json"]).inside(&namespace).run();
        assert_eq!(run.status, 0, "{on}: {run}");
        ended(&run, &gateway, "holder", "stale-instance");
        ended(&run, &worker, "worker", "stale-instance");
    }
    bystander.answers();
}

fn f02_forks_are_workers_where_nothing_is_put_at_random() {
    let bystander = Bystander::start();
    let words = ["/bin/sh", "-c", "setarch -R \"$@\"; exit", "sh"];
    let pool = Fixture::silent().no_package().behind(&words).start();
    let workers = [pool.fork(), pool.fork()];
    pool.listen_also(GATEWAY);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &pool, "holder", "stale-instance");
    for worker in &workers {
        said(&run, worker.pid(), ["worker", "stale-instance", "ended"], &["SIGTERM"]);
        worker.has_ended();
    }
    bystander.answers();
}

/// A pool forks its workers. They execute nothing of their own.
fn f02_other_forks_of_a_pool_live() {
    let bystander = Bystander::start();
    let pool = Fixture::other(GATEWAY).on_term(OnTerm::Ignore).start();
    let listener = pool.fork();
    pool.close_sockets();
    let before = pool.fork();
    let options = ["18789", "--json", "--tree", "--any-owner", "--grace", "1s"];
    let running = Portclear::new(&options).spawn();
    until("asked", || pool.signals_of(listener.pid()) == ["TERM"]);
    tick_after(running.process().stat().starttime);
    let jobs = [before, pool.fork(), pool.fork()];
    for job in &jobs[1..] {
        assert!(job.stat().starttime > running.process().stat().starttime);
    }
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, listener.pid(), ["holder", "any-owner", "ended"], &["SIGTERM", "SIGKILL"]);
    listener.has_ended();
    for job in &jobs {
        assert!(job.is_alive(), "{run}");
        assert_eq!(pool.signals_of(job.pid()), [""; 0], "{run}");
    }
    lives(&run, &pool);
    assert_eq!(run.processes().len(), 1, "{run}");
    bystander.answers();
}

/// npm gives itself a title and runs on node. Every MCP server that `npx` starts looks like this.
fn f02_what_hides_its_script_is_no_worker() {
    let bystander = Bystander::start();
    let begin = || {
        let gateway = Fixture::gateway().start();
        let npm = Fixture::silent().start_below(&gateway);
        npm.set_title(b"npm exec @modelcontextprotocol/server-filesystem");
        let script = Fixture::silent().no_package().start_below(&gateway);
        (gateway, [npm, script])
    };
    let (gateway, started) = begin();
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    started.iter().for_each(|one| lives(&run, one));
    assert_eq!(run.json()["ports"][0]["remainder"]["count"], 2, "{run}");
    drop(started);
    let (gateway, started) = begin();
    let run = portclear(&TREE);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    let [npm, script] = &started;
    // A title that no gateway has: it is no instance.
    ended(&run, npm, "offspring", "tree");
    ended(&run, script, "offspring", "stale-instance");
    bystander.answers();
}
