//! Ctrl-C on a terminal stops the wait, and kills nobody.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::instance::rival::{lock_of, state};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d02_ctrl_c_leaves_what_drains),
        case!(d02_ctrl_c_is_heard_without_a_line),
        case!(d02_where_interrupts_are_ignored_ctrl_c_changes_nothing),
        case!(d02_in_the_watch_ctrl_c_stops_the_watch),
        case!(d02_a_port_that_is_taken_when_the_watch_is_stopped_is_not_free),
        case!(d02_a_sweep_that_is_stopped_says_so),
        case!(d02_before_the_first_signal_nothing_is_blocked),
        case!(d02_without_a_terminal_an_interrupt_ends_the_program),
    ]
}

/// What the live line says as long as the gateway has time.
const DRAINING: &str = "waiting for node ";

/// What a person takes for at once. The program asks ten times a second whether to go on.
const AT_ONCE: Duration = Duration::from_millis(250);

fn d02_ctrl_c_leaves_what_drains() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let (run, took) = Portclear::new(&["18789"]).interrupted(Terminal::Both, DRAINING);
    println!("d02: ended {took:?} after Ctrl-C");
    assert_eq!(run.status, 5, "{run}");
    assert!(took < AT_ONCE + SLACK, "{took:?}: {run}");
    let sentence = "still held: the wait was stopped; 1 process signalled and still there, perhaps draining; \
                    no further signal is sent";
    assert!(run.stderr.contains(sentence), "{run}");
    assert!(run.stderr.contains(&format!(" (pid {})\n", gateway.pid())), "{run}");
    assert!(run.stderr.contains(" SIGTERM after ") && run.stderr.contains(", still there (state "), "{run}");
    assert!(run.stdout.is_empty() && run.stderr.contains(" -n 18789  "), "{run}");
    // The line is gone before the answer.
    let (line, answer) = run.stderr.rsplit_once("\r\x1b[K").unwrap();
    assert!(!line.contains('\n') && !answer.contains("SIGKILL") && !answer.contains("--grace"), "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

/// The program on a terminal that nobody reads, in the middle of its wait.
struct Waiting {
    running: Running,
    gateway: Fixture,
    _terminal: OwnedFd,
}

impl Waiting {
    fn start(program: Portclear, gateway: Builder) -> Self {
        let gateway = gateway.start();
        let (terminal, stderr) = terminal();
        let running = program.stderr(stderr).spawn();
        until("asked", || gateway.signals() == ["TERM"]);
        Self { running, gateway, _terminal: terminal }
    }

    fn blocks_interrupts(&self) -> bool {
        let status = self.running.process().status();
        status.sigblk & 1 << (Signal::SIGINT as u64 - 1) != 0
    }
}

fn draining() -> Builder {
    Fixture::gateway().on_term(OnTerm::Drain(60_000))
}

fn d02_ctrl_c_is_heard_without_a_line() {
    let bystander = Bystander::start();
    for (way, said) in [("--json", "\"status\":\"survived\""), ("-q", "")] {
        let waiting = Waiting::start(Portclear::new(&["18789", way]), draining());
        until("it listens to Ctrl-C", || waiting.blocks_interrupts());
        waiting.running.process().signal(Signal::SIGINT);
        let run = waiting.running.finish();
        assert_eq!(run.status, 5, "{run}");
        assert!(run.stdout.contains(said) && run.stdout.is_empty() == said.is_empty(), "{run}");
        waiting.gateway.answers();
        assert_eq!(waiting.gateway.signals(), ["TERM"]);
    }
    bystander.answers();
}

/// A shell starts a job in the background so, if it has no job control.
fn d02_where_interrupts_are_ignored_ctrl_c_changes_nothing() {
    let bystander = Bystander::start();
    let program = Portclear::new(&["18789"]).through(&["/bin/sh", "-c", r#"trap "" INT; exec "$0" "$@""#]);
    let waiting = Waiting::start(program, Fixture::gateway().on_term(OnTerm::Drain(1500)));
    assert!(!waiting.blocks_interrupts());
    waiting.running.process().signal(Signal::SIGINT);
    let run = waiting.running.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(waiting.gateway.status().code(), Some(0));
    bystander.answers();
}

fn d02_in_the_watch_ctrl_c_stops_the_watch() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    // The port is watched: the session may start the gateway again.
    let watched = || Portclear::new(&["18789", "--settle", "60s"]);
    let gateway = Fixture::gateway().start_below(&session);
    let (run, took) = watched().interrupted(Terminal::Both, "checking that it stays free");
    assert!(took < AT_ONCE + SLACK, "{took:?}: {run}");
    assert_eq!(run.status, 0, "{run}");
    assert!(
        run.stdout.contains("cleared, 1 process ended; a bind proves it; the watch was stopped; node (pid "),
        "{run}"
    );
    gateway.has_ended();
    // Without a line it is heard as well.
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(500)).start_below(&session);
    let (_terminal, stderr) = terminal();
    let running = watched().arg("-q").stderr(stderr).spawn();
    gateway.has_ended();
    until("it listens to Ctrl-C", || running.process().status().sigblk & 1 << (Signal::SIGINT as u64 - 1) != 0);
    running.process().signal(Signal::SIGINT);
    let run = running.finish();
    assert_eq!((run.status, &run.stdout[..]), (0, ""), "{run}");
    assert!(can_bind(GATEWAY));
    assert!(session.is_alive());
    bystander.answers();
}

/// The last look finds somebody there: the port is not called free, and nobody is signalled.
fn d02_a_port_that_is_taken_when_the_watch_is_stopped_is_not_free() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    let waiting = Fixture::silent().start();
    let gateway = Fixture::gateway().start_below(&session);
    let (_terminal, stderr) = terminal();
    let mut run = Portclear::new(&["18789", "--settle", "60s", "--json"]).stderr(stderr).traced();
    // Here it asks for Ctrl-C. By then it has looked, and nobody listened.
    let mut asks = || run.run_to_call(libc::SYS_read, |call| call[2] == size_of::<libc::signalfd_siginfo>() as u64);
    until("the gateway has ended", || {
        asks();
        !gateway.is_alive()
    });
    // The wait may ask twice more.
    (0..3).for_each(|_| asks());
    run.process().signal(Signal::SIGINT);
    waiting.listen_also(GATEWAY);
    let run = run.finish();
    assert_eq!(run.status, 6, "{run}");
    assert_eq!(sentence(&run), "cleared, and taken again", "{run}");
    assert!(waiting.is_alive());
    assert_eq!(waiting.signals(), [""; 0]);
    bystander.answers();
}

