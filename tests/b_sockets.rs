//! Found on every address, in every process and in every thread that holds the port.

use std::collections::BTreeSet;

use crate::b_missing::{GATEWAY, JSON, cleared, holder, left_alone};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b07_a_v6only_listener_is_not_in_the_way_of_ipv4),
        case!(b07_every_form_of_an_address_against_every_listener),
        case!(b07_ipv6_only_and_dual_stack),
        case!(b07_several_listeners_of_one_process_and_of_two),
        case!(b07_the_same_socket_twice),
        case!(b07_a_listener_that_is_not_in_the_way_lives),
        case!(b08_two_processes_on_one_socket),
        case!(b08_a_child_whose_parent_is_gone),
        case!(b08_one_of_the_two_became_something_else),
        case!(b09_the_leader_has_exited),
        case!(b09_the_leader_has_exited_at_an_ordinary_users, Needs::Root),
        case!(b09_a_thread_with_a_table_of_its_own),
    ]
}

/// Of the one port, what the report lists.
#[track_caller]
fn listeners(run: &Run) -> Vec<String> {
    let listeners = run.json()["ports"][0]["listeners"].as_array().unwrap().clone();
    listeners.iter().map(|listener| listener["address"].as_str().unwrap().to_owned()).collect()
}

const DRY_RUN: [&str; 3] = ["--dry-run", "--json", "18789"];

/// Both are named by one look, before anything is ended.
#[track_caller]
fn both_are_seen(run: &Run, one: &Proc, two: &Proc) {
    assert_eq!((run.status, &run.json()["ports"][0]["status"]), (0, &"would-clear".into()), "{run}");
    assert_eq!(inodes(run, one), inodes(run, two), "{run}");
    assert!(one.is_alive() && two.is_alive());
}

#[track_caller]
fn inodes(run: &Run, process: &Proc) -> BTreeSet<u64> {
    let inodes = holder(run, process)["inodes"].as_array().unwrap().clone();
    let set: BTreeSet<u64> = inodes.iter().map(|inode| inode.as_u64().unwrap()).collect();
    assert_eq!(set.len(), inodes.len(), "an inode twice: {run}");
    set
}

const FORMS: [&str; 7] =
    ["18789", GATEWAY, "127.0.0.2:18789", "[::1]:18789", "localhost:18789", "0.0.0.0:18789", "[::]:18789"];

fn b07_every_form_of_an_address_against_every_listener() {
    let bystander = Bystander::start();
    // The listener, whether it is v6-only, and for each form whether a server could not bind there.
    let table: [(&str, bool, [bool; 7]); 6] = [
        ("127.0.0.1", false, [true, true, false, false, true, true, true]),
        ("127.0.0.2", false, [true, false, true, false, false, true, true]),
        ("[::1]", false, [true, false, false, true, true, false, true]),
        ("0.0.0.0", false, [true, true, true, false, true, true, true]),
        ("[::]", false, [true; 7]),
        ("[::]", true, [true, false, false, true, true, false, true]),
    ];
    for (host, v6only, row) in table {
        let at = format!("{host}:18789");
        let start = || match v6only {
            true => Fixture::silent().listen_v6only(&at).start(),
            false => Fixture::gateway_on(&at).start(),
        };
        let mut gateway = start();
        for (form, in_the_way) in FORMS.into_iter().zip(row) {
            let run = portclear(&["--json", form]);
            if in_the_way {
                cleared(&run, &[gateway.process()]);
                assert_eq!(listeners(&run), [host.trim_matches(['[', ']'])], "{run}");
                gateway = start();
            } else {
                let port = &run.json()["ports"][0];
                assert_eq!((run.status, &port["status"]), (0, &"free".into()), "{form} beside {at}: {run}");
                assert!(gateway.is_alive(), "{form} beside {at}: {run}");
                assert_eq!(gateway.signals(), [""; 0]);
            }
        }
    }
    bystander.answers();
}

