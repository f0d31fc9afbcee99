//! A fixture looks like what it stands for, and does what its commands say.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_gateway_looks_like_one),
        case!(a_drain_ends_early_at_a_second_signal),
        case!(a_gateway_can_ignore_term),
        case!(forks_share_the_socket_and_end_with_their_fixture),
        case!(a_start_lies_a_clock_tick_back),
        case!(an_orphan_goes_on_below_init),
        case!(sockets_are_bound_closed_and_dual_stack),
        case!(a_leader_exits_and_a_thread_has_its_own_table),
        case!(exec_keeps_the_socket),
        case!(hostile_names_are_set_byte_by_byte),
        case!(sockets_in_flight_have_no_holder),
        case!(a_process_is_alive_until_it_is_a_zombie),
        case!(a_child_of_a_fixture_outlives_it),
    ]
}

fn a_gateway_looks_like_one() {
    let gateway = Fixture::gateway().env("OPENCLAW_SHELL", "x").start();
    let read = |name: &str| fs::read(format!("/proc/{}/{name}", gateway.pid())).unwrap();
    let argv = String::from_utf8(read("cmdline")).unwrap();
    let (exe, script) = (gateway.exe().display(), gateway.script().display());
    assert_eq!(argv, format!("{exe}\0{script}\0gateway\0--port\x0018789\0"));
    assert_eq!(read("comm"), b"node\n");
    assert_eq!(gateway.process().exe().unwrap(), gateway.exe());
    let environ = String::from_utf8(read("environ")).unwrap();
    let keys: Vec<&str> = environ.split('\0').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    let mut expected = vec!["PATH", MARKERS[0].0, MARKERS[1].0, "OPENCLAW_SHELL", "FIXTURE"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let manifest = fs::read_to_string(gateway.root().join("openclaw/package.json")).unwrap();
    assert!(manifest.contains(r#""name":"openclaw""#));

    let other = Fixture::other("127.0.0.1:1").exe_name("bun").arg0(b"\xff x").cwd("/").start();
    let argv = fs::read(format!("/proc/{}/cmdline", other.pid())).unwrap();
    assert!(argv.starts_with(b"\xff x\0"));
    assert!(other.exe().ends_with("bin/bun"));
}

fn a_drain_ends_early_at_a_second_signal() {
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(300)).start();
    let running = Portclear::new(&["18789"]).spawn();
    until("signalled", || gateway.signals() == ["TERM"]);
    gateway.answers();
    assert!(running.process().is_alive());
    let run = running.finish();
    assert!(run.elapsed >= Duration::from_millis(300), "{run}");
    assert_eq!(gateway.status().code(), Some(0));

    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    gateway.process().signal(Signal::SIGTERM);
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.process().signal(Signal::SIGUSR1);
    assert_eq!(gateway.status().code(), Some(1));
    assert_eq!(gateway.signals(), ["TERM", "USR1"]);
}

fn a_gateway_can_ignore_term() {
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    gateway.spin();
    let run = portclear(&["18789", "--grace", "200ms"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
    assert_eq!(gateway.signals(), ["TERM"]);
}

fn forks_share_the_socket_and_end_with_their_fixture() {
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    gateway.process().kill();
    assert!(child.is_alive());
    assert_eq!(ask(GATEWAY).unwrap(), format!("{} gateway", child.pid()));
    child.signal(Signal::SIGTERM);
    child.has_ended();
    assert_eq!(gateway.signals_of(child.pid()), ["TERM"]);
    assert_eq!(gateway.signals(), [""; 0]);

    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    drop(gateway);
    child.has_ended();
}

fn a_start_lies_a_clock_tick_back() {
    let gateway = Fixture::gateway().start();
    for _ in 0..10 {
        let child = gateway.fork();
        let tick = Duration::from_secs(1) / rustix::param::clock_ticks_per_second().try_into().unwrap();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap());
        assert!(now.as_nanos() / tick.as_nanos() > child.stat().starttime.into());
    }
}

fn an_orphan_goes_on_below_init() {
    let mut gateway = Fixture::gateway().start();
    let before = gateway.pid();
    gateway.orphan();
    assert_ne!(gateway.pid(), before);
    assert_ne!(gateway.process().parent(), std::process::id());
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    gateway.spin();
    until("spinning", || gateway.process().state() == Some('R'));
}

fn sockets_are_bound_closed_and_dual_stack() {
    let bound = Fixture::silent().bound(GATEWAY).start();
    assert!(ask(GATEWAY).is_err() && can_bind(GATEWAY));
    drop(bound);
    let bound = Fixture::silent().bound_exclusively(GATEWAY).start();
    assert!(ask(GATEWAY).is_err() && !can_bind(GATEWAY));
    drop(bound);
    let gateway = Fixture::gateway_on("[::]:18789").start();
    gateway.answers_on(GATEWAY);
    gateway.answers_on("[::1]:18789");
    gateway.listen_also("127.0.0.1:18791");
    gateway.answers_on("127.0.0.1:18791");
    gateway.dup();
    gateway.close_sockets();
    assert!(!can_bind(GATEWAY));
    drop(gateway);
    let gateway = Fixture::silent().listen_v6only("[::]:18789").listen("0.0.0.0:18791").start();
    assert!(ask(GATEWAY).is_err());
    gateway.answers_on("[::1]:18789");
    gateway.answers_on("127.0.0.1:18791");
    gateway.close_sockets();
    assert!(can_bind("[::]:18789") && gateway.is_alive());
}

/// How many sockets are in one table of descriptors.
fn sockets(table: &str) -> usize {
    let links = fs::read_dir(format!("/proc/{table}/fd")).unwrap().flatten();
    links.filter(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))).count()
}

fn a_leader_exits_and_a_thread_has_its_own_table() {
    let gateway = Fixture::gateway().start();
    gateway.leader_exits();
    assert!(gateway.is_alive());
    gateway.answers();

    let other = Fixture::gateway_on("127.0.0.1:18791").start();
    assert_eq!(sockets(&other.pid().to_string()), 1);
    other.own_table();
    assert_eq!(sockets(&other.pid().to_string()), 0);
    let tasks = fs::read_dir(format!("/proc/{}/task", other.pid())).unwrap().flatten();
    let tasks = tasks.map(|task| format!("{}/task/{}", other.pid(), task.file_name().display()));
    assert_eq!(tasks.map(|task| sockets(&task)).sum::<usize>(), 1);
    other.answers();
}

fn exec_keeps_the_socket() {
    let gateway = Fixture::gateway().start();
    let other = Fixture::other("127.0.0.1:18791").start();
    let argv = [other.exe().to_str().unwrap(), other.script().to_str().unwrap()];
    gateway.exec(&argv, &[]);
    assert_eq!(gateway.process().exe().unwrap(), other.exe());
    gateway.answers();
    gateway.exec(&["/bin/sleep", "1000"], &MARKERS);
    assert!(!can_bind(GATEWAY) && gateway.is_alive());
    gateway.process().signal(Signal::SIGTERM);
    assert_eq!(gateway.status().signal(), Some(libc::SIGTERM));
}

fn hostile_names_are_set_byte_by_byte() {
    let gateway = Fixture::gateway().start();
    gateway.set_comm(b"foo) Z 1 (\n\xff");
    gateway.set_title(b"openclaw-gateway");
    let read = |name: &str| fs::read(format!("/proc/{}/{name}", gateway.pid())).unwrap();
    assert_eq!(read("comm"), b"foo) Z 1 (\n\xff\n");
    assert!(read("cmdline").starts_with(b"openclaw-gateway\0\0\0\0"));
    assert_ne!(gateway.process().state(), Some('Z'));
    gateway.answers();
}

fn sockets_in_flight_have_no_holder() {
    let gateway = Fixture::gateway().start();
    gateway.sockets_in_flight();
    // Only the pair of unix sockets is left.
    assert_eq!(sockets(&gateway.pid().to_string()), 2);
    assert!(!can_bind(GATEWAY));
}

fn a_process_is_alive_until_it_is_a_zombie() {
    let gateway = Fixture::gateway().start();
    gateway.process().stop();
    gateway.process().signal(Signal::SIGTERM);
    assert!(gateway.is_alive());
    gateway.process().signal(Signal::SIGCONT);
    gateway.has_ended();
    assert!(!gateway.is_alive());
    assert_eq!(gateway.process().state(), Some('Z'));
    gateway.status();
    assert_eq!(gateway.process().state(), None);
}

fn a_child_of_a_fixture_outlives_it() {
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    assert_eq!(worker.process().parent(), launcher.pid());
    worker.answers();
    launcher.process().kill();
    worker.answers();
    worker.process().signal(Signal::SIGTERM);
    worker.has_ended();
    assert_eq!(worker.signals(), ["TERM"]);
}
