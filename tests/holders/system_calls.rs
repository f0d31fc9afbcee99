//! portclear starts no program. It needs system calls alone, and works where some of them are refused.

use super::unseen::{BOUND, unseen};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b10_it_works_without_path_and_environment),
        case!(b10_no_program_is_started),
        case!(b10_a_path_too_long_in_another_process_stops_nothing),
        case!(g04_it_works_where_netlink_is_refused),
        case!(g04_without_netlink_and_tables_it_says_it_cannot_find_out),
    ]
}

fn b10_it_works_without_path_and_environment() {
    let bystander = Bystander::start();
    for with_empty_path in [false, true] {
        let gateway = Fixture::gateway().start();
        let run = Portclear::new(&JSON).without_environment();
        let run = if with_empty_path { run.env("PATH", "") } else { run };
        instances_ended(&run.run(), &[gateway.process()]);
        let other = Fixture::other(GATEWAY).start();
        let run = Portclear::new(&JSON).without_environment().run();
        left_alone(&run, &[(other.process(), "foreign")]);
        other.answers();
    }
    bystander.answers();
}

fn b10_no_program_is_started() {
    let bystander = Bystander::start();
    // The namespace has few descriptors to read. Among very many, other threads would join in.
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).inside(&namespace).start();
    let run = Portclear::new(&["--grace", "100ms", "18789"]).inside(&namespace);
    let (run, calls) = run.traced().record();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    let made = |number| calls.iter().filter(|call| call.number == number).count();
    // The record is complete: it holds SIGTERM, SIGCONT and SIGKILL.
    assert_eq!(made(libc::SYS_pidfd_send_signal), 3, "{run}");
    // The tracer does not see a new thread, but it sees the calls that start one.
    let mut starts = vec![libc::SYS_execve, libc::SYS_execveat, libc::SYS_clone, libc::SYS_clone3];
    #[cfg(target_arch = "x86_64")]
    starts.extend([libc::SYS_fork, libc::SYS_vfork]);
    for number in starts {
        assert_eq!(made(number), 0, "system call {number}");
    }
    bystander.answers();
}

/// Opens a file whose path is too long for the kernel to tell, and waits.
const TOO_LONG: &str = "import os, signal
for _ in range(20):
    os.mkdir('x' * 250)
    os.chdir('x' * 250)
file = open('file', 'w')
signal.pause()";

fn b10_a_path_too_long_in_another_process_stops_nothing() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let deep = Fixture::silent().marked(false).cwd(folder.path()).start();
    deep.exec(&["/usr/bin/python3", "-c", TOO_LONG], &[]);
    until("a link that cannot be read", || {
        let links = std::fs::read_dir(format!("/proc/{}/fd", deep.pid())).unwrap().flatten();
        let errors = links.filter_map(|fd| std::fs::read_link(fd.path()).err());
        errors.filter_map(|error| error.raw_os_error()).any(|errno| errno == libc::ENAMETOOLONG)
    });
    let gateway = Fixture::gateway().start();
    instances_ended(&portclear(&JSON), &[gateway.process()]);
    assert!(deep.is_alive());
    bystander.answers();
}

/// Refuses netlink (`netlink`), /proc/net (`tables`), or both (`netlink+tables`).
fn refused(what: &str, arguments: &[&str]) -> Run {
    let helper = include_str!("../support/refuse.py");
    Portclear::new(arguments).through(&["/usr/bin/python3", "-c", helper, what]).run()
}

fn g04_it_works_where_netlink_is_refused() {
    let bystander = Bystander::start();
    for at in [GATEWAY, "[::1]:18789", "0.0.0.0:18789", "[::]:18789"] {
        let gateway = Fixture::gateway_on(at).start();
        let run = refused("netlink", &JSON);
        instances_ended(&run, &[gateway.process()]);
        let listeners = &run.json()["ports"][0]["listeners"];
        let host = at.trim_end_matches(":18789").trim_matches(['[', ']']);
        assert_eq!((&listeners[0]["address"], &listeners[1]), (&host.into(), &().into()), "{run}");
        assert!(can_bind(GATEWAY) && can_bind("[::1]:18789"));
        let other = Fixture::other(at).start();
        left_alone(&refused("netlink", &JSON), &[(other.process(), "foreign")]);
        assert_eq!(other.signals(), [""; 0]);
        drop(other);
    }
    let bound = Fixture::silent().bound_exclusively(GATEWAY).start();
    unseen(&refused("netlink", &JSON), BOUND);
    assert!(bound.is_alive());
    bystander.answers();
}

fn g04_without_netlink_and_tables_it_says_it_cannot_find_out() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    for what in ["netlink+tables", "tables+netlink"] {
        let run = refused(what, &JSON);
        assert_eq!(run.status, 1, "{run}");
        let port = &run.json()["ports"][0];
        assert_eq!((&port["status"], &port["exit"]), (&"error".into(), &1.into()), "{run}");
        let sentence = port["sentence"].as_str().unwrap();
        assert!(sentence.starts_with("could not find out: cannot read the socket table: "), "{run}");
        gateway.answers();
    }
    let run = refused("netlink+tables", &["18789"]);
    assert_eq!((run.status, &run.stdout[..]), (1, ""), "{run}");
    assert!(run.stderr.contains("cannot read the socket table"), "{run}");
    assert_eq!(gateway.signals(), [""; 0]);
    // Either of the two is enough, and a bind needs neither.
    instances_ended(&refused("tables", &JSON), &[gateway.process()]);
    assert_eq!(refused("netlink+tables", &JSON).json()["ports"][0]["status"], "free");
    bystander.answers();
}
