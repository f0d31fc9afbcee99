//! E. What changes between two looks: a tracer stops portclear where it hurts most, and only then it changes.

use std::fmt;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e01_a_pid_reused_before_it_is_pinned),
        case!(e01_a_pid_reused_while_it_is_pinned),
        case!(e01_a_pid_reused_after_it_was_read),
        case!(e01_a_pid_reused_before_the_signal),
        case!(e03_exec_between_scan_and_signal),
        case!(e03_exec_of_one_of_two_spares_both),
        case!(e03_exec_between_term_and_kill),
        case!(e03_a_server_that_executes_itself_anew),
        case!(e03_exec_that_let_go_of_the_port),
        case!(e04_the_holder_ends_during_the_scan),
        case!(e04_the_holder_ends_before_the_signal),
        case!(e04_a_fork_during_the_scan),
        case!(e04_a_fork_of_who_is_killed),
    ]
}

const GATEWAY: &str = "127.0.0.1:18789";
const SECOND: &str = "127.0.0.1:18791";

/// Where portclear is stopped, about one holder.
#[derive(Clone, Copy)]
enum At {
    /// The scan of /proc has found its pid.
    Pin,
    /// The pidfd is there, /proc/PID is not yet open.
    Open,
    /// The facts are read, and not yet known to be those of one living process.
    Check,
    /// Everything is decided: the next call is the signal.
    Signal,
    /// The first signal was sent, and waiting has not begun.
    Wait,
}

impl At {
    /// Runs `portclear ARGUMENTS… --json` up to there. `pid` is the holder's as portclear sees it.
    fn stop(self, program: Portclear, pid: u32) -> Traced {
        let mut run = program.traced();
        let pin = |run: &mut Traced| run.run_to_call(libc::SYS_pidfd_open, |call| call[0] == u64::from(pid));
        match self {
            Self::Pin => pin(&mut run),
            Self::Open => {
                pin(&mut run);
                run.run_to(libc::SYS_openat);
            }
            Self::Check => run.run_to_call(libc::SYS_kill, |call| call[..2] == [u64::from(pid), 0]),
            Self::Signal => run.run_to(libc::SYS_pidfd_send_signal),
            Self::Wait => {
                let sigcont = u64::try_from(libc::SIGCONT).unwrap();
                run.run_to_call(libc::SYS_pidfd_send_signal, |call| call[1] == sigcont);
            }
        }
        run
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pin => "pin",
            Self::Open => "open",
            Self::Check => "check",
            Self::Signal => "signal",
            Self::Wait => "wait",
        })
    }
}

fn e01_a_pid_reused_before_it_is_pinned() {
    reused(At::Pin);
}

fn e01_a_pid_reused_while_it_is_pinned() {
    reused(At::Open);
}

fn e01_a_pid_reused_after_it_was_read() {
    reused(At::Check);
}

fn e01_a_pid_reused_before_the_signal() {
    reused(At::Signal);
}

/// The newcomer is innocent; is itself a gateway, on another port; is the new gateway on the very port.
fn reused(at: At) {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let heirs = [
        (Fixture::other(SECOND), 0),
        (Fixture::gateway_on(SECOND), 0),
        (Fixture::gateway(), 3),
        (Fixture::other(GATEWAY), 3),
    ];
    for (heir, status) in heirs {
        let gateway = Fixture::gateway().inside(&namespace).start();
        let pid = gateway.inner_pid();
        let run = at.stop(Portclear::new(&["18789", "--json"]).inside(&namespace), pid);
        gateway.process().kill();
        // Reaped: the pid is free only then.
        gateway.status();
        namespace.next_pid(pid);
        let heir = heir.inside(&namespace).start();
        assert_eq!(heir.inner_pid(), pid);
        let run = run.finish();
        assert_eq!(run.status, status, "at {at}: {run}");
        heir.answers();
        assert!(heir.is_alive(), "at {at}: {run}");
        assert_eq!(heir.signals(), [""; 0], "at {at}: {run}");
        assert_eq!(gateway.signals(), [""; 0], "at {at}: {run}");
        assert!(!run.stdout.contains("SIGTERM"), "at {at}: {run}");
    }
    bystander.answers();
}

/// Whose child a holder is, so that it has a parent which portclear has not.
fn parent() -> Fixture {
    Fixture::silent().package("other").marked(false).start()
}

/// Runs portclear on to the look at the holder's parent: the holder itself is read by then, and not yet judged.
fn after_the_facts(run: &mut Traced, holder: &Fixture) {
    let parent = u64::from(holder.process().parent());
    run.run_to_call(libc::SYS_kill, |call| call[..2] == [parent, 0]);
}

fn becomes_another(gateway: &Fixture, other: &Fixture) {
    gateway.exec(&[other.exe().to_str().unwrap(), other.script().to_str().unwrap()], &[]);
}

