//! `bind` may give no listener. Its error then says why, and what was done.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use super::bind_server::{Program, said, serve};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(what_is_no_instance_is_left_alone_and_named),
        case!(of_several_addresses_the_one_that_was_signalled_is_told),
        case!(a_socket_that_no_table_shows_is_looked_at_a_few_times),
        case!(a_rule_of_the_systems_is_given_as_it_is),
        case!(what_cannot_be_found_out_is_the_cause),
        case!(a_bind_at_odds_with_every_look_gives_up_in_time),
        case!(its_own_listener_and_its_childs_are_no_stale_ones),
        case!(a_runtime_is_no_services_own_executable),
    ]
}

fn what_is_no_instance_is_left_alone_and_named() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let foreign = Fixture::other("127.0.0.1:18789").start();
    let mut server = program.start(&serve("127.0.0.1:18789"));
    let refused = said(&mut server);
    let sentence = format!(
        "cannot bind 127.0.0.1:18789: held, and left alone: nothing was signalled (node, pid {}: not recognised as \
         gateway: it runs node index.js; its program is not {})",
        foreign.pid(),
        program.path.display()
    );
    assert_eq!(refused["refused"], sentence);
    assert_eq!(refused["kind"], "AddrInUse");
    assert_eq!(refused["cause"], "Address already in use (os error 98)");
    assert_eq!(refused["io"], json!(["AddrInUse", sentence]));
    assert_eq!(refused["holders"], json!([[foreign.pid(), 0, "Spared(Foreign)"]]));
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);

    // A newer instance starts while the caller waits at its gate.
    let mut late = program.start(&json!({ "bind": "127.0.0.1:18780", "gated": true }));
    until("the caller has started", || late.process().exe().is_some_and(|exe| exe == program.path));
    tick_after(late.start_ticks());
    // It runs the next version of the file.
    program.replace();
    let newer = program.serve("127.0.0.1:18780");
    late.go();
    let refused = said(&mut late);
    assert_eq!(refused["holders"], json!([[newer.pid(), 0, "Spared(Newer(Caller))"]]));
    let sentence = refused["refused"].as_str().unwrap();
    assert!(
        sentence.contains(&format!("gateway, pid {}: it did not start before the caller", newer.pid())),
        "{sentence}"
    );
    assert_eq!(ask("127.0.0.1:18780").unwrap(), format!("{} bind", newer.pid()));

    // A name would move the cursor, and a socket is shown by no table.
    let hostile = Fixture::other("127.0.0.1:18781").exe_name("a\x1b[2J\n").start();
    let bound = Fixture::silent().bound_exclusively("127.0.0.1:18782").start();
    for (port, holder, words) in [
        (18781, Some(&hostile), r"(a\u{1b}[2J\n, pid "),
        (18782, None, "a process has bound the port and does not listen"),
    ] {
        let mut server = program.start(&serve(&format!("127.0.0.1:{port}")));
        let refused = said(&mut server);
        let text = refused["refused"].as_str().unwrap();
        assert!(text.contains(words) && !text.contains(char::is_control), "{text}");
        let pids = holder.map(|holder| json!([holder.pid(), 0, "Spared(Foreign)"]));
        assert_eq!(refused["holders"], json!(pids.into_iter().collect::<Vec<_>>()));
    }
    assert!(hostile.is_alive() && bound.is_alive());
    bystander.answers();
}

fn of_several_addresses_the_one_that_was_signalled_is_told() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let foreign = Fixture::other("127.0.0.1:18789").start();
    let mut stubborn = program.start(&json!({ "bind": "127.0.0.2:18789", "ignores": true }));
    assert_eq!(said(&mut stubborn)["serves"], stubborn.pid());
    tick_after(stubborn.start_ticks());
    let (held, survived) = ("127.0.0.1:18789", "127.0.0.2:18789");
    // One address is not this machine's, one is left alone, and the holder of one is signalled. Both orders.
    for addresses in [["192.0.2.1:18789", held, survived], [survived, held, "192.0.2.1:18789"]] {
        let mut next = program.start(&json!({ "bind": addresses, "grace_ms": 100, "no_kill": true }));
        let refused = said(&mut next);
        let sentence = "cannot bind 127.0.0.2:18789: still held: 1 process signalled and still there (";
        assert!(refused["refused"].as_str().unwrap().starts_with(sentence), "{refused}");
        assert_eq!(refused["holders"], json!([[stubborn.pid(), 1, "Stale(Instance)"]]), "{refused}");
    }
    // Nothing was signalled at either address, so the error is about the first one.
    let also = Fixture::other("127.0.0.3:18789").start();
    let mut next = program.start(&json!({ "bind": [held, "127.0.0.3:18789"] }));
    assert_eq!(said(&mut next)["holders"], json!([[foreign.pid(), 0, "Spared(Foreign)"]]));
    for fixture in [&foreign, &also] {
        fixture.answers();
        assert_eq!(fixture.signals(), [""; 0]);
    }
    bystander.answers();
}

