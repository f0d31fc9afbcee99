//! E. What changes within one look, what makes a look outlast its time, and what hides from it.

use std::time::{Duration, Instant};

use crate::f_launcher::{ended, lives, said, sentence};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e03_exec_while_it_is_read),
        case!(e05_a_look_that_outlasts_the_call),
        case!(e05_a_look_that_outlasts_the_grace),
        case!(b04_a_worker_of_who_hides_its_children),
    ]
}

const SECOND: &str = "127.0.0.1:18791";

/// The last call before it is known whether all that was read of a process is of one program.
fn is_check_of(process: &Fixture) -> impl Fn([u64; 6]) -> bool {
    let pid = u64::from(process.pid());
    move |call| call[..2] == [pid, 0]
}

/// At the end of each look before the signal. After the last one nothing looks again.
fn e03_exec_while_it_is_read() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let program = || Portclear::new(&["18789", "--json"]).traced();
    let gateway = Fixture::gateway().start();
    let (run, calls) = program().record();
    ended(&run, &gateway, "holder", "stale-instance");
    let check = is_check_of(&gateway);
    let looks = calls.iter().take_while(|call| call.number != libc::SYS_pidfd_send_signal);
    let looks = looks.filter(|call| call.number == libc::SYS_kill && check(call.arguments)).count();
    assert!(looks >= 2, "judged, and looked at again: {looks}");
    for look in 1..=looks {
        let gateway = Fixture::gateway().start();
        let mut run = program();
        for _ in 0..look {
            run.run_to_call(libc::SYS_kill, is_check_of(&gateway));
        }
        gateway.exec(&[another.exe().to_str().unwrap(), another.script().to_str().unwrap()], &[]);
        let run = run.finish();
        assert_eq!(run.status, 3, "look {look} of {looks}: {run}");
        gateway.answers();
        lives(&run, &gateway);
        assert_eq!(run.process(gateway.pid())["rule"], "foreign", "look {look} of {looks}: {run}");
    }
    bystander.answers();
}

fn signals(wanted: i32) -> impl Fn([u64; 6]) -> bool {
    move |call| u64::try_from(wanted) == Ok(call[1])
}

/// What it killed has ended; that is not forgotten over the look for what has come meanwhile.
fn e05_a_look_that_outlasts_the_call() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let grace = Duration::from_millis(100);
    let mut run = Portclear::new(&["18789", "--json", "--tree", "--grace", "100ms"]).traced();
    run.run_to_call(libc::SYS_pidfd_send_signal, signals(libc::SIGTERM));
    let asked = Instant::now();
    run.run_to_call(libc::SYS_pidfd_send_signal, signals(libc::SIGKILL));
    run.run_to(libc::SYS_openat);
    gateway.has_ended();
    until("the call is over", || asked.elapsed() > grace + Duration::from_secs(2));
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    bystander.answers();
}

/// The same where nothing follows the grace.
fn e05_a_look_that_outlasts_the_grace() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let server = Fixture::silent().package("mcp").on_term(OnTerm::Ignore).start_below(&gateway);
    let grace = Duration::from_secs(1);
    let mut run = Portclear::new(&["18789", "--json", "--tree", "--no-kill", "--grace", "1s"]).traced();
    run.run_to_call(libc::SYS_pidfd_send_signal, signals(libc::SIGCONT));
    let asked = Instant::now();
    // At half the grace it is looked at again.
    run.run_to_call(libc::SYS_kill, is_check_of(&server));
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.process().kill();
    until("the grace is over", || asked.elapsed() > grace);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    said(&run, server.pid(), ["offspring", "tree", "survived"], &["SIGTERM"]);
    assert_eq!(sentence(&run), "cleared, 1 process ended, 1 process still there; a bind proves it", "{run}");
    bystander.answers();
}

/// Without a list of children there may be some: a mount in the way of it hides no worker.
fn b04_a_worker_of_who_hides_its_children() {
    let bystander = Bystander::start();
    // No threads; threads whose children cannot be read: nothing is mapped where the memory of a process begins.
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
