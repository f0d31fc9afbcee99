//! Each process of an instance gets one signal, either from its launcher or from portclear.

use std::time::{Duration, Instant};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d12_a_worker_gets_the_signal_that_its_launcher_forwards),
        case!(d12_a_worker_is_asked_when_its_launcher_is_gone),
        case!(d12_a_worker_is_asked_at_half_the_grace_of_a_deaf_launcher),
        case!(d12_a_worker_is_asked_at_half_the_grace_though_the_first_signal_took_longer),
        case!(d12_a_worker_is_asked_at_once_where_its_launcher_is_gone_before_the_signal),
        case!(d12_a_worker_is_asked_at_once_where_its_launcher_has_become_another_program),
        case!(d12_a_worker_below_two_launchers_gets_one_signal),
    ]
}

fn d12_a_worker_gets_the_signal_that_its_launcher_forwards() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().on_term(OnTerm::Forward).start();
    let worker = Fixture::gateway().on_term(OnTerm::Drain(1000)).start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    said(&run, worker.pid(), ["holder", "stale-instance", "ended-by-itself"], &[]);
    assert_eq!(worker.signals(), ["TERM"]);
    // The launcher ends with 0 because its worker did. A second signal would have made the worker end with 1.
    assert_eq!(launcher.status().code(), Some(0));
    assert!(times(&run, launcher.pid()).1 >= Duration::from_millis(1000), "{run}");
    bystander.answers();
}

fn d12_a_worker_is_asked_when_its_launcher_is_gone() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().on_term(OnTerm::Drain(500)).start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    ended(&run, &worker, "holder", "stale-instance");
    let ((_, gone), (asked, drained)) = (times(&run, launcher.pid()), times(&run, worker.pid()));
    // portclear does not wait for half of the ten seconds.
    assert!(asked >= gone && asked < gone + SLACK, "{run}");
    assert!(drained >= asked + Duration::from_millis(499), "{run}");
    bystander.answers();
}

fn d12_a_worker_is_asked_at_half_the_grace_of_a_deaf_launcher() {
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
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

/// Half of the grace is over before the launcher gets its signal.
fn d12_a_worker_is_asked_at_half_the_grace_though_the_first_signal_took_longer() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().on_term(OnTerm::Ignore).start();
    let worker = Fixture::gateway().start_below(&launcher);
    let half = Duration::from_secs(2);
    let mut run = Portclear::new(&["18789", "--json", "--grace", "4s"]).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    let begun = Instant::now();
    until("half of the grace is over", || begun.elapsed() >= half);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, launcher.pid(), ["launcher", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    assert!(times(&run, launcher.pid()).0 >= half, "{run}");
    ended(&run, &worker, "holder", "stale-instance");
    let (asked, gone) = times(&run, worker.pid());
    assert!(asked >= half && asked < half + SLACK && gone < 2 * half, "{run}");
    launcher.has_ended();
    bystander.answers();
}

/// The worker did not have to wait for half of the ten seconds.
fn was_asked_at_once(run: &Run, worker: &Fixture) {
    assert_eq!(run.status, 0, "{run}");
    ended(run, worker, "holder", "stale-instance");
    assert!(times(run, worker.pid()).0 < GRACE / 2, "{run}");
}

fn d12_a_worker_is_asked_at_once_where_its_launcher_is_gone_before_the_signal() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let mut run = Portclear::new(&JSON).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    launcher.process().kill();
    launcher.status();
    let run = run.finish();
    said(&run, launcher.pid(), ["launcher", "stale-instance", "ended-by-itself"], &[]);
    was_asked_at_once(&run, &worker);
    bystander.answers();
}

fn d12_a_worker_is_asked_at_once_where_its_launcher_has_become_another_program() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let mut run = Portclear::new(&JSON).traced();
    // The second time is the last look at the worker. The last look at the launcher follows.
    for _ in 0..2 {
        run.run_to_call(libc::SYS_kill, |call| call[..2] == [worker.pid().into(), 0]);
    }
    launcher.exec(&[another.exe().to_str().unwrap(), another.script().to_str().unwrap()], &[]);
    let run = run.finish();
    said(&run, launcher.pid(), ["launcher", "stale-instance", "changed"], &[]);
    assert!(launcher.is_alive());
    assert_eq!(launcher.signals(), [""; 0], "{run}");
    was_asked_at_once(&run, &worker);
    bystander.answers();
}

/// The default grace. A process that waits for another in vain waits for half of it.
const GRACE: Duration = Duration::from_secs(10);

fn d12_a_worker_below_two_launchers_gets_one_signal() {
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
