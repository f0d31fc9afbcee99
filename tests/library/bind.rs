//! `bind` costs nothing where the address is free, and clears an earlier instance where it is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bind_server::{Program, said, serve, start, start_for};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_free_address_costs_what_std_costs),
        case!(its_own_kind_is_cleared_at_every_address),
        case!(an_instance_is_known_through_links_and_upgrades),
        case!(several_addresses_are_tried_as_std_tries_them),
        case!(v6only_is_what_std_makes_it, Needs::Root),
        case!(a_stubborn_instance_is_waited_for_and_killed),
        case!(nothing_is_left_behind_by_any_call),
        case!(d10_who_binds_does_not_watch_for_a_respawn),
        case!(a12_a_server_of_another_tenant_is_spared),
    ]
}

fn a_free_address_costs_what_std_costs() {
    // The tracer knows the program by this name.
    let program = Program::new("portclear");
    let calls = |task: &Value| {
        let become_server = r#"exec "$0""#;
        let through = ["/bin/sh", "-c", become_server, program.path.to_str().unwrap()];
        let portclear = Portclear::new(&[]).env("PORTCLEAR_TESTS_BIND", task.to_string()).through(&through);
        let (run, calls) = portclear.traced().record();
        assert_eq!(run.status, 0, "{run}");
        let made = calls.iter().map(|call| call.number).skip_while(|number| *number != libc::SYS_socket);
        made.collect::<Vec<_>>()
    };
    for address in ["127.0.0.1:18789", "[::1]:18789", "0.0.0.0:18789", "[::]:18789", "127.0.0.1:0"] {
        let std = calls(&json!({ "std": address }));
        let ours = calls(&json!({ "bind": address, "traced": true }));
        assert_eq!(ours, std, "{address}");
        // The comparison sees a bind and a listen.
        let bind = std.iter().filter(|number| **number == libc::SYS_bind).count();
        assert_eq!((bind, std.contains(&libc::SYS_listen)), (1, true), "{address}");
    }
}

/// The next server takes the port. It has asked the earlier one to end, once.
#[track_caller]
fn is_succeeded(old: &mut Server, next: &mut Server, at: &str) {
    let (old_pid, next_pid) = (old.pid(), next.pid());
    let said_next = said(next);
    assert_eq!(said_next["serves"], next_pid, "{said_next}");
    assert_eq!(said(old)["asked_by"], next_pid);
    let (status, errors) = old.ended();
    assert!(status.success(), "{old_pid}: {status} {errors}");
    assert_eq!(ask(at).unwrap(), format!("{next_pid} bind"));
}

fn its_own_kind_is_cleared_at_every_address() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    // where the earlier instance listens, what the next one wants, where to ask
    let table = [
        ("127.0.0.1:18789", "127.0.0.1:18789", "127.0.0.1:18789"),
        ("0.0.0.0:18789", "127.0.0.1:18789", "127.0.0.1:18789"),
        ("127.0.0.1:18789", "0.0.0.0:18789", "127.0.0.1:18789"),
        ("[::1]:18789", "[::1]:18789", "[::1]:18789"),
        ("[::1]:18789", "[::]:18789", "[::1]:18789"),
        ("[::]:18789", "[::]:18789", "127.0.0.1:18789"),
        ("[::]:18789", "0.0.0.0:18789", "127.0.0.1:18789"),
        ("127.0.0.1:18789", "[::]:18789", "[::1]:18789"),
        ("127.0.0.1:18789", "localhost:18789", "127.0.0.1:18789"),
    ];
    for (held, wanted, at) in table {
        let mut old = program.serve(held);
        let mut next = program.start(&serve(wanted));
        is_succeeded(&mut old, &mut next, at);
        next.process().kill();
    }
    // Neither another address of the same port nor another port is in the way.
    let mut other = program.serve("127.0.0.2:18789");
    let neighbour = program.serve("127.0.0.1:18788");
    let next = program.serve("127.0.0.1:18789");
    for server in [&neighbour, &next] {
        assert!(server.process().is_alive());
    }
    assert_eq!(ask("127.0.0.2:18789").unwrap(), format!("{} bind", other.pid()));
    // Port 0 belongs to nobody.
    let mut any = program.start(&serve("127.0.0.1:0"));
    let local = said(&mut any)["local"].as_str().unwrap().to_owned();
    assert_eq!(ask(&local).unwrap(), format!("{} bind", any.pid()));
    assert!(other.process().is_alive());
    other.go();
    assert_eq!(other.line(), None);
    bystander.answers();
}