fn b07_ipv6_only_and_dual_stack() {
    let bystander = Bystander::start();
    let gateway = Fixture::silent().listen_v6only("[::]:18789").start();
    assert!(ask(GATEWAY).is_err());
    gateway.answers_on("[::1]:18789");
    cleared(&portclear(&JSON), &[gateway.process()]);
    let gateway = Fixture::gateway_on("[::]:18789").start();
    gateway.answers_on(GATEWAY);
    cleared(&portclear(&["--json", GATEWAY]), &[gateway.process()]);
    assert!(can_bind("[::]:18789") && can_bind(GATEWAY));
    let other = Fixture::other("[::]:18789").start();
    left_alone(&portclear(&["--json", GATEWAY]), &[(other.process(), "foreign")]);
    other.answers();
    bystander.answers();
}

fn b07_several_listeners_of_one_process_and_of_two() {
    let bystander = Bystander::start();
    let one = Fixture::gateway().listen("[::1]:18789").start();
    let two = Fixture::gateway_on("127.0.0.2:18789").start();
    // The same port number elsewhere in the process is no listener of the port.
    two.listen_also("127.0.0.2:18788");
    let run = portclear(&JSON);
    cleared(&run, &[one.process(), two.process()]);
    assert_eq!(listeners(&run), ["127.0.0.1", "127.0.0.2", "::1"], "{run}");
    let [of_one, of_two] = [&one, &two].map(|gateway| inodes(&run, gateway.process()));
    assert_eq!((of_one.len(), of_two.len()), (2, 1), "{run}");
    assert!(of_one.is_disjoint(&of_two), "{run}");
    assert!(can_bind("[::]:18789"));

    let one = Fixture::gateway().listen("[::1]:18789").start();
    let other = Fixture::other("127.0.0.2:18789").start();
    let run = portclear(&JSON);
    left_alone(&run, &[(one.process(), "stale-instance"), (other.process(), "foreign")]);
    one.answers();
    one.answers_on("[::1]:18789");
    other.answers();
    bystander.answers();
}

fn b07_the_same_socket_twice() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    gateway.dup();
    let run = portclear(&JSON);
    cleared(&run, &[gateway.process()]);
    assert_eq!(listeners(&run), ["127.0.0.1"], "{run}");
    assert_eq!(inodes(&run, gateway.process()).len(), 1, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn b07_a_listener_that_is_not_in_the_way_lives() {
    let bystander = Bystander::start();
    // An instance, too: not being in the way is all that saves it.
    let spared = Fixture::gateway_on("127.0.0.2:18789").start();
    let gateway = Fixture::gateway().start();
    let run = portclear(&["--json", GATEWAY]);
    cleared(&run, &[gateway.process()]);
    assert_eq!(listeners(&run), ["127.0.0.1"], "{run}");
    spared.answers();
    assert_eq!(spared.signals(), [""; 0]);
    let gateway = Fixture::gateway_on("[::1]:18789").start();
    cleared(&portclear(&["--json", "localhost:18789"]), &[gateway.process()]);
    spared.answers();
    cleared(&portclear(&["--json", "0.0.0.0:18789"]), &[spared.process()]);
    bystander.answers();
}

fn b08_two_processes_on_one_socket() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    both_are_seen(&portclear(&DRY_RUN), gateway.process(), &child);
    let run = portclear(&JSON);
    cleared(&run, &[gateway.process(), &child]);
    assert_eq!(inodes(&run, gateway.process()), inodes(&run, &child), "{run}");
    assert_eq!(listeners(&run), ["127.0.0.1"], "{run}");
    assert_eq!(
        (gateway.signals(), gateway.signals_of(child.pid())),
        (vec!["TERM".into()], vec!["TERM".into()])
    );
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn b08_a_child_whose_parent_is_gone() {
    let bystander = Bystander::start();
    // The parent is a zombie, then nothing at all.
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    gateway.process().kill();
    assert_eq!(gateway.process().state(), Some('Z'));
    assert!(!can_bind(GATEWAY));
    cleared(&portclear(&JSON), &[&child]);
    assert_eq!(gateway.signals_of(child.pid()), ["TERM"]);

    let mut gateway = Fixture::gateway().start();
    gateway.orphan();
    gateway.answers();
    cleared(&portclear(&JSON), &[gateway.process()]);
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn b08_one_of_the_two_became_something_else() {
    let bystander = Bystander::start();
    for (environment, rule) in [(&[][..], "foreign"), (&MARKERS[..], "offspring")] {
        let gateway = Fixture::gateway().start();
        let child = gateway.fork();
        gateway.exec(&["/bin/sleep", "1000"], environment);
        let run = portclear(&JSON);
        left_alone(&run, &[(gateway.process(), rule), (&child, "stale-instance")]);
        assert_eq!(holder(&run, &child)["verdict"], "stale", "{run}");
        // The one that is stale serves on.
        assert_eq!(ask(GATEWAY).unwrap(), format!("{} gateway", child.pid()));
        assert_eq!(gateway.signals_of(child.pid()), [""; 0]);
        // It is the other alone that kept it.
        gateway.process().kill();
        cleared(&portclear(&JSON), &[&child]);
    }
    bystander.answers();
}

fn b09_the_leader_has_exited() {
    let bystander = Bystander::start();
    let start = |gateway: Builder| {
        let gateway = gateway.start();
        gateway.leader_exits();
        assert!(std::fs::read_link(format!("/proc/{}/exe", gateway.pid())).is_err());
        gateway.answers();
        gateway
    };
    let gateway = start(Fixture::gateway());
    let run = portclear(&JSON);
    cleared(&run, &[gateway.process()]);
    assert_eq!(holder(&run, gateway.process())["exe"], gateway.exe().to_str().unwrap(), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY));

    // And beside a holder that shows its descriptors as usual.
    let gateway = start(Fixture::gateway());
    let child = gateway.fork();
    both_are_seen(&portclear(&DRY_RUN), gateway.process(), &child);
    cleared(&portclear(&JSON), &[gateway.process(), &child]);

    let other = start(Fixture::other(GATEWAY));
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    other.answers();
    bystander.answers();
}

fn b09_the_leader_has_exited_at_an_ordinary_users() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().uid(NOBODY).start();
    gateway.leader_exits();
    let child = gateway.fork();
    // To its own user the kernel refuses the leader's descriptors, as if the process were another's.
    both_are_seen(&Portclear::new(&DRY_RUN).uid(NOBODY).run(), gateway.process(), &child);
    cleared(&Portclear::new(&JSON).uid(NOBODY).run(), &[gateway.process(), &child]);
    bystander.answers();
}