fn a_socket_that_no_table_shows_is_looked_at_a_few_times() {
    // The tracer knows the program by this name.
    let program = Program::new("portclear");
    let bound = Fixture::silent().bound_exclusively("127.0.0.1:18789").start();
    let through = ["/bin/sh", "-c", r#"exec "$0""#, program.path.to_str().unwrap()];
    let task = serve("127.0.0.1:18789").to_string();
    let server = Portclear::new(&[]).env("PORTCLEAR_TESTS_BIND", task).through(&through);
    let (run, calls) = server.traced().record();
    assert_eq!(run.status, 1, "{run}");
    // It tries its own bind and looks again after each pause of 0 to 64 ms. A single round would make eight binds.
    let binds = calls.iter().filter(|call| call.number == libc::SYS_bind).count();
    assert!((24..100).contains(&binds), "{binds}");
    assert!(bound.is_alive());
    assert_eq!(bound.signals(), [""; 0]);
}

fn a_rule_of_the_systems_is_given_as_it_is() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let foreign = Fixture::other("127.0.0.1:80").start();
    let table = [
        ("192.0.2.1:80", "AddrNotAvailable", "cannot bind 192.0.2.1:80", "(os error 99)"),
        ("[fe80::1]:80", "InvalidInput", "cannot bind [fe80::1]:80", "(os error 22)"),
        ("18789", "InvalidInput", "cannot resolve the address to bind", "invalid socket address"),
        ("127.0.0.1:65536", "InvalidInput", "cannot resolve the address to bind", "invalid port value"),
    ];
    for (address, kind, sentence, cause) in table {
        let mut server = program.start(&serve(address));
        let refused = said(&mut server);
        assert_eq!((&refused["kind"], &refused["refused"]), (&kind.into(), &sentence.into()), "{refused}");
        assert!(refused["cause"].as_str().unwrap().contains(cause), "{refused}");
        assert_eq!((&refused["holders"], &refused["io"][0]), (&Value::Null, &kind.into()));
    }
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    bystander.answers();
}

/// Refuses something to the program, and runs it with a task.
fn without(what: &str, program: &Program, task: &Value) -> Server {
    let script = program.folder().join("refuse.py");
    fs::write(&script, include_str!("../support/refuse.py")).unwrap();
    let argv = ["/usr/bin/python3", script.to_str().unwrap(), what, program.path.to_str().unwrap()];
    Server::start(&argv, &[("PORTCLEAR_TESTS_BIND", &task.to_string())])
}

fn what_cannot_be_found_out_is_the_cause() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let stale = program.serve("127.0.0.1:18789");
    let mut server = without("netlink+tables", &program, &serve("127.0.0.1:18789"));
    let refused = said(&mut server);
    let sentence = "cannot bind 127.0.0.1:18789: it is in use, and the holder could not be found";
    assert_eq!((&refused["refused"], &refused["kind"]), (&sentence.into(), &"AddrInUse".into()));
    assert_eq!(refused["cause"], "cannot read the socket table", "{refused}");
    assert_eq!(ask("127.0.0.1:18789").unwrap(), format!("{} bind", stale.pid()));
    bystander.answers();
}

fn a_bind_at_odds_with_every_look_gives_up_in_time() {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let begin = Instant::now();
    let mut server = without("listen", &program, &json!({ "bind": "127.0.0.1:18789", "grace_ms": 500 }));
    let refused = said(&mut server);
    let elapsed = begin.elapsed().as_secs_f64();
    assert!((2.5..6.0).contains(&elapsed), "{elapsed} s");
    assert_eq!(
        refused["refused"],
        "cannot bind 127.0.0.1:18789: free at every look, and taken again before every bind"
    );
    assert_eq!((&refused["kind"], &refused["holders"]), (&"AddrInUse".into(), &json!([])));
    // It does not loop hot: it took less than a fifth of one processor's time.
    let stat = server.process().stat();
    let ticks = stat.utime + stat.stime;
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    assert!(seconds < elapsed / 5.0, "{seconds} s of {elapsed} s");
    bystander.answers();
}

fn its_own_listener_and_its_childs_are_no_stale_ones() {
    let bystander = Bystander::start();
    // This test run is the caller, and the parent of the fixture.
    let own = std::net::TcpListener::bind("127.0.0.1:18789").unwrap();
    let child = Fixture::gateway_on("127.0.0.1:18788").start();
    let policy = || portclear::Policy::new(portclear::Service::of_current_exe().unwrap());
    let refused = |at: &str, policy: &portclear::Policy| portclear::bind(at, policy).unwrap_err();
    let error = refused("127.0.0.1:18789", &policy());
    assert!(error.to_string().contains(": it is the caller itself"), "{error}");
    let error = refused("127.0.0.1:18788", &portclear::Policy::new(portclear::Service::openclaw()));
    assert!(error.to_string().contains(": the caller started it"), "{error}");
    assert_eq!(error.report().unwrap().holders.len(), 1);
    drop(own);
    // Errors and policies are plain data, which any thread may use.
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&error);
    shared(error.report().unwrap());
    shared(&policy());
    let listener = portclear::bind("127.0.0.1:18789", &policy()).unwrap();
    assert_eq!(listener.local_addr().unwrap().to_string(), "127.0.0.1:18789");
    child.answers();
    bystander.answers();
}

fn a_runtime_is_no_services_own_executable() {
    for name in ["node", "python3.11", "busybox", "ld-linux-x86-64.so.2", "qemu-aarch64-static"] {
        let program = Program::new(name);
        let mut server = program.start(&serve("127.0.0.1:18789"));
        let said = said(&mut server);
        assert_eq!(said["unsupported"], true, "{said}");
        let why = said["why"].as_str().unwrap();
        assert!(why.starts_with(program.path.to_str().unwrap()) && why.contains("anybody's"), "{why}");
    }
}