fn an_instance_is_known_through_links_and_upgrades() {
    let bystander = Bystander::start();
    let at = "127.0.0.1:18789";
    let program = Program::new("gateway");
    let folder = program.folder();
    symlink(&program.path, folder.join("link")).unwrap();
    fs::hard_link(&program.path, folder.join("other-name")).unwrap();
    let from = |path: &str| start(Path::new(path), &serve(at));
    let name = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    // It starts through a link, and by another name of the same file, in both directions.
    let mut last = program.serve(at);
    for path in ["link", "other-name", "gateway", "link"] {
        let mut next = from(&name(path));
        is_succeeded(&mut last, &mut next, at);
        tick_after(next.start_ticks());
        last = next;
    }
    // The common restart, twice: the file was replaced after the last start.
    for _ in 0..2 {
        program.replace();
        let mut next = from(&name("gateway"));
        is_succeeded(&mut last, &mut next, at);
        tick_after(next.start_ticks());
        last = next;
    }
    // The file is replaced between the start of the caller and its call. The caller then runs the same file as the
    // earlier instance.
    let replaced_late = || {
        let gated = program.start(&json!({ "bind": at, "gated": true }));
        until("the caller has started", || gated.process().exe().is_some_and(|exe| exe == program.path));
        program.replace();
        gated
    };
    let mut gated = replaced_late();
    gated.go();
    is_succeeded(&mut last, &mut gated, at);
    tick_after(gated.start_ticks());
    // The same, but the earlier instance was started by another name of that file, which still exists.
    let mut next = from(&name("gateway"));
    is_succeeded(&mut gated, &mut next, at);
    tick_after(next.start_ticks());
    fs::hard_link(&program.path, folder.join("second-name")).unwrap();
    let mut last = from(&name("second-name"));
    is_succeeded(&mut next, &mut last, at);
    tick_after(last.start_ticks());
    let mut gated = replaced_late();
    gated.go();
    is_succeeded(&mut last, &mut gated, at);
    // Another file at another path is another program, even with the same name.
    tick_after(gated.start_ticks());
    let other = Program::new("gateway");
    let mut stranger = other.start(&serve(at));
    let said = said(&mut stranger);
    assert_eq!(said["holders"], json!([[gated.pid(), 0, "Spared(Foreign)"]]), "{said}");
    assert_eq!(ask(at).unwrap(), format!("{} bind", gated.pid()));
    bystander.answers();
}

fn several_addresses_are_tried_as_std_tries_them() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let foreign = Fixture::other("127.0.0.1:18789").start();
    let mut stale = program.serve("127.0.0.2:18789");
    // It takes the first address that can be bound, after it has cleared what is stale there.
    let all = ["192.0.2.1:18789", "127.0.0.1:18789", "127.0.0.2:18789", "127.0.0.3:18789"];
    let mut next = program.start(&json!({ "bind": all }));
    is_succeeded(&mut stale, &mut next, "127.0.0.2:18789");
    // All are refused. An address in use says more than one that this machine does not have.
    let mut none = program.start(&json!({ "bind": ["192.0.2.1:18789", "127.0.0.1:18789", "192.0.2.2:18789"] }));
    let refused = said(&mut none);
    assert_eq!(refused["holders"], json!([[foreign.pid(), 0, "Spared(Foreign)"]]), "{refused}");
    let mut nowhere = program.start(&json!({ "bind": [] }));
    let refused = said(&mut nowhere);
    assert_eq!((&refused["kind"], &refused["cause"]), (&"InvalidInput".into(), &"it resolves to no address".into()));
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    bystander.answers();
}

fn v6only_is_what_std_makes_it() {
    let bystander = Bystander::start();
    // This setting belongs to the test's network namespace.
    fs::write("/proc/sys/net/ipv6/bindv6only", "1").unwrap();
    let program = Program::new("gateway");
    let four = Fixture::other("0.0.0.0:18789").start();
    let mut stale = program.serve("[::]:18789");
    let mut next = program.start(&serve("[::]:18789"));
    is_succeeded(&mut stale, &mut next, "[::1]:18789");
    four.answers_on("127.0.0.1:18789");
    // The families are not in each other's way now. Here the foreign IPv4 listener refuses the IPv4 address.
    tick_after(next.start_ticks());
    let mut both = program.start(&serve("0.0.0.0:18789"));
    assert_eq!(said(&mut both)["kind"], "AddrInUse");
    assert_eq!(four.signals(), [""; 0]);
    assert!(next.process().is_alive());
    bystander.answers();
}

