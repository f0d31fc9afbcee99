//! A port is a number, and only its listeners hold it. Clients and other ports live.

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a08_a_port_is_a_number_and_not_a_part_of_one),
        case!(a09_a_client_outlives_the_stale_server),
        case!(a09_both_ends_of_a_connection_from_the_port_live),
        case!(a10_the_port_given_is_cleaned_and_the_default_one_lives),
    ]
}

fn a08_a_port_is_a_number_and_not_a_part_of_one() {
    let ports = ["1878", "8789", "18789", "18790"];
    for wanted in ports {
        let start = |port: &&str| Fixture::gateway_on(&format!("127.0.0.1:{port}")).start();
        let others: Vec<Fixture> = ports.iter().filter(|port| **port != wanted).map(start).collect();
        let run = portclear(&[wanted, "--json"]);
        assert_eq!((run.status, run.json()["ports"][0]["status"].as_str()), (0, Some("free")), "{run}");
        others.iter().for_each(untouched);

        let gateway = start(&wanted);
        let run = portclear(&[wanted, "--json"]);
        let port = run.json()["ports"][0].take();
        assert_eq!((run.status, port["status"].as_str()), (0, Some("cleared")), "{run}");
        assert_eq!(port["listeners"].as_array().unwrap().len(), 1, "{run}");
        assert_eq!(port["listeners"][0]["port"].to_string(), wanted);
        assert_eq!(gateway.signals(), ["TERM"]);
        gateway.has_ended();
        others.iter().for_each(untouched);
    }
}

fn a09_a_client_outlives_the_stale_server() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // The client is an instance, too. It lives only because it does not listen.
    let client = Fixture::gateway_on("127.0.0.1:18791").start();
    client.connect("127.0.0.1:0", GATEWAY);
    let run = portclear(&["18789", "--json"]);
    let holders = run.json()["ports"][0]["holders"].take();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!((holders.as_array().unwrap().len(), &holders[0]["pid"]), (1, &json!(gateway.pid())), "{run}");
    gateway.has_ended();
    untouched(&client);
    bystander.answers();
}

fn a09_both_ends_of_a_connection_from_the_port_live() {
    let server = Fixture::gateway_on("127.0.0.1:18791").start();
    let client = Fixture::gateway_on("127.0.0.1:18792").start();
    client.connect(GATEWAY, "127.0.0.1:18791");
    let run = portclear(&["18789", "--any-owner"]);
    assert_eq!(run.status, 4, "{run}");
    let run = portclear(&["18789", "--json"]);
    let port = run.json()["ports"][0].take();
    assert_eq!((run.status, port["status"].as_str()), (4, Some("unseen")), "{run}");
    assert_eq!(
        (&port["connections"]["connected"], &port["listeners"], &port["holders"]),
        (&json!(1), &json!([]), &json!([]))
    );
    let sentence = "nobody listens, but one connection uses the port, and connections are left alone";
    assert_eq!(port["sentence"], sentence);
    untouched(&server);
    untouched(&client);

    // The same, beside a listener of the port that does not refuse the bind.
    let elsewhere = Fixture::gateway_on("127.0.0.2:18789").start();
    let run = portclear(&["--json", GATEWAY]);
    let port = run.json()["ports"][0].take();
    assert_eq!(
        (run.status, &port["connections"]["connected"], &port["sentence"]),
        (4, &json!(1), &json!(sentence)),
        "{run}"
    );
    untouched(&elsewhere);
    drop(elsewhere);

    // The same, beside a stale listener: the listener ends, and both ends of the connection live.
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on("[::1]:18789").start();
    let run = portclear(&["[::1]:18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    untouched(&server);
    untouched(&client);
    bystander.answers();
}

fn a10_the_port_given_is_cleaned_and_the_default_one_lives() {
    let default = Fixture::gateway().start();
    // Its arguments name the default port, but it listens on another one. The socket counts.
    let given = Fixture::gateway_on("127.0.0.1:19001").args(&["gateway", "--port", "18789"]).start();
    let run = Portclear::new(&["19001"]).env("OPENCLAW_GATEWAY_PORT", "18789").run();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(given.signals(), ["TERM"]);
    given.has_ended();
    untouched(&default);
    let run = portclear(&["19001"]);
    assert_eq!(run.status, 0, "{run}");
    let run = Portclear::new(&[]).env("OPENCLAW_GATEWAY_PORT", "18789").run();
    assert_eq!(run.status, 2, "{run}");
    untouched(&default);
}