fn b09_a_thread_with_a_table_of_its_own() {
    let bystander = Bystander::start();
    let start = |gateway: Builder| {
        let gateway = gateway.start();
        gateway.own_table();
        gateway.answers();
        gateway
    };
    let gateway = start(Fixture::gateway());
    cleared(&portclear(&JSON), &[gateway.process()]);
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY));
    let other = start(Fixture::other(GATEWAY));
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    other.answers();
    drop(other);

    // Beside a socket that the whole process has. Its child inherited both and is seen to; it is its launcher.
    let gateway = start(Fixture::gateway());
    gateway.listen_also("[::1]:18789");
    let child = gateway.fork();
    let run = portclear(&JSON);
    cleared(&run, &[gateway.process(), &child]);
    assert_eq!(inodes(&run, &child).len(), 2, "{run}");
    assert_eq!(run.process(gateway.pid())["role"], "launcher", "{run}");
    bystander.answers();
}

/// Both are instances, and only one of them refuses the bind.
fn b07_a_v6only_listener_is_not_in_the_way_of_ipv4() {
    let bystander = Bystander::start();
    let four = Fixture::gateway_on("0.0.0.0:18789").start();
    let six = Fixture::silent().listen_v6only("[::]:18789").start();
    let run = portclear(&["--json", "0.0.0.0:18789"]);
    cleared(&run, &[four.process()]);
    assert!(can_bind("0.0.0.0:18789"));
    assert!(six.is_alive());
    six.answers_on("[::1]:18789");
    assert_eq!(six.signals(), [""; 0]);
    // Foreign, it is no reason to leave the other alone.
    drop(six);
    let six = Fixture::other("127.0.0.1:18795").listen_v6only("[::]:18789").start();
    let four = Fixture::gateway_on("127.0.0.1:18789").start();
    cleared(&portclear(&["--json", "127.0.0.1:18789"]), &[four.process()]);
    six.answers_on("[::1]:18789");
    // Where both families are asked for, it is in the way.
    let four = Fixture::gateway_on("127.0.0.1:18789").start();
    let run = portclear(&JSON);
    assert_eq!(run.status, 3, "{run}");
    assert!(four.is_alive());
    bystander.answers();
}