/// The port is free, so the exit status is 0. What was stopped is said.
fn d02_a_sweep_that_is_stopped_says_so() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on("127.0.0.1:19001").on_term(OnTerm::Drain(60_000)).start();
    let folder = state(&lock_of(&gateway));
    let program = Portclear::new(&["18789", "--sweep"]).env("OPENCLAW_STATE_DIR", folder.path());
    let (run, _) = program.interrupted(Terminal::Both, DRAINING);
    assert_eq!(run.status, 0, "{run}");
    let said = "; the wait was stopped, and no further signal is sent";
    let sweep = run.stderr.lines().find(|line| line.contains("sweep")).unwrap_or_default();
    assert!(sweep.contains(said), "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn d02_before_the_first_signal_nothing_is_blocked() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(300)).start();
    let (_terminal, stderr) = terminal();
    let (run, calls) = Portclear::new(&["18789"]).stderr(stderr).traced().record();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    let first = |call: libc::c_long| calls.iter().position(|one| one.number == call).expect("such a call");
    assert!(first(libc::SYS_pidfd_send_signal) < first(libc::SYS_rt_sigprocmask), "{calls:?}");
    bystander.answers();
}

/// A hook, or a job of cron: systemd sends SIGTERM, a script perhaps SIGINT.
fn d02_without_a_terminal_an_interrupt_ends_the_program() {
    let bystander = Bystander::start();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let gateway = draining().start();
        let running = Portclear::new(&["18789"]).spawn();
        until("asked", || gateway.signals() == ["TERM"]);
        running.process().signal(signal);
        let run = running.finish();
        assert_eq!((run.status, &run.stdout[..]), (128 + signal as i32, ""), "{run}");
        gateway.answers();
        assert_eq!(gateway.signals(), ["TERM"]);
    }
    bystander.answers();
}
