//! C06, D12, E01, E05, F02, F03, A12. What once ended a process too many, or one twice, or told a secret.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::f_launcher::{AT, ended, lives, said, sentence};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f03_the_shell_above_a_gateway_is_not_started_by_it),
        case!(f03_a_shell_that_has_lost_its_parent_is_above_it_still),
        case!(c06_a_fork_that_becomes_the_next_server),
        case!(c06_a_fork_of_the_grace_that_becomes_the_next_server),
        case!(f02_other_forks_of_a_pool_are_not_the_listeners),
        case!(f02_what_hides_its_script_is_no_worker),
        case!(e01_who_got_the_pid_of_ended_offspring_has_a_child),
        case!(d12_a_launcher_that_does_not_forward_above_one_that_does),
        case!(e05_a_long_chain_of_processes),
        case!(f02_a_survivor_is_counted_once),
        case!(a12_what_logs_in_is_not_shown),
    ]
}

const TREE: [&str; 3] = ["18789", "--json", "--tree"];
const SECOND: &str = "127.0.0.1:18791";
const RUN: &str = "0123456789abcdef0123456789abcdef";

/// The default: where one waits for another in vain, it is for the half.
const GRACE: Duration = Duration::from_secs(10);

/// Marked, and of one run.
fn of_run(builder: Builder) -> Builder {
    builder.env("INVOCATION_ID", RUN)
}

fn mcp() -> Builder {
    Fixture::silent().package("mcp")
}

/// A child of init.
fn orphan(namespace: &PidNs, builder: Builder) -> Fixture {
    let parent = Fixture::silent().marked(false).package("session").inside(namespace).start();
    let orphan = builder.start_below(&parent);
    parent.process().kill();
    until("another parent", || orphan.process().parent() == namespace.init().pid());
    orphan
}

/// A gateway with an MCP server, and other work, below a shell that carries marker and run.
fn below_a_shell(namespace: &PidNs, shell: &Fixture) {
    let bystander = Bystander::start();
    let gateway = of_run(Fixture::gateway()).start_below(shell);
    let server = of_run(mcp()).start_below(&gateway);
    let work = of_run(mcp()).start_below(shell);
    let run = Portclear::new(&TREE).inside(namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &server, "offspring", "tree");
    lives(&run, shell);
    lives(&run, &work);
    assert_eq!(run.processes().len(), 2, "{run}");
    assert!(run.elapsed < GRACE / 2, "{run}");
    bystander.answers();
}

fn f03_the_shell_above_a_gateway_is_not_started_by_it() {
    let namespace = PidNs::new();
    below_a_shell(&namespace, &of_run(mcp()).inside(&namespace).start());
}

fn f03_a_shell_that_has_lost_its_parent_is_above_it_still() {
    let namespace = PidNs::new();
    below_a_shell(&namespace, &orphan(&namespace, of_run(mcp())));
}

/// A child of the gateway that has executed nothing when it is judged, and is a server when its turn comes.
fn heir(options: &[&str]) {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut run = Portclear::new(options).traced();
    run.run_to_call(libc::SYS_pidfd_open, |call| call[0] == u64::from(gateway.pid()));
    tick_after(run.process().stat().starttime);
    let (heir, mut gate) = gateway.fork_heir(SECOND);
    assert!(heir.stat().starttime > run.process().stat().starttime);
    run.run_to(libc::SYS_pidfd_send_signal);
    gate.write_all(b"x").unwrap();
    serves(&heir);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert!(can_bind(AT));
    serves(&heir);
    assert_eq!(gateway.signals_of(heir.pid()), [""; 0], "{run}");
    assert!(!run.stdout.contains("SIGKILL"), "{run}");
    bystander.answers();
}

#[track_caller]
fn serves(heir: &Proc) {
    until("the next server answers", || {
        assert!(heir.is_alive(), "it has ended");
        ask(SECOND).is_ok_and(|line| line.starts_with(&format!("{} ", heir.pid())))
    });
}

fn c06_a_fork_that_becomes_the_next_server() {
    heir(&["18789", "--json"]);
    heir(&TREE);
}

fn c06_a_fork_of_the_grace_that_becomes_the_next_server() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(700)).start();
    let running = Portclear::new(&["18789", "--json"]).spawn();
    until("asked", || gateway.signals() == ["TERM"]);
    let (heir, mut gate) = gateway.fork_heir(SECOND);
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert!(heir.is_alive(), "{run}");
    gate.write_all(b"x").unwrap();
    serves(&heir);
    bystander.answers();
}

/// A pool forks its workers, and executes nothing between.
fn f02_other_forks_of_a_pool_are_not_the_listeners() {
    let bystander = Bystander::start();
    let pool = Fixture::other(AT).on_term(OnTerm::Ignore).start();
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

/// npm gives itself a title, and node runs it: every MCP server that is started by `npx`.
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
    assert_eq!(run.json()["ports"][0]["remainder"]["processes"], 2, "{run}");
    drop(started);
    let (gateway, started) = begin();
    let run = portclear(&TREE);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    started.iter().for_each(|one| ended(&run, one, "offspring", "stale-instance"));
    bystander.answers();
}

