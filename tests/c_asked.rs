//! C. What started too late to be stale, and what the caller asked for: `--protect`, `--any-owner`, `--no-kill`,
//! `--signal`.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;

use crate::c_healthy::{JSON, cleared, sent, spared, untouched};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c06_a_gateway_that_started_after_the_call_is_newer),
        case!(c01_protect_spares_the_named_process),
        case!(c01_protect_spares_what_is_below_the_named_process),
        case!(a01_any_owner_ends_a_foreign_holder_and_nothing_else),
        case!(a05_any_owner_ends_no_offspring),
        case!(d02_no_kill_sends_no_sigkill),
        case!(d02_another_signal_is_sent_instead_of_sigterm),
        case!(c02_the_proc_of_another_pid_namespace_is_refused),
    ]
}

const AT: &str = "127.0.0.1:18789";

#[track_caller]
fn run(more: &[&str]) -> Run {
    portclear(&[&JSON, more].concat())
}

fn c06_a_gateway_that_started_after_the_call_is_newer() {
    let bystander = Bystander::start();
    let rounds = [
        (Fixture::gateway(), &[][..]),
        (Fixture::gateway(), &["--any-owner"]),
        (Fixture::gateway().marked(false), &[]),
        (Fixture::other(AT), &["--any-owner"]),
    ];
    for (server, more) in rounds {
        // So that the probe finds the port busy.
        let earlier = Fixture::gateway().start();
        let mut late = Portclear::new(&[&JSON, more].concat()).traced();
        late.run_to_call(libc::SYS_socket, |arguments| arguments[0] == libc::AF_NETLINK as u64);
        drop(earlier);
        let server = server.start();
        let reason = spared(&late.finish(), 3, server.pid(), "newer");
        assert!(
            reason.starts_with("it did not start before the caller, or what called it, or is another"),
            "{reason}"
        );
        untouched(&server);
    }
    bystander.answers();
}

fn c01_protect_spares_the_named_process() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let own = gateway.pid().to_string();
    let because = format!("process {own} is protected by name, with what it started");
    let unrelated = bystander.pid().to_string();
    for more in [&["--protect", &own][..], &["--protect", &unrelated, "--protect", &own, "--any-owner"]] {
        assert_eq!(spared(&run(more), 3, gateway.pid(), "protected"), because);
        untouched(&gateway);
    }
    cleared(&run(&["--protect", &unrelated]), gateway.pid(), "stale-instance", &["SIGTERM"]);
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
        let reason = spared(&run(&["--protect", &named(above)]), 3, gateway.pid(), "protected");
        assert_eq!(reason, format!("process {} is protected by name, with what it started", above.pid()));
        untouched(&gateway);
    }
    // A sibling of the middle one.
    let other = Fixture::silent().marked(false).package("session").start_below(&top);
    cleared(&run(&["--protect", &named(&other)]), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!([&top, &middle, &other].iter().all(|fixture| fixture.is_alive()));
    bystander.answers();
}

fn a01_any_owner_ends_a_foreign_holder_and_nothing_else() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    let other = Fixture::other(AT).start_below(&session);
    let sibling = Fixture::other("127.0.0.1:18791").start_below(&session);
    let child = Fixture::other("127.0.0.1:18792").start_below(&other);
    spared(&run(&[]), 3, other.pid(), "foreign");
    untouched(&other);
    cleared(&run(&["--any-owner"]), other.pid(), "any-owner", &["SIGTERM"]);
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
    let reason = spared(&run(&["--any-owner"]), 3, offspring.pid(), "offspring");
    assert!(reason.contains("OPENCLAW_SHELL"), "{reason}");
    untouched(&offspring);
    bystander.answers();
}

fn d02_no_kill_sends_no_sigkill() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let left = run(&["--no-kill", "--grace", "200ms"]);
    assert_eq!(left.status, 5, "{left}");
    let port = left.json()["ports"][0].take();
    assert_eq!(port["status"], "survived", "{left}");
    assert_eq!(port["sentence"], "still held: 1 process signalled and still there", "{left}");
    let holder = &port["holders"][0];
    assert_eq!((sent(holder), &holder["outcome"]), (vec!["SIGTERM"], &json!("survived")), "{left}");
    gateway.answers();
    assert_eq!(gateway.signals(), ["TERM"]);
    // Without it the same process does not survive.
    let killed = run(&["--grace", "200ms"]);
    cleared(&killed, gateway.pid(), "stale-instance", &["SIGTERM", "SIGKILL"]);
    assert_eq!(gateway.status().signal(), Some(libc::SIGKILL));
    bystander.answers();
}

fn d02_another_signal_is_sent_instead_of_sigterm() {
    let bystander = Bystander::start();
    for name in ["INT", "SIGINT"] {
        let gateway = Fixture::gateway().start();
        cleared(&run(&["--signal", name]), gateway.pid(), "stale-instance", &["SIGINT"]);
        assert_eq!(gateway.status().code(), Some(0));
        assert_eq!(gateway.signals(), ["INT"]);
    }
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let killed = run(&["--signal", "INT", "--grace", "200ms"]);
    cleared(&killed, gateway.pid(), "stale-instance", &["SIGINT", "SIGKILL"]);
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["INT"]);
    bystander.answers();
}

fn c02_the_proc_of_another_pid_namespace_is_refused() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // Its /proc stays the outer one: each number in it is another process there than here.
    let enter = ["unshare", "--pid", "--fork", "--kill-child", "--"];
    let refused = Portclear::new(&JSON).through(&enter).run();
    assert_eq!(refused.status, 1, "{refused}");
    let port = refused.json()["ports"][0].take();
    assert_eq!(port["status"], "error", "{refused}");
    assert_eq!(port["holders"], json!([]), "{refused}");
    let sentence =
        "could not find out: cannot read who asks from /proc: /proc belongs to another pid namespace";
    assert_eq!(port["sentence"], sentence, "{refused}");
    untouched(&gateway);
    // Said without --json, too.
    let refused = Portclear::new(&["18789"]).through(&enter).run();
    assert_eq!(refused.status, 1, "{refused}");
    assert!(refused.stderr.contains("/proc belongs to another pid namespace"), "{refused}");
    untouched(&gateway);
    bystander.answers();
}
