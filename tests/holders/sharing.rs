//! Every process that shares the socket is a holder, even if only one of its threads has it.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b08_two_processes_on_one_socket_are_both_ended),
        case!(b08_a_child_whose_parent_is_gone_is_found),
        case!(b08_one_of_two_that_became_something_else_spares_both),
        case!(b09_a_process_whose_leader_has_exited_is_found),
        case!(b09_an_ordinary_user_finds_his_own_whose_leader_has_exited, Needs::Root),
        case!(b09_a_thread_with_a_table_of_its_own_is_found),
    ]
}

const DRY_RUN: [&str; 3] = ["--dry-run", "--json", "18789"];

/// One look names both, before anything is ended.
#[track_caller]
fn both_are_seen(run: &Run, one: &Proc, two: &Proc) {
    assert_eq!((run.status, &run.json()["ports"][0]["status"]), (0, &"would-clear".into()), "{run}");
    assert_eq!(inodes(run, one), inodes(run, two), "{run}");
    assert!(one.is_alive() && two.is_alive());
}

fn b08_two_processes_on_one_socket_are_both_ended() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    both_are_seen(&portclear(&DRY_RUN), gateway.process(), &child);
    let run = portclear(&JSON);
    instances_ended(&run, &[gateway.process(), &child]);
    assert_eq!(inodes(&run, gateway.process()), inodes(&run, &child), "{run}");
    assert_eq!(listeners(&run), ["127.0.0.1"], "{run}");
    assert_eq!((gateway.signals(), gateway.signals_of(child.pid())), (vec!["TERM".into()], vec!["TERM".into()]));
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn b08_a_child_whose_parent_is_gone_is_found() {
    let bystander = Bystander::start();
    // The parent is a zombie first, and then gone.
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    gateway.process().kill();
    assert_eq!(gateway.process().state(), Some('Z'));
    assert!(!can_bind(GATEWAY));
    instances_ended(&portclear(&JSON), &[&child]);
    assert_eq!(gateway.signals_of(child.pid()), ["TERM"]);

    let mut gateway = Fixture::gateway().start();
    gateway.orphan();
    gateway.answers();
    instances_ended(&portclear(&JSON), &[gateway.process()]);
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn b08_one_of_two_that_became_something_else_spares_both() {
    let bystander = Bystander::start();
    for (environment, rule) in [(&[][..], "foreign"), (&MARKERS[..], "offspring")] {
        let gateway = Fixture::gateway().start();
        let child = gateway.fork();
        gateway.exec(&["/bin/sleep", "1000"], environment);
        let run = portclear(&JSON);
        left_alone(&run, &[(gateway.process(), rule), (&child, "stale-instance")]);
        assert_eq!(holder(&run, &child)["verdict"], "stale", "{run}");
        // The stale one still serves.
        assert_eq!(ask(GATEWAY).unwrap(), format!("{} gateway", child.pid()));
        assert_eq!(gateway.signals_of(child.pid()), [""; 0]);
        // Only the other one had saved it.
        gateway.process().kill();
        instances_ended(&portclear(&JSON), &[&child]);
    }
    bystander.answers();
}

fn b09_a_process_whose_leader_has_exited_is_found() {
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
    instances_ended(&run, &[gateway.process()]);
    assert_eq!(holder(&run, gateway.process())["exe"], gateway.exe().to_str().unwrap(), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY));

    // The same, beside a holder whose descriptors can be read as usual.
    let gateway = start(Fixture::gateway());
    let child = gateway.fork();
    both_are_seen(&portclear(&DRY_RUN), gateway.process(), &child);
    instances_ended(&portclear(&JSON), &[gateway.process(), &child]);

    let other = start(Fixture::other(GATEWAY));
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    other.answers();
    bystander.answers();
}

fn b09_an_ordinary_user_finds_his_own_whose_leader_has_exited() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().uid(NOBODY).start();
    gateway.leader_exits();
    let child = gateway.fork();
    // The kernel refuses the leader's descriptors even to its own user, as if the process were another user's.
    both_are_seen(&Portclear::new(&DRY_RUN).uid(NOBODY).run(), gateway.process(), &child);
    instances_ended(&Portclear::new(&JSON).uid(NOBODY).run(), &[gateway.process(), &child]);
    bystander.answers();
}

fn b09_a_thread_with_a_table_of_its_own_is_found() {
    let bystander = Bystander::start();
    let start = |gateway: Builder| {
        let gateway = gateway.start();
        gateway.own_table();
        gateway.answers();
        gateway
    };
    let gateway = start(Fixture::gateway());
    instances_ended(&portclear(&JSON), &[gateway.process()]);
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY));
    let other = start(Fixture::other(GATEWAY));
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    other.answers();
    drop(other);

    // It has two sockets now, and its child inherits both. The child is found with both; the process counts as its
    // launcher.
    let gateway = start(Fixture::gateway());
    gateway.listen_also("[::1]:18789");
    let child = gateway.fork();
    let run = portclear(&JSON);
    instances_ended(&run, &[gateway.process(), &child]);
    assert_eq!(inodes(&run, &child).len(), 2, "{run}");
    assert_eq!(run.process(gateway.pid())["role"], "launcher", "{run}");
    bystander.answers();
}
