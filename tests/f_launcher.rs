//! B04, D12. A launcher and its workers are one instance: ended together, in an order that lets the launcher do it.

use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_a_launcher_whose_child_listens),
        case!(b04_a_worker_that_listens_through_an_inherited_socket),
        case!(b04_other_workers_of_the_launcher_go_with_it),
        case!(b04_a_launcher_with_a_server_on_another_port_is_spared),
        case!(b04_a_launcher_that_respawns_is_ended_first),
        case!(b04_what_a_shell_starts_again_is_not_chased),
        case!(b04_a_launcher_out_of_reach_spares_its_worker, Needs::Root),
        case!(b04_workers_of_a_real_node, Needs::Node),
        case!(d12_a_launcher_that_forwards_its_signal),
        case!(d12_a_launcher_that_does_not_forward),
        case!(d12_a_launcher_that_ignores_its_signal),
    ]
}

pub(crate) const AT: &str = "127.0.0.1:18789";

/// What a test allows beyond the times that are promised, on a machine that is busy.
pub(crate) const SLACK: Duration = Duration::from_millis(1500);

/// The report says this of a process: its role, rule and outcome, and the signals it was sent.
#[track_caller]
pub(crate) fn said(run: &Run, pid: u32, [role, rule, outcome]: [&str; 3], signals: &[&str]) {
    let process = run.process(pid);
    let words = ["role", "rule", "outcome"].map(|key| process[key].as_str().unwrap().to_owned());
    assert_eq!(
        (words, run.sent(pid)),
        ([role, rule, outcome].map(str::to_owned), owned(signals)),
        "{pid}: {run}"
    );
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// It has ended, of one SIGTERM.
#[track_caller]
pub(crate) fn ended(run: &Run, fixture: &Fixture, role: &str, rule: &str) {
    said(run, fixture.inner_pid(), [role, rule, "ended"], &["SIGTERM"]);
    fixture.has_ended();
    assert_eq!(fixture.signals(), ["TERM"], "{run}");
}

/// It lives, and nobody asked it for anything.
#[track_caller]
pub(crate) fn lives(run: &Run, fixture: &Fixture) {
    assert!(fixture.is_alive(), "{run}");
    assert_eq!(fixture.signals(), [""; 0], "{run}");
    let speaks_of = |process: &serde_json::Value| process["pid"] == fixture.inner_pid();
    for process in run.processes().iter().filter(|process| speaks_of(process)) {
        assert_eq!((&process["outcome"], &process["signals"]), (&"untouched".into(), &serde_json::json!([])));
    }
}

#[track_caller]
pub(crate) fn sentence(run: &Run) -> String {
    run.json()["ports"][0]["sentence"].as_str().unwrap().to_owned()
}

/// When it got the first signal, and when it was gone, counted from the first signal of the call.
fn times(run: &Run, pid: u32) -> (Duration, Duration) {
    let process = run.process(pid);
    let ms = |value: &serde_json::Value| {
        Duration::from_millis(value.as_u64().unwrap_or_else(|| panic!("{pid}: no time: {run}")))
    };
    (ms(&process["signals"][0]["after_ms"]), ms(&process["ms"]))
}

fn answering() -> Option<u32> {
    ask(AT).ok().and_then(|line| line.split(' ').next()?.parse().ok())
}

fn b04_a_launcher_whose_child_listens() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    let launcher = Fixture::silent().start_below(&session);
    let worker = Fixture::gateway().start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &worker, "holder", "stale-instance");
    ended(&run, &launcher, "launcher", "stale-instance");
    // The launcher might have ended it, or started another one.
    assert!(times(&run, worker.pid()).0 >= times(&run, launcher.pid()).1, "{run}");
    assert_eq!(sentence(&run), "cleared, 2 processes ended; a bind proves it", "{run}");
    assert!(can_bind(AT));
    lives(&run, &session);
    bystander.answers();
}

fn b04_a_worker_that_listens_through_an_inherited_socket() {
    let bystander = Bystander::start();
    let launcher = Fixture::gateway().start();
    let worker = launcher.fork();
    launcher.close_sockets();
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    said(&run, worker.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    worker.has_ended();
    assert_eq!(launcher.signals_of(worker.pid()), ["TERM"]);
    assert!(can_bind(AT));
    bystander.answers();
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
    assert_eq!(run.json()["ports"][0]["remainder"]["processes"], 1, "{run}");
    assert!(can_bind(AT));
    bystander.answers();
}

/// Two servers below one launcher: whose port was not asked for is not ended for the other's.
fn b04_a_launcher_with_a_server_on_another_port_is_spared() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let server = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on("127.0.0.1:18792").start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, server.pid(), ["holder", "stale-instance", "untouched"], &[]);
    said(&run, other.pid(), ["worker", "elsewhere", "untouched"], &[]);
    let told = format!("held by an instance of which node (pid {}) serves another port, too: ", other.pid());
    assert!(sentence(&run).starts_with(&told), "{run}");
    for fixture in [&launcher, &server, &other] {
        lives(&run, fixture);
    }
    other.answers();
    // Asked for as a whole, it is ended as a whole.
    let run = portclear(&["18789", "--json", "--tree"]);
    assert_eq!(run.status, 0, "{run}");
    for (fixture, role) in [(&launcher, "launcher"), (&server, "holder"), (&other, "worker")] {
        ended(&run, fixture, role, "stale-instance");
    }
    bystander.answers();
}

