//! What only looks like the service is left alone, and is named as what it is.

use std::fs;

use serde_json::{Value, json};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a01_a_containers_port_forwarder_is_named_and_left_alone),
        case!(a02_a_name_is_no_evidence),
        case!(a03_an_ssh_tunnel_is_named_and_left_alone),
        case!(a04_another_projects_gateway_is_left_alone),
        case!(a06_the_node_host_of_the_same_brand_is_left_alone),
        case!(a07_part_of_a_marker_is_no_marker),
    ]
}

/// Runs portclear, which leaves the one holder of 18789 alone by this rule. Gives what the document says of the port.
#[track_caller]
pub(super) fn spares(holder: u32, rule: &str, reason: &str) -> Value {
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!(port["status"], "held", "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), 1, "{run}");
    let told = &port["holders"][0];
    assert_eq!((&told["pid"], &told["rule"]), (&json!(holder), &json!(rule)), "{run}");
    assert_eq!((&told["verdict"], &told["outcome"]), (&json!("spared"), &json!("untouched")), "{run}");
    assert_eq!(told["signals"], json!([]), "{run}");
    assert!(told["reason"].as_str().unwrap().contains(reason), "{reason:?} is not in {run}");
    port
}

#[track_caller]
fn is_foreign(fixture: &Fixture, reason: &str) {
    let port = spares(fixture.pid(), "foreign", reason);
    assert_eq!(port["holders"][0]["identity"], "foreign");
    let sentence = port["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("held, and left alone: nothing was signalled"), "{sentence}");
    untouched(fixture);
}

/// Starts a server whose arguments are these words alone, without an interpreter or a script.
fn posing_as(argv: &[&str]) -> Fixture {
    // It gets the words as arguments first: a title can only be as long as what it overwrites.
    let fixture = Fixture::other(GATEWAY).exe_name(argv[0]).args(argv).start();
    fixture.set_title(argv.join("\0").as_bytes());
    let shown = fs::read_to_string(format!("/proc/{}/cmdline", fixture.pid())).unwrap();
    assert_eq!(shown.trim_end_matches('\0').split('\0').collect::<Vec<_>>(), argv);
    fixture
}

fn a01_a_containers_port_forwarder_is_named_and_left_alone() {
    let line = "docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 18789 \
                -container-ip 172.17.0.2 -container-port 80";
    let argv: Vec<&str> = line.split_whitespace().collect();
    let proxy = posing_as(&argv);
    let hint = "it forwards the port to a container (172.17.0.2:80)";
    is_foreign(&proxy, hint);
    let run = portclear(&["18789"]);
    assert!(run.status == 3 && run.stderr.contains(hint), "{run}");
    untouched(&proxy);
    drop(proxy);
    let hint = "it forwards the port to a container";
    for name in ["rootlessport", "slirp4netns", "com.docker.backend"] {
        is_foreign(&posing_as(&[name]), hint);
    }
}

fn a02_a_name_is_no_evidence() {
    let reason = "not recognised as OpenClaw: it runs ";
    let other = || Fixture::other(GATEWAY);
    for comm in [&b"openclaw"[..], b"openclaw-gatewa"] {
        let fixture = other().start();
        fixture.set_comm(comm);
        is_foreign(&fixture, reason);
    }
    for exe in ["node", "openclaw", "openclaw-gateway"] {
        let fixture = other().exe_name(exe).start();
        fixture.set_title(b"openclaw-gateway");
        is_foreign(&fixture, reason);
    }
    is_foreign(&other().arg0(b"openclaw").args(&["openclaw", "gateway"]).start(), reason);
    is_foreign(&posing_as(&["socat", "-lpopenclaw", "TCP-LISTEN:18789,fork", "TCP:10.0.0.1:80"]), reason);
    // It backs up the service. It lies in the service's package, and is no gateway.
    is_foreign(&other().exe_name("openclaw-backup").package("openclaw").start(), reason);

    let files = Fixture::silent().start();
    is_foreign(&other().cwd(files.script().parent().unwrap()).start(), reason);
    let variables = other().env("OPENCLAW_STATE_DIR", files.root()).env("OPENCLAW_GATEWAY_PORT", "18789");
    is_foreign(&variables.start(), reason);
    assert!(files.is_alive());
    assert_eq!(files.signals(), [""; 0]);
}

fn a03_an_ssh_tunnel_is_named_and_left_alone() {
    let ssh = posing_as(&["ssh", "-N", "-L", "18789:127.0.0.1:18789", "openclaw@gateway.example"]);
    is_foreign(&ssh, "not recognised as OpenClaw: it is an SSH tunnel");
    let run = portclear(&["18789"]);
    assert!(run.status == 3 && run.stderr.contains("it is an SSH tunnel"), "{run}");
    untouched(&ssh);
}

fn a04_another_projects_gateway_is_left_alone() {
    let reason = "not recognised as OpenClaw: it runs ";
    for package in ["other", "openclaw-plugin", "my-openclaw", "@openclaw/openclaw", "OpenClaw"] {
        is_foreign(&Fixture::other(GATEWAY).package(package).start(), reason);
    }
    is_foreign(&Fixture::other(GATEWAY).no_package().start(), reason);
    let depends = Fixture::other(GATEWAY).start();
    let manifest = r#"{"name": "other", "bin": {"name": "openclaw"}, "dependencies": {"openclaw": "1"}}"#;
    fs::write(depends.root().join("openclaw/package.json"), manifest).unwrap();
    is_foreign(&depends, reason);
}

fn a06_the_node_host_of_the_same_brand_is_left_alone() {
    let reason = "not recognised as OpenClaw: it runs ";
    let host = || Fixture::gateway().env("OPENCLAW_SERVICE_KIND", "node");
    let line = "node run --host 127.0.0.1 --port 18789 --display-name gateway";
    let run: Vec<&str> = line.split(' ').collect();
    is_foreign(&host().args(&run).start(), reason);
    is_foreign(&host().args(&[&["--profile", "gateway"], &run[..]].concat()).start(), reason);
    is_foreign(&host().no_package().start(), reason);
    let titled = host().start();
    titled.set_title(b"openclaw-node");
    is_foreign(&titled, reason);
}

fn a07_part_of_a_marker_is_no_marker() {
    let reason = "not recognised as OpenClaw: it runs ";
    let (marker, kind) = (MARKERS[0].0, MARKERS[1].0);
    // It runs node and lies in no named package, so the marker alone decides.
    let with = |variables: &[(&str, &str)]| {
        let builder = Fixture::gateway().no_package().marked(false);
        variables.iter().fold(builder, |builder, (key, value)| builder.env(*key, *value)).start()
    };
    let both = "x\nOPENCLAW_SERVICE_MARKER=openclaw\nOPENCLAW_SERVICE_KIND=gateway\n";
    let table: [&[(&str, &str)]; 10] = [
        &[("XOPENCLAW_SERVICE_MARKER", "openclaw"), ("XOPENCLAW_SERVICE_KIND", "gateway")],
        &[("XOPENCLAW_SERVICE_MARKER", "openclaw"), (kind, "gateway")],
        &[("OPENCLAW_SERVICE_MARKERS", "openclaw"), (kind, "gateway")],
        &[("openclaw_service_marker", "openclaw"), (kind, "gateway")],
        &[(marker, "openclaw2"), (kind, "gateway")],
        &[(marker, "my openclaw"), (kind, "gateway")],
        &[(marker, ""), (kind, "gateway")],
        &[(marker, "openclaw"), (kind, "gateway2")],
        &[(marker, "openclaw")],
        &[("NOTES", both)],
    ];
    for variables in table {
        is_foreign(&with(variables), reason);
    }
    let exact = with(&MARKERS);
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(exact.signals(), ["TERM"]);
}
