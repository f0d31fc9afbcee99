//! `--protect` spares what it names, and `--any-owner` ends a foreign holder but nothing else.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c01_protect_spares_the_named_process),
        case!(c01_protect_spares_what_is_below_the_named_process),
        case!(a01_any_owner_ends_a_foreign_holder_and_nothing_else),
        case!(a05_any_owner_ends_no_offspring),
    ]
}

fn c01_protect_spares_the_named_process() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let own = gateway.pid().to_string();
    let because = format!("this call protects process {own}, and all that it started");
    let unrelated = bystander.pid().to_string();
    for more in [&["--protect", &own][..], &["--protect", &unrelated, "--protect", &own, "--any-owner"]] {
        assert_eq!(spared(&portclear_json(more), 3, gateway.pid(), "protected"), because);
        untouched(&gateway);
    }
    cleared(&portclear_json(&["--protect", &unrelated]), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}

fn c01_protect_spares_what_is_below_the_named_process() {
    let bystander = Bystander::start();
    let top = Fixture::silent().marked(false).package("session").start();
    let middle = Fixture::silent().marked(false).package("session").start_below(&top);
    let gateway = Fixture::gateway().start_below(&middle);
    let named = |fixture: &Fixture| fixture.pid().to_string();
    for above in [&top, &middle] {
        let reason = spared(&portclear_json(&["--protect", &named(above)]), 3, gateway.pid(), "protected");
        assert_eq!(reason, format!("this call protects process {}, and all that it started", above.pid()));
        untouched(&gateway);
    }
    // A sibling of `middle` is not above the gateway.
    let other = Fixture::silent().marked(false).package("session").start_below(&top);
    cleared(&portclear_json(&["--protect", &named(&other)]), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!([&top, &middle, &other].iter().all(|fixture| fixture.is_alive()));
    bystander.answers();
}

fn a01_any_owner_ends_a_foreign_holder_and_nothing_else() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    let other = Fixture::other(GATEWAY).start_below(&session);
    let sibling = Fixture::other("127.0.0.1:18791").start_below(&session);
    let child = Fixture::other("127.0.0.1:18792").start_below(&other);
    spared(&portclear_json(&[]), 3, other.pid(), "foreign");
    untouched(&other);
    cleared(&portclear_json(&["--any-owner"]), other.pid(), "any-owner", &["SIGTERM"]);
    other.has_ended();
    assert_eq!(other.signals(), ["TERM"]);
    for one in [&sibling, &child] {
        untouched(one);
    }
    assert!(session.is_alive());
    assert_eq!(session.signals(), [""; 0]);
    bystander.answers();
}

fn a05_any_owner_ends_no_offspring() {
    let bystander = Bystander::start();
    let offspring = Fixture::gateway().env("OPENCLAW_SHELL", "exec").start();
    let reason = spared(&portclear_json(&["--any-owner"]), 3, offspring.pid(), "offspring");
    assert!(reason.contains("OPENCLAW_SHELL"), "{reason}");
    untouched(&offspring);
    bystander.answers();
}
