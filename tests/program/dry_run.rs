//! A dry run judges as a real run does, and signals nobody.

use serde_json::Value;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(a_dry_run_judges_alike_and_signals_nobody)]
}

fn a_dry_run_judges_alike_and_signals_nobody() {
    let bystander = Bystander::start();
    let stale = Fixture::gateway_on("127.0.0.1:1001").start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let offspring = Fixture::gateway_on("127.0.0.1:1003").env("OPENCLAW_SHELL", "exec").start();
    let in_flight = Fixture::gateway_on("127.0.0.1:1004").start();
    in_flight.sockets_in_flight();
    // One of two holders is stale. The other one decides.
    let half = Fixture::gateway_on("127.0.0.1:1005").start();
    let other_half = Fixture::other("127.0.0.2:1005").start();
    let all = [&stale, &foreign, &offspring, &in_flight, &half, &other_half];

    let look = |port: &str| portclear(&[port, "--json", "--dry-run"]);
    let table = [("1001", 0), ("1002", 3), ("1003", 3), ("1004", 4), ("1005", 3), ("1006", 0)];
    let dry: Vec<Run> = table.iter().map(|(port, _)| look(port)).collect();
    for fixture in all {
        assert_eq!(fixture.signals(), [""; 0]);
        assert!(fixture.is_alive());
    }
    for ((port, status), dry) in table.iter().zip(&dry) {
        let real = portclear(&[port, "--json"]);
        assert_eq!((dry.status, real.status), (*status, *status), "{dry}\n{real}");
        let judgements = |run: &Run| -> Vec<Vec<Value>> {
            let document = run.json();
            let holders = document["ports"][0]["holders"].as_array().unwrap().clone();
            let keys = ["pid", "identity", "liveness", "verdict", "rule", "reason"];
            holders.iter().map(|holder| keys.map(|key| holder[key].clone()).to_vec()).collect()
        };
        assert_eq!(judgements(dry), judgements(&real), "{dry}\n{real}");
        for holder in dry.json()["ports"][0]["holders"].as_array().unwrap() {
            assert_eq!((&holder["outcome"], &holder["ended_after_ms"]), (&Value::from("untouched"), &Value::Null));
            assert_eq!(holder["signals"], Value::Array(vec![]));
        }
        let [dry, real] = [dry, &real].map(|run| run.json()["ports"][0]["status"].clone());
        if *port == "1001" {
            assert_eq!((dry, real), ("would-clear".into(), "cleared".into()));
        } else {
            assert_eq!(dry, real);
        }
    }
    stale.has_ended();
    for fixture in all.into_iter().skip(1) {
        assert_eq!(fixture.signals(), [""; 0]);
    }
    bystander.answers();
}
