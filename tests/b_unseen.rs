//! With nothing but system calls, and where neither the holder nor the socket is in any table.

use crate::b_missing::{GATEWAY, JSON, cleared, holder, left_alone};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b10_without_path_and_environment),
        case!(b10_no_program_is_started),
        case!(b10_a_path_too_long_in_another_process_stops_nothing),
        case!(b11_in_flight_over_a_unix_socket),
        case!(b11_one_unseen_holder_spares_the_stale_one),
        case!(b11_another_users_holder_seen_by_nobody, Needs::Root),
        case!(b11_hidden_by_hidepid, Needs::Root),
        case!(b11_from_another_pid_namespace),
        case!(b12_bound_without_listen),
        case!(b12_bound_beside_a_stale_listener),
        case!(g04_netlink_refused),
        case!(g04_netlink_and_the_tables_refused),
    ]
}

/// Exit 4, with this sentence, and no word of a free port.
#[track_caller]
fn unseen(run: &Run, sentence: &str) {
    assert_eq!(run.status, 4, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!((&port["status"], &port["exit"]), (&"unseen".into(), &4.into()), "{run}");
    // In a user namespace, as an ordinary user's tests are, it goes on to name that.
    let said = port["sentence"].as_str().unwrap();
    let more = said.strip_prefix(sentence).unwrap_or_else(|| panic!("{run}"));
    assert!(more.is_empty() || more.starts_with("; this call is in a user namespace of its own"), "{run}");
}

#[track_caller]
fn listener_uids(run: &Run) -> Vec<u64> {
    let listeners = run.json()["ports"][0]["listeners"].as_array().unwrap().clone();
    listeners.iter().map(|listener| listener["uid"].as_u64().unwrap()).collect()
}

const IN_NO_TABLE: &str = "held by a process of uid 0 that is in no descriptor table of this /proc: another pid \
                           namespace, or in flight over a unix socket";
const BOUND: &str = "taken by a socket that is bound and does not listen: no table shows whose it is";

fn b10_without_path_and_environment() {
    let bystander = Bystander::start();
    for with_empty_path in [false, true] {
        let gateway = Fixture::gateway().start();
        let run = Portclear::new(&JSON).without_environment();
        let run = if with_empty_path { run.env("PATH", "") } else { run };
        cleared(&run.run(), &[gateway.process()]);
        let other = Fixture::other(GATEWAY).start();
        let run = Portclear::new(&JSON).without_environment().run();
        left_alone(&run, &[(other.process(), "foreign")]);
        other.answers();
    }
    bystander.answers();
}

fn b10_no_program_is_started() {
    let bystander = Bystander::start();
    // Where there are few descriptors to read: among very many, other threads join in.
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).inside(&namespace).start();
    let run = Portclear::new(&["--grace", "100ms", "18789"]).inside(&namespace);
    let (run, calls) = run.traced().record();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    let made = |number| calls.iter().filter(|call| call.number == number).count();
    // All of it was recorded: SIGTERM, SIGCONT and SIGKILL.
    assert_eq!(made(libc::SYS_pidfd_send_signal), 3, "{run}");
    // A new thread would be a new process to the tracer, and unseen: it is started by these as well.
    let mut starts = vec![libc::SYS_execve, libc::SYS_execveat, libc::SYS_clone, libc::SYS_clone3];
    #[cfg(target_arch = "x86_64")]
    starts.extend([libc::SYS_fork, libc::SYS_vfork]);
    for number in starts {
        assert_eq!(made(number), 0, "system call {number}");
    }
    bystander.answers();
}

/// Opens a file whose path is longer than the kernel can say, and waits.
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
    cleared(&portclear(&JSON), &[gateway.process()]);
    assert!(deep.is_alive());
    bystander.answers();
}

fn b11_in_flight_over_a_unix_socket() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    gateway.sockets_in_flight();
    for at in ["18789", GATEWAY, "localhost:18789"] {
        let run = portclear(&["--json", at]);
        unseen(&run, IN_NO_TABLE);
        assert_eq!(listener_uids(&run), [0], "{run}");
        assert_eq!(run.json()["ports"][0]["holders"].as_array().unwrap().len(), 0, "{run}");
    }
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 4, "{run}");
    assert!(run.stdout.starts_with(&format!("portclear: port 18789: {IN_NO_TABLE}")), "{run}");
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
    assert!(gateway.is_alive() && !can_bind(GATEWAY));
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
}

fn b11_one_unseen_holder_spares_the_stale_one() {
    let bystander = Bystander::start();
    let stale = Fixture::gateway().start();
    let hidden = Fixture::gateway_on("127.0.0.2:18789").start();
    hidden.sockets_in_flight();
    let run = portclear(&JSON);
    unseen(&run, IN_NO_TABLE);
    let seen = holder(&run, stale.process());
    assert_eq!((&seen["verdict"], &seen["outcome"]), (&"stale".into(), &"untouched".into()), "{run}");
    stale.answers();
    assert_eq!((stale.signals(), hidden.signals()), (vec![], vec![]));
    // Only where both are in the way.
    cleared(&portclear(&["--json", GATEWAY]), &[stale.process()]);
    assert!(hidden.is_alive());
    bystander.answers();
}