fn a_stubborn_instance_is_waited_for_and_killed() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let at = "127.0.0.1:18789";
    let mut old = program.start(&json!({ "bind": at, "ignores": true }));
    assert_eq!(said(&mut old)["serves"], old.pid());
    tick_after(old.start_ticks());
    // Without SIGKILL the old one stays, and is named.
    let mut next = program.start(&json!({ "bind": at, "grace_ms": 300, "no_kill": true }));
    let refused = said(&mut next);
    let sentence = format!("still held: 1 process signalled and still there (gateway, pid {}: ", old.pid());
    assert!(refused["refused"].as_str().unwrap().contains(&sentence), "{refused}");
    assert_eq!(refused["holders"], json!([[old.pid(), 1, "Stale(Instance)"]]));
    assert_eq!(ask(at).unwrap(), format!("{} bind", old.pid()));
    let mut next = program.start(&json!({ "bind": at, "grace_ms": 300 }));
    let said = said(&mut next);
    assert_eq!(said["serves"], next.pid(), "{said}");
    old.process().has_ended();
    bystander.answers();
}

fn nothing_is_left_behind_by_any_call() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let foreign = Fixture::other("127.0.0.1:18788").start();
    let mut old = program.serve("127.0.0.1:18789");
    let with_listener = |before: &Value| {
        let mut one_more = before.clone();
        one_more[0] = json!(before[0].as_u64().unwrap() + 1);
        one_more
    };
    // One address is free, one is refused, and one is cleared. Each dropped listener is closed.
    let mut free = program.start(&json!({ "bind": "127.0.0.1:18787", "times": 3 }));
    let free = said(&mut free);
    assert_eq!(free["after"], with_listener(&free["before"]), "{free}");
    let mut refused = program.start(&json!({ "bind": "127.0.0.1:18788", "times": 3 }));
    let refused = said(&mut refused);
    assert_eq!(refused["after"], refused["before"], "{refused}");
    assert!(refused["refused"].is_string());
    let mut next = program.start(&serve("127.0.0.1:18789"));
    let cleared = said(&mut next);
    assert_eq!(cleared["serves"], next.pid(), "{cleared}");
    assert_eq!(cleared["after"], with_listener(&cleared["before"]), "{cleared}");
    assert_eq!(said(&mut old)["asked_by"], next.pid());
    foreign.answers();
    bystander.answers();
}

/// The parent of the ended server lives on, and might start it again. `clear` would watch the port for a second.
fn d10_who_binds_does_not_watch_for_a_respawn() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let session = program.folder().join("session");
    fs::write(&session, format!("#!/bin/sh\nexec 3<&0\n'{}' <&3 &\nwait\nread line\n", program.path.display()))
        .unwrap();
    fs::set_permissions(&session, fs::Permissions::from_mode(0o755)).unwrap();
    let mut session = start(&session, &serve(GATEWAY));
    let old = said(&mut session)["serves"].as_u64().unwrap();
    let old = Proc::of(u32::try_from(old).unwrap());
    tick_after(old.stat().starttime);
    let before = Instant::now();
    let mut next = program.start(&serve(GATEWAY));
    assert_eq!(said(&mut next)["serves"], next.pid());
    assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
    old.has_ended();
    assert!(session.process().is_alive());
    next.process().kill();
    bystander.answers();
}

fn a12_a_server_of_another_tenant_is_spared() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let mut first = start_for(&program, "a", GATEWAY);
    assert_eq!(said(&mut first)["serves"], first.pid());
    tick_after(first.start_ticks());
    let mut stranger = start_for(&program, "b", GATEWAY);
    let refused = said(&mut stranger);
    assert_eq!(refused["holders"], json!([[first.pid(), 0, "Spared(OtherInstance)"]]), "{refused}");
    assert_eq!(ask(GATEWAY).unwrap(), format!("{} bind", first.pid()));
    // A later server of the same tenant takes its place.
    let mut next = start_for(&program, "a", GATEWAY);
    is_succeeded(&mut first, &mut next, GATEWAY);
    bystander.answers();
}