fn e03_exec_between_scan_and_signal() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let parent = parent();
    let gateway = Fixture::gateway().start_below(&parent);
    let mut run = Portclear::new(&["18789", "--json"]).traced();
    after_the_facts(&mut run, &gateway);
    becomes_another(&gateway, &another);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    let holder = run.process(gateway.pid());
    assert_eq!((&holder["rule"], &holder["outcome"]), (&"foreign".into(), &"untouched".into()), "{run}");
    assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    bystander.answers();
}

fn e03_exec_of_one_of_two_spares_both() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let parents = [parent(), parent()];
    let stays = Fixture::gateway_on("127.0.0.2:18789").start_below(&parents[0]);
    let changes = Fixture::gateway().start_below(&parents[1]);
    // The older one is read first.
    let mut run = Portclear::new(&["18789", "--json"]).traced();
    after_the_facts(&mut run, &stays);
    after_the_facts(&mut run, &changes);
    becomes_another(&changes, &another);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    for gateway in [&stays, &changes] {
        gateway.answers();
        assert_eq!(gateway.signals(), [""; 0]);
        assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    }
    assert_eq!(run.process(stays.pid())["rule"], "stale-instance", "{run}");
    assert_eq!(run.process(changes.pid())["rule"], "foreign", "{run}");
    bystander.answers();
}

fn e03_exec_between_term_and_kill() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let program = Portclear::new(&["18789", "--json", "--grace", "100ms"]);
    let run = At::Wait.stop(program, gateway.pid());
    assert_eq!(gateway.signals(), ["TERM"]);
    becomes_another(&gateway, &another);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    assert_eq!(run.process(gateway.pid())["outcome"], "changed", "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    let sentence = "held by what a signalled process became, and left alone";
    assert_eq!(run.json()["ports"][0]["sentence"], sentence, "{run}");
    bystander.answers();
}

/// In its own place, with the listener it has: what serves at the end of the grace is not what was asked to end.
fn e03_a_server_that_executes_itself_anew() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let program = Portclear::new(&["18789", "--json", "--grace", "100ms"]);
    let run = At::Wait.stop(program, gateway.pid());
    gateway.exec(&[gateway.exe().to_str().unwrap(), gateway.script().to_str().unwrap(), "gateway"], &[]);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    let holder = run.process(gateway.pid());
    assert_eq!((&holder["outcome"], &holder["rule"]), (&"changed".into(), &"stale-instance".into()), "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    bystander.answers();
}

fn e03_exec_that_let_go_of_the_port() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let program = Portclear::new(&["18789", "--json", "--grace", "100ms"]);
    let run = At::Wait.stop(program, gateway.pid());
    gateway.close_sockets();
    becomes_another(&gateway, &another);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(gateway.is_alive() && can_bind(GATEWAY));
    assert_eq!(run.process(gateway.pid())["outcome"], "changed", "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    bystander.answers();
}

fn e04_the_holder_ends_during_the_scan() {
    let bystander = Bystander::start();
    for at in [At::Pin, At::Open, At::Check] {
        for reaped in [true, false] {
            let gateway = Fixture::gateway().start();
            let run = at.stop(Portclear::new(&["18789", "--json"]), gateway.pid());
            gateway.process().kill();
            if reaped {
                gateway.status();
            }
            let run = run.finish();
            assert_eq!(run.status, 0, "at {at}, reaped {reaped}: {run}");
            let port = &run.json()["ports"][0];
            assert_eq!((&port["status"], &port["exit"]), (&"free".into(), &0.into()), "at {at}: {run}");
            assert_eq!(port["holders"], serde_json::json!([]), "at {at}: {run}");
            assert!(can_bind(GATEWAY));
        }
    }
    bystander.answers();
}

fn e04_the_holder_ends_before_the_signal() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = At::Signal.stop(Portclear::new(&["18789", "--json"]), gateway.pid());
    gateway.process().kill();
    gateway.status();
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended-by-itself", "{run}");
    assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    bystander.answers();
}

fn e04_a_fork_during_the_scan() {
    forked(At::Pin, OnTerm::Exit, &["SIGTERM"]);
}

fn e04_a_fork_of_who_is_killed() {
    forked(At::Wait, OnTerm::Ignore, &["SIGTERM", "SIGKILL"]);
}

/// The child keeps the socket, and no scan has seen it. It is younger than portclear, and no newcomer.
fn forked(at: At, on_term: OnTerm, signals: &[&str]) {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(on_term).start();
    let run = at.stop(Portclear::new(&["18789", "--json", "--grace", "1s"]), gateway.pid());
    let portclear = run.process().stat().starttime;
    tick_after(portclear);
    let child = gateway.fork();
    assert!(child.stat().starttime > portclear);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(!gateway.is_alive() && !child.is_alive() && can_bind(GATEWAY));
    for pid in [gateway.pid(), child.pid()] {
        assert_eq!(run.sent(pid), signals, "{run}");
        assert_eq!(run.process(pid)["outcome"], "ended", "{run}");
    }
    // Where SIGKILL follows at once, the child may have had no time to tell.
    assert!(gateway.signals_of(child.pid()).len() <= 1);
    bystander.answers();
}