fn b11_another_users_holder_seen_by_nobody() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    for at in ["18789", GATEWAY] {
        let run = Portclear::new(&["--json", at]).uid(NOBODY).run();
        let sentence =
            "held by a process of uid 0 that cannot be seen from here; this would work: sudo portclear ";
        unseen(&run, &format!("{sentence}{at}"));
        assert_eq!(listener_uids(&run), [0], "{run}");
        assert!(run.json()["ports"][0]["unreadable"].as_u64().unwrap() > 0, "{run}");
    }
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    drop(gateway);
    // The uid is the owner's, and root's word is enough.
    let theirs = Fixture::gateway().uid(NOBODY).start();
    let run = Portclear::new(&JSON).uid(NOBODY - 1).run();
    let who = format!("uid {NOBODY} that cannot be seen from here; this would work: sudo portclear 18789");
    unseen(&run, &format!("held by a process of {who}"));
    theirs.answers();
    cleared(&portclear(&JSON), &[theirs.process()]);
    bystander.answers();
}

fn b11_hidden_by_hidepid() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    namespace.hide_pids();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let run = Portclear::new(&JSON).uid(NOBODY).inside(&namespace).run();
    let sentence = "held by a process of uid 0 that cannot be seen from here; this would work: sudo portclear 18789; in a \
         unit, set ProtectProc=default";
    unseen(&run, sentence);
    assert_eq!(listener_uids(&run), [0], "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    // From root nothing is hidden.
    let run = Portclear::new(&["18789"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    bystander.answers();
}

fn b11_from_another_pid_namespace() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&JSON).inside(&namespace).run();
    unseen(&run, IN_NO_TABLE);
    assert_eq!(listener_uids(&run), [0], "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    cleared(&portclear(&JSON), &[gateway.process()]);
    namespace.init().signals();
    bystander.answers();
}

fn b12_bound_without_listen() {
    let bystander = Bystander::start();
    for at in [GATEWAY, "[::1]:18789", "[::]:18789"] {
        let exclusive = Fixture::silent().bound_exclusively(at).start();
        let run = portclear(&JSON);
        unseen(&run, BOUND);
        assert_eq!(listener_uids(&run), [0; 0], "{run}");
        let run = portclear(&["18789"]);
        assert_eq!((run.status, run.stdout), (4, format!("portclear: port 18789: {BOUND}\n")));
        assert!(exclusive.is_alive());
        assert_eq!(exclusive.signals(), [""; 0]);
        drop(exclusive);
        // With SO_REUSEADDR it is in no server's way.
        let shared = Fixture::silent().bound(at).start();
        let run = portclear(&JSON);
        assert_eq!((run.status, &run.json()["ports"][0]["status"]), (0, &"free".into()), "{run}");
        assert!(can_bind("[::]:18789") && shared.is_alive());
        assert_eq!(shared.signals(), [""; 0]);
    }
    bystander.answers();
}

fn b12_bound_beside_a_stale_listener() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let exclusive = Fixture::silent().bound_exclusively("127.0.0.2:18789").start();
    let run = portclear(&JSON);
    // Ending what could be seen did not free the port, and it says so.
    unseen(&run, BOUND);
    gateway.has_ended();
    assert!(exclusive.is_alive() && !can_bind("0.0.0.0:18789"));
    assert_eq!(exclusive.signals(), [""; 0]);
    let gateway = Fixture::gateway().start();
    cleared(&portclear(&["--json", GATEWAY]), &[gateway.process()]);
    assert!(exclusive.is_alive());
    bystander.answers();
}

/// Without netlink (`netlink`), without /proc/net (`tables`), or without either (`netlink+tables`).
fn refused(what: &str, arguments: &[&str]) -> Run {
    let helper = include_str!("support/refuse.py");
    Portclear::new(arguments).through(&["/usr/bin/python3", "-c", helper, what]).run()
}

fn g04_netlink_refused() {
    let bystander = Bystander::start();
    for at in [GATEWAY, "[::1]:18789", "0.0.0.0:18789", "[::]:18789"] {
        let gateway = Fixture::gateway_on(at).start();
        let run = refused("netlink", &JSON);
        cleared(&run, &[gateway.process()]);
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

fn g04_netlink_and_the_tables_refused() {
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
    // One of the two is enough, and a bind needs neither.
    cleared(&refused("tables", &JSON), &[gateway.process()]);
    assert_eq!(refused("netlink+tables", &JSON).json()["ports"][0]["status"], "free");
    bystander.answers();
}
