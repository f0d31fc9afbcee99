//! A gateway is found whatever it is called.

use std::fs;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b01_a_gateway_that_node_runs_is_ended, Needs::Node),
        case!(b01_an_innocent_node_is_left_alone_and_named, Needs::Node),
        case!(b01_a_gateway_is_ended_whatever_its_name_is),
        case!(b02_a_titled_node_is_known_by_its_marker, Needs::Node),
        case!(b02_hostile_names_hide_no_gateway_and_another_title_acquits),
    ]
}

fn proc_file(of: &Fixture, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{}/{name}", of.pid())).unwrap()
}

fn b01_a_gateway_that_node_runs_is_ended() {
    let gateway = Fixture::gateway().real_node().arg0(b"node").start();
    let elsewhere = Fixture::other("127.0.0.1:18791").real_node().start();
    let script = gateway.script().display().to_string();
    assert_eq!(proc_file(&gateway, "cmdline"), format!("node\0{script}\0gateway\0--port\x0018789\0").as_bytes());
    gateway.answers();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY) && can_bind("[::]:18789"));
    let [holder, port] = run.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{run}") };
    let (pid, exe) = (gateway.pid(), gateway.exe().display());
    assert!(holder.starts_with(&format!("portclear: port 18789: node (pid {pid}, uid 0")), "{run}");
    assert!(holder.contains(&format!(", exe {exe}, ")) && holder.contains(": stale: "), "{run}");
    assert!(holder.contains("; its script lies in package openclaw: SIGTERM after "), "{run}");
    assert_eq!(port, "portclear: port 18789: cleared, 1 process ended; a bind proves it", "{run}");
    elsewhere.answers();
    assert_eq!(elsewhere.signals(), [""; 0]);
}

fn b01_an_innocent_node_is_left_alone_and_named() {
    let innocent = Fixture::other(GATEWAY).real_node().start();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 3, "{run}");
    innocent.answers();
    assert_eq!(innocent.signals(), [""; 0]);
    let who = format!("node (pid {}, uid 0", innocent.pid());
    let what = "spared: not recognised as OpenClaw: it runs node index.js; no marker, no script of package openclaw, no lock file";
    assert!(run.stderr.contains(&who) && run.stderr.contains(what), "{run}");
    assert!(run.stderr.contains(": held, and left alone: nothing was signalled; next: `"), "{run}");
    left_alone(&portclear(&JSON), &[(innocent.process(), "foreign")]);
}

fn b01_a_gateway_is_ended_whatever_its_name_is() {
    let bystander = Bystander::start();
    for (exe, comm) in [("node", "MainThread"), ("bun", "bun"), ("nodejs", "x"), ("node22", "sh")] {
        let gateway = Fixture::gateway().exe_name(exe).arg0(b"anything").start();
        gateway.set_comm(comm.as_bytes());
        assert_eq!(proc_file(&gateway, "comm"), format!("{comm}\n").as_bytes());
        let run = portclear(&JSON);
        instances_ended(&run, &[gateway.process()]);
        assert_eq!(holder(&run, gateway.process())["comm"], comm, "{run}");
    }
    let other = Fixture::other(GATEWAY).exe_name("openclaw").arg0(b"openclaw-gateway").start();
    other.set_comm(b"openclaw-gatewa");
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    other.answers();
    bystander.answers();
}

fn b02_a_titled_node_is_known_by_its_marker() {
    let bystander = Bystander::start();
    let titled = |gateway: Builder| gateway.real_node().title("openclaw-gateway").start();
    let gateway = titled(Fixture::gateway());
    assert!(proc_file(&gateway, "cmdline").starts_with(b"openclaw-gateway\0\0"));
    assert_eq!(proc_file(&gateway, "comm"), b"openclaw-gatewa\n");
    let run = portclear(&JSON);
    instances_ended(&run, &[gateway.process()]);
    let because = "it carries the marker and runs the service's runtime";
    assert!(reason(&run, gateway.process()).ends_with(because), "{run}");
    let said = holder(&run, gateway.process());
    assert_eq!((&said["command"], &said["comm"]), (&"openclaw-gateway".into(), &"openclaw-gatewa".into()));
    assert_eq!(said["markers"], serde_json::json!(std::collections::BTreeMap::from(MARKERS)), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();

    let unmarked = titled(Fixture::gateway().marked(false));
    left_alone(&portclear(&JSON), &[(unmarked.process(), "foreign")]);
    unmarked.answers();
    assert_eq!(unmarked.signals(), [""; 0]);
}

fn b02_hostile_names_hide_no_gateway_and_another_title_acquits() {
    let bystander = Bystander::start();
    // A title that no gateway gives itself acquits, whatever it is.
    let names: [(&[u8], &[u8], bool); 4] = [
        (b"openclaw-gateway", b"openclaw-gateway", true),
        (b"foo) Z 1 1 (\n\xff", b"clawdbot", true),
        (b"foo) Z 1 1 (\n\xff", b"openclaw gateway\n\x1b[2J\xff", false),
        (b"", b"", true),
    ];
    for (comm, title, is_found) in names {
        let gateway = Fixture::gateway().start();
        gateway.set_comm(comm);
        gateway.set_title(title);
        let cut = &comm[..comm.len().min(15)];
        assert_eq!(proc_file(&gateway, "comm"), [cut, b"\n"].concat());
        assert!(proc_file(&gateway, "cmdline").starts_with(&[title, b"\0\0\0\0"].concat()));
        let run = portclear(&JSON);
        if is_found {
            instances_ended(&run, &[gateway.process()]);
        } else {
            spared(&run, 3, gateway.pid(), "offspring");
            untouched(&gateway);
        }
        let said = holder(&run, gateway.process()).to_string();
        // JSON escapes with one backslash. portclear's own escapes stand in the text, where JSON doubles their
        // backslash.
        assert!(!["\\n", "\\u"].iter().any(|bare| said.replace("\\\\", "").contains(bare)), "{said}");
    }
    let unmarked = Fixture::gateway().marked(false).start();
    unmarked.set_title(b"openclaw-gateway");
    left_alone(&portclear(&JSON), &[(unmarked.process(), "foreign")]);
    unmarked.answers();
    bystander.answers();
}