fn e01_who_got_the_pid_of_ended_offspring_has_a_child() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = of_run(Fixture::gateway()).on_term(OnTerm::Ignore).inside(&namespace).start();
    // Its parent would leave a zombie, and no pid that is free.
    let server = orphan(&namespace, of_run(mcp()));
    let pid = server.inner_pid();
    let options = [&TREE[..], &["--grace", "2s"]].concat();
    let mut run = Portclear::new(&options).inside(&namespace).traced();
    // SIGTERM and SIGCONT for the gateway, and at half the grace for the other one, which has had the first then.
    for _ in 0..4 {
        run.run_to(libc::SYS_pidfd_send_signal);
    }
    server.has_ended();
    until("reaped", || server.process().state().is_none());
    namespace.next_pid(pid);
    let heir = Fixture::other(SECOND).inside(&namespace).start();
    assert_eq!(heir.inner_pid(), pid);
    let child = Fixture::other("127.0.0.1:18792").start_below(&heir);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.inner_pid(), ["holder", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    said(&run, pid, ["offspring", "tree", "ended"], &["SIGTERM"]);
    assert_eq!(run.processes().len(), 2, "{run}");
    for fixture in [&heir, &child] {
        fixture.answers();
        assert!(fixture.is_alive(), "{run}");
        assert_eq!(fixture.signals(), [""; 0], "{run}");
    }
    bystander.answers();
}

fn d12_a_launcher_that_does_not_forward_above_one_that_does() {
    let bystander = Bystander::start();
    let top = Fixture::silent().start();
    let middle = Fixture::silent().on_term(OnTerm::Forward).start_below(&top);
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(800)).start_below(&middle);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &top, "launcher", "stale-instance");
    ended(&run, &middle, "launcher", "stale-instance");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended-by-itself"], &[]);
    assert_eq!(gateway.signals(), ["TERM"], "{run}");
    assert!(run.elapsed < GRACE / 2, "{run}");
    bystander.answers();
}

const CHAIN: usize = 200;

/// System calls for each process of the chain, however many are above it: it takes 160.
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

fn e05_a_long_chain_of_processes() {
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
        let left = run.json()["ports"][0]["remainder"]["processes"].as_u64();
        let members = run.processes().len() - 1;
        let tree = options.len() > 2;
        assert_eq!((left, members), if tree { (Some(0), CHAIN) } else { (Some(CHAIN as u64), 0) });
        assert_eq!(TcpStream::connect(DEEPEST).is_err(), tree);
    }
    bystander.answers();
}

fn f02_a_survivor_is_counted_once() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let server = mcp().on_term(OnTerm::Ignore).start_below(&gateway);
    let run = portclear(&[&TREE[..], &["--no-kill", "--grace", "300ms"]].concat());
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    assert_eq!(sentence(&run), "cleared, 1 process ended, 1 process still there; a bind proves it", "{run}");
    assert_eq!(run.json()["ports"][0]["remainder"]["processes"], 0, "{run}");
    said(&run, server.pid(), ["offspring", "tree", "survived"], &["SIGTERM"]);
    bystander.answers();
}

const SECRETS: [&str; 2] = ["sk-live-123", "hunter2"];

fn a12_what_logs_in_is_not_shown() {
    let bystander = Bystander::start();
    let words = ["--header", "Authorization: Bearer sk-live-123", "postgres://u:hunter2@db/x"];
    let gateway = || Fixture::gateway().args(&[&["gateway"], &words[..]].concat()).start();
    let options: [&[&str]; 4] =
        [&["--dry-run", "--json"], &["--dry-run"], &["--dry-run", "--verbose"], &["--json"]];
    for more in [&options[..], &[&[], &["--verbose"]]].concat() {
        let gateway = gateway();
        let server = mcp().args(&words).start_below(&gateway);
        let run = portclear(&[&["18789", "--tree"], more].concat());
        assert_eq!(run.status, 0, "{run}");
        for secret in SECRETS {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{more:?}: {run}");
        }
        assert!(run.stdout.contains(&server.pid().to_string()), "{run}");
        if more.contains(&"--json") {
            // Of an instance it is shown, but for these.
            let shown = run.process(gateway.pid())["command"].as_str().unwrap().to_owned();
            assert!(shown.ends_with(" gateway --header … postgres://…@db/x"), "{shown}");
            assert_eq!(run.process(server.pid())["command"], serde_json::Value::Null, "{run}");
        }
        assert_eq!(gateway.is_alive(), more.contains(&"--dry-run"));
    }
    bystander.answers();
}
