//! The same port in another network namespace is another port. Its listener is not in the way, and lives.

use std::fs::File;

use nix::sched::{CloneFlags, setns};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(g05_a_listener_in_another_network_is_not_in_the_way),
        case!(g05_a_listener_in_another_network_outlives_ours),
    ]
}

/// Moves the calling thread into a network of its own. Gives the way back.
fn another_network() -> File {
    let here = File::open("/proc/thread-self/ns/net").unwrap();
    net::isolate();
    here
}

fn g05_a_listener_in_another_network_is_not_in_the_way() {
    let other = Fixture::gateway().start();
    let theirs = another_network();
    assert!(can_bind(GATEWAY));
    for arguments in [&["18789", "--json"][..], &["18789", "--json", "--any-owner"]] {
        let run = portclear(arguments);
        let port = run.json()["ports"][0].take();
        assert_eq!((run.status, port["status"].as_str()), (0, Some("free")), "{run}");
    }
    setns(theirs, CloneFlags::CLONE_NEWNET).unwrap();
    untouched(&other);
}

fn g05_a_listener_in_another_network_outlives_ours() {
    let other = Fixture::gateway().start();
    let theirs = another_network();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = portclear(&["18789", "--json"]);
    let port = run.json()["ports"][0].take();
    assert_eq!((run.status, port["status"].as_str()), (0, Some("cleared")), "{run}");
    let (listeners, holders) = (port["listeners"].as_array().unwrap(), port["holders"].as_array().unwrap());
    assert_eq!((listeners.len(), holders.len()), (1, 1), "{run}");
    assert_eq!(holders[0]["pid"], gateway.pid(), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.has_ended();
    bystander.answers();
    setns(theirs, CloneFlags::CLONE_NEWNET).unwrap();
    untouched(&other);
}
