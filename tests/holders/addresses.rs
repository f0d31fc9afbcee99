//! A holder is found at every address. It is ended only if it is in the way of the address that was given.

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b07_every_form_of_an_address_ends_what_is_in_its_way),
        case!(b07_ipv6_only_and_dual_stack_listeners_are_found),
        case!(b07_a_v6only_listener_is_not_in_the_way_of_ipv4),
        case!(b07_several_listeners_of_one_process_and_of_two_are_found),
        case!(b07_a_socket_that_is_open_twice_counts_once),
        case!(b07_a_listener_that_is_not_in_the_way_lives),
        case!(b07_a_foreign_listener_beside_it_spares_both),
    ]
}

const FORMS: [&str; 7] =
    ["18789", GATEWAY, "127.0.0.2:18789", "[::1]:18789", "localhost:18789", "0.0.0.0:18789", "[::]:18789"];

fn b07_every_form_of_an_address_ends_what_is_in_its_way() {
    let bystander = Bystander::start();
    // the listener's host, whether it is v6-only, and for each form whether a bind there would fail
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
                instances_ended(&run, &[gateway.process()]);
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

fn b07_ipv6_only_and_dual_stack_listeners_are_found() {
    let bystander = Bystander::start();
    let gateway = Fixture::silent().listen_v6only("[::]:18789").start();
    assert!(ask(GATEWAY).is_err());
    gateway.answers_on("[::1]:18789");
    instances_ended(&portclear(&JSON), &[gateway.process()]);
    let gateway = Fixture::gateway_on("[::]:18789").start();
    gateway.answers_on(GATEWAY);
    instances_ended(&portclear(&["--json", GATEWAY]), &[gateway.process()]);
    assert!(can_bind("[::]:18789") && can_bind(GATEWAY));
    let other = Fixture::other("[::]:18789").start();
    left_alone(&portclear(&["--json", GATEWAY]), &[(other.process(), "foreign")]);
    other.answers();
    bystander.answers();
}

/// Both are instances, but only the IPv4 listener refuses the bind.
fn b07_a_v6only_listener_is_not_in_the_way_of_ipv4() {
    let bystander = Bystander::start();
    let four = Fixture::gateway_on("0.0.0.0:18789").start();
    let six = Fixture::silent().listen_v6only("[::]:18789").start();
    let run = portclear(&["--json", "0.0.0.0:18789"]);
    instances_ended(&run, &[four.process()]);
    assert!(can_bind("0.0.0.0:18789"));
    assert!(six.is_alive());
    six.answers_on("[::1]:18789");
    assert_eq!(six.signals(), [""; 0]);
    // A foreign v6-only listener does not spare the IPv4 one.
    drop(six);
    let six = Fixture::other("127.0.0.1:18795").listen_v6only("[::]:18789").start();
    let four = Fixture::gateway_on("127.0.0.1:18789").start();
    instances_ended(&portclear(&["--json", "127.0.0.1:18789"]), &[four.process()]);
    six.answers_on("[::1]:18789");
    // A call for both families finds it in the way.
    let four = Fixture::gateway_on("127.0.0.1:18789").start();
    let run = portclear(&JSON);
    assert_eq!(run.status, 3, "{run}");
    assert!(four.is_alive());
    bystander.answers();
}

fn b07_several_listeners_of_one_process_and_of_two_are_found() {
    let bystander = Bystander::start();
    let one = Fixture::gateway().listen("[::1]:18789").start();
    let two = Fixture::gateway_on("127.0.0.2:18789").start();
    // A listener of the same process on another port is no listener of this port.
    two.listen_also("127.0.0.2:18788");
    let run = portclear(&JSON);
    instances_ended(&run, &[one.process(), two.process()]);
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

fn b07_a_socket_that_is_open_twice_counts_once() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    gateway.dup();
    let run = portclear(&JSON);
    instances_ended(&run, &[gateway.process()]);
    assert_eq!(listeners(&run), ["127.0.0.1"], "{run}");
    assert_eq!(inodes(&run, gateway.process()).len(), 1, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn b07_a_listener_that_is_not_in_the_way_lives() {
    let bystander = Bystander::start();
    // It is an instance, too. Only its address saves it.
    let spared = Fixture::gateway_on("127.0.0.2:18789").start();
    let gateway = Fixture::gateway().start();
    let run = portclear(&["--json", GATEWAY]);
    instances_ended(&run, &[gateway.process()]);
    assert_eq!(listeners(&run), ["127.0.0.1"], "{run}");
    spared.answers();
    assert_eq!(spared.signals(), [""; 0]);
    let gateway = Fixture::gateway_on("[::1]:18789").start();
    instances_ended(&portclear(&["--json", "localhost:18789"]), &[gateway.process()]);
    spared.answers();
    instances_ended(&portclear(&["--json", "0.0.0.0:18789"]), &[spared.process()]);
    bystander.answers();
}

fn b07_a_foreign_listener_beside_it_spares_both() {
    let bystander = Bystander::start();
    let gateway = Fixture::silent().listen_reuseport(GATEWAY).start();
    let other = Fixture::other("127.0.0.1:18791").listen_reuseport("[::]:18789").start();
    let of_both = [(&gateway, "stale-instance"), (&other, "foreign")];
    for (port, holders) in [(GATEWAY, &of_both[..]), ("18789", &of_both), ("[::1]:18789", &of_both[1..])] {
        let run = portclear(&["--json", port]);
        assert_eq!(run.status, 3, "{run}");
        let mut told = run.json()["ports"][0]["holders"].as_array().unwrap().clone();
        told.sort_by_key(|holder| holder["pid"] == other.pid());
        assert_eq!(told.len(), holders.len(), "{run}");
        for (told, (fixture, rule)) in told.iter().zip(holders) {
            assert_eq!((&told["pid"], &told["rule"]), (&json!(fixture.pid()), &json!(rule)), "{run}");
            assert_eq!((sent(told), &told["outcome"]), (vec![], &json!("untouched")), "{run}");
        }
        untouched(&gateway);
        other.answers_on("[::1]:18789");
        assert_eq!(other.signals(), [""; 0]);
    }
    // Without the other one, the gateway is ended.
    drop(other);
    cleared(&portclear(&["--json", GATEWAY]), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}
