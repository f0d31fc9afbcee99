//! A port is not called free when its holder, or its socket, is in no table.

use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b11_a_socket_in_flight_is_never_free),
        case!(b11_one_unseen_holder_spares_the_stale_one),
        case!(b11_another_users_holder_is_never_free, Needs::Root),
        case!(b11_a_holder_hidden_by_hidepid_is_never_free, Needs::Root),
        case!(b11_a_holder_in_another_pid_namespace_is_never_free),
        case!(b12_a_socket_bound_without_listen_is_said),
        case!(b12_a_socket_bound_beside_a_stale_listener_is_said),
    ]
}

/// The exit status is 4, with this sentence. The port is not called free.
#[track_caller]
pub(super) fn unseen(run: &Run, sentence: &str) {
    assert_eq!(run.status, 4, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!((&port["status"], &port["exit"]), (&"unseen".into(), &4.into()), "{run}");
    // In a user namespace, where an ordinary user's tests run, the sentence goes on to name that.
    let said = port["sentence"].as_str().unwrap();
    let more = said.strip_prefix(sentence).unwrap_or_else(|| panic!("{run}"));
    assert!(more.is_empty() || more.starts_with("; this call is in a user namespace of its own"), "{run}");
}

#[track_caller]
fn listener_uids(run: &Run) -> Vec<u64> {
    let listeners = run.json()["ports"][0]["listeners"].as_array().unwrap().clone();
    listeners.iter().map(|listener| listener["uid"].as_u64().unwrap()).collect()
}

const IN_NO_TABLE: &str =
    "held by a process of uid 0 that is not visible in this /proc; perhaps it is in another pid namespace";

pub(super) const BOUND: &str = "a process has bound the port and does not listen; Linux does not show which one";

fn b11_a_socket_in_flight_is_never_free() {
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
    assert!(run.stderr.starts_with(&format!("portclear: port 18789: {IN_NO_TABLE}")), "{run}");
    assert_eq!((run.stderr.lines().count(), &run.stdout[..]), (1, ""), "{run}");
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
    // It spares the stale one only where both are in the way.
    instances_ended(&portclear(&["--json", GATEWAY]), &[stale.process()]);
    assert!(hidden.is_alive());
    bystander.answers();
}

fn b11_another_users_holder_is_never_free() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    for at in ["18789", GATEWAY] {
        let run = Portclear::new(&["--json", at]).uid(NOBODY).run();
        unseen(&run, "held by a process of uid 0 that cannot be seen from here");
        assert_eq!(listener_uids(&run), [0], "{run}");
        assert!(run.json()["ports"][0]["unreadable_processes"].as_u64().unwrap() > 0, "{run}");
    }
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    drop(gateway);
    // The sentence names the owner's uid, and root may end it.
    let theirs = Fixture::gateway().uid(NOBODY).start();
    let run = Portclear::new(&JSON).uid(NOBODY - 1).run();
    let who = format!("uid {NOBODY} that cannot be seen from here");
    unseen(&run, &format!("held by a process of {who}"));
    theirs.answers();
    instances_ended(&portclear(&JSON), &[theirs.process()]);
    bystander.answers();
}

fn b11_a_holder_hidden_by_hidepid_is_never_free() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    namespace.hide_pids();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let run = Portclear::new(&JSON).uid(NOBODY).inside(&namespace).run();
    let sentence = "held by a process of uid 0 that cannot be seen from here; in a unit, set ProtectProc=default";
    unseen(&run, sentence);
    assert_eq!(listener_uids(&run), [0], "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    // hidepid hides nothing from root.
    let run = Portclear::new(&["18789"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    bystander.answers();
}

fn b11_a_holder_in_another_pid_namespace_is_never_free() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&JSON).inside(&namespace).run();
    unseen(&run, IN_NO_TABLE);
    assert_eq!(listener_uids(&run), [0], "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    instances_ended(&portclear(&JSON), &[gateway.process()]);
    namespace.init().signals();
    bystander.answers();
}

fn b12_a_socket_bound_without_listen_is_said() {
    let bystander = Bystander::start();
    for at in [GATEWAY, "[::1]:18789", "[::]:18789"] {
        let exclusive = Fixture::silent().bound_exclusively(at).start();
        let run = portclear(&JSON);
        unseen(&run, BOUND);
        assert_eq!(listener_uids(&run), [0; 0], "{run}");
        let run = portclear(&["18789"]);
        let next = format!("next: `{PROGRAM} -n 18789` (looks again: a server that starts binds before it listens)");
        assert_eq!((run.status, run.stderr), (4, format!("portclear: port 18789: {BOUND}; {next}\n")));
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

fn b12_a_socket_bound_beside_a_stale_listener_is_said() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let exclusive = Fixture::silent().bound_exclusively("127.0.0.2:18789").start();
    let run = portclear(&JSON);
    // The visible holder has ended, but the port is not free. portclear says so.
    unseen(&run, BOUND);
    gateway.has_ended();
    assert!(exclusive.is_alive() && !can_bind("0.0.0.0:18789"));
    assert_eq!(exclusive.signals(), [""; 0]);
    let gateway = Fixture::gateway().start();
    instances_ended(&portclear(&["--json", GATEWAY]), &[gateway.process()]);
    assert!(exclusive.is_alive());
    bystander.answers();
}