fn b04_a_launcher_that_respawns_is_ended_first() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().respawns().start();
    let first = Fixture::gateway().start_below(&launcher);
    // Whoever ends the child alone, as by the port, gets another one.
    first.process().kill();
    let mut second = None;
    until("a respawn", || {
        second = answering();
        second.is_some()
    });
    let second = Proc::of(second.unwrap());
    assert_eq!(second.parent(), launcher.pid());
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    said(&run, second.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    assert!(times(&run, second.pid()).0 >= times(&run, launcher.pid()).1, "{run}");
    second.has_ended();
    assert_eq!(run.processes().len(), 2, "{run}");
    assert!(can_bind(AT));
    bystander.answers();
}

/// The shell is nothing of the service's, though it carries the marker.
fn b04_what_a_shell_starts_again_is_not_chased() {
    let bystander = Bystander::start();
    let again = r#"exec 2>/dev/null; while :; do "$@"; done"#;
    let gateway =
        Fixture::gateway().behind(&["setpriv", "--pdeathsig=KILL", "--", "sh", "-c", again, "sh"]).start();
    let parent = Proc::of(gateway.process().parent());
    let mut traced = Portclear::new(&["18789", "--json", "--tree"]).traced();
    traced.run_to(libc::SYS_pidfd_send_signal);
    traced.run_to(libc::SYS_bind);
    assert!(!gateway.is_alive());
    let mut respawn = None;
    until("a respawn", || {
        respawn = answering();
        respawn.is_some()
    });
    let respawn = Proc::of(respawn.unwrap());
    let run = traced.finish();
    assert_eq!(run.status, 6, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    said(&run, respawn.pid(), ["holder", "newer", "untouched"], &[]);
    assert!(sentence(&run).ends_with(&format!("(pid {}): stop that first", parent.pid())), "{run}");
    assert_eq!(answering(), Some(respawn.pid()));
    assert_eq!(gateway.signals_of(respawn.pid()), [""; 0]);
    assert!(parent.is_alive());
    bystander.answers();
}

/// Half of an instance would be ended for nothing: the launcher may start the other half again.
fn b04_a_launcher_out_of_reach_spares_its_worker() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().uid(NOBODY).start_below(&launcher);
    // Nobody, who may read everything and signal only what is his.
    let reader = "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-kill \
                  --inh-caps=-all,+sys_ptrace,+dac_read_search \
                  --ambient-caps=-all,+sys_ptrace,+dac_read_search --";
    let reader: Vec<&str> = reader.split_whitespace().collect();
    for options in [&["18789", "--json"][..], &["18789", "--json", "--tree"]] {
        let run = Portclear::new(options).through(&reader).run();
        assert_eq!(run.status, 4, "{run}");
        said(&run, worker.pid(), ["holder", "stale-instance", "untouched"], &[]);
        said(&run, launcher.pid(), ["launcher", "stale-instance", "untouched"], &[]);
        let who = format!("process {} of uid 0 may not be signalled from here", launcher.pid());
        assert!(sentence(&run).starts_with(&who), "{run}");
        lives(&run, &launcher);
        lives(&run, &worker);
        worker.answers();
    }
    bystander.answers();
}

fn b04_workers_of_a_real_node() {
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

fn d12_a_launcher_that_forwards_its_signal() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().on_term(OnTerm::Forward).start();
    let worker = Fixture::gateway().on_term(OnTerm::Drain(1000)).start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    said(&run, worker.pid(), ["holder", "stale-instance", "ended-by-itself"], &[]);
    assert_eq!(worker.signals(), ["TERM"]);
    // The launcher's status says that the worker's was 0, which a second signal would have made 1.
    assert_eq!(launcher.status().code(), Some(0));
    assert!(times(&run, launcher.pid()).1 >= Duration::from_millis(1000), "{run}");
    bystander.answers();
}

fn d12_a_launcher_that_does_not_forward() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().on_term(OnTerm::Drain(500)).start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    ended(&run, &worker, "holder", "stale-instance");
    let ((_, gone), (asked, drained)) = (times(&run, launcher.pid()), times(&run, worker.pid()));
    // Not at half of the ten seconds.
    assert!(asked >= gone && asked < gone + SLACK, "{run}");
    assert!(drained >= asked + Duration::from_millis(499), "{run}");
    bystander.answers();
}

fn d12_a_launcher_that_ignores_its_signal() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().on_term(OnTerm::Ignore).start();
    let worker = Fixture::gateway().on_term(OnTerm::Ignore).start_below(&launcher);
    let run = portclear(&["18789", "--json", "--grace", "4s"]);
    assert_eq!(run.status, 0, "{run}");
    let killed = ["SIGTERM", "SIGKILL"];
    said(&run, launcher.pid(), ["launcher", "stale-instance", "ended"], &killed);
    said(&run, worker.pid(), ["holder", "stale-instance", "ended"], &killed);
    let half = Duration::from_secs(2);
    assert!(times(&run, launcher.pid()).0 < half, "{run}");
    let (asked, _) = times(&run, worker.pid());
    assert!(asked >= half && asked < half + SLACK, "{run}");
    for fixture in [&launcher, &worker] {
        assert_eq!(fixture.signals(), ["TERM"]);
        fixture.has_ended();
        assert!(times(&run, fixture.pid()).1 >= 2 * half, "{run}");
    }
    assert!(run.elapsed < 2 * half + SLACK, "{run}");
    assert!(can_bind(AT));
    bystander.answers();
}
