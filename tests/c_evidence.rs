//! C. What may be believed of a process, and what a server does on SIGTERM.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::c_healthy::{JSON, cleared, sent, spared, untouched};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a02_a_child_that_runs_the_services_cli_is_no_evidence, Needs::Node),
        case!(a02_the_last_command_of_the_shell_is_no_evidence),
        case!(a04_a_script_by_way_of_proc_self_is_not_the_callers),
        case!(a04_a_relative_script_is_not_looked_up_where_its_process_went),
        case!(a04_the_value_of_an_option_is_no_script, Needs::Node),
        case!(a04_a_script_in_a_mount_namespace_is_not_judged_by_the_callers_files),
        case!(a04_a_gateway_in_a_mount_namespace_is_not_judged_either),
        case!(c06_the_successor_that_was_handed_the_socket_lives),
        case!(c06_a_successor_whose_stack_is_not_at_random_lives),
        case!(c06_a_holder_that_has_let_go_of_the_port_is_not_signalled),
        case!(b08_a_fork_made_while_it_is_ended_is_ended_too),
        case!(b07_a_foreign_listener_beside_it_spares_both),
    ]
}

const AT: &str = "127.0.0.1:18789";

fn text(path: &Path) -> &str {
    path.to_str().expect("plain text")
}

fn a02_a_child_that_runs_the_services_cli_is_no_evidence() {
    let bystander = Bystander::start();
    for server in [Fixture::other(AT), Fixture::gateway().marked(false)] {
        let server = server.real_node().title("openclaw-gateway").start();
        let cli = Fixture::silent().marked(false).real_node().args(&["agent"]).start_below(&server);
        assert_eq!(cli.process().parent(), server.pid());
        spared(&portclear(&JSON), 3, server.pid(), "foreign");
        untouched(&server);
        assert!(cli.is_alive());
        assert_eq!(cli.signals(), [""; 0]);
    }
    bystander.answers();
}

fn a02_the_last_command_of_the_shell_is_no_evidence() {
    let bystander = Bystander::start();
    let openclaw = Fixture::silent().marked(false).args(&["agent"]).start();
    for path in [text(openclaw.script()), text(&openclaw.root().join("openclaw"))] {
        let other = Fixture::other(AT).env("_", path).start();
        other.set_title(b"openclaw-gateway");
        spared(&portclear(&JSON), 3, other.pid(), "foreign");
        untouched(&other);
    }
    assert!(openclaw.is_alive());
    bystander.answers();
}

fn a04_a_script_by_way_of_proc_self_is_not_the_callers() {
    let openclaw = Fixture::silent().marked(false).args(&["agent"]).start();
    let home = Fixture::other("127.0.0.1:18791").start();
    let other = Fixture::other(AT).cwd(home.root().join("openclaw")).start();
    let script = "/proc/self/cwd/dist/index.js";
    other.exec(&[text(other.exe()), script, "gateway", "--port", "18789"], &[]);
    untouched(&other);
    let there = openclaw.root().join("openclaw");
    let run = Portclear::new(&JSON)
        .through(&["/bin/sh", "-c", r#"cd "$0" && test -e "$1" && shift && exec "$@""#, text(&there), script])
        .run();
    spared(&run, 3, other.pid(), "foreign");
    untouched(&other);
    untouched(&home);
    assert!(openclaw.is_alive());
}

fn a04_a_relative_script_is_not_looked_up_where_its_process_went() {
    let bystander = Bystander::start();
    let openclaw = Fixture::silent().marked(false).args(&["agent"]).start();
    let home = Fixture::other("127.0.0.1:18791").start();
    let there = openclaw.root().join("openclaw");
    let server = Fixture::other(AT).cwd(&there).start();
    let argv = [text(server.exe()), "dist/index.js", "gateway", "--port", "18789"];
    server.exec(&argv, &[("PWD", text(&home.root().join("openclaw")))]);
    spared(&portclear(&JSON), 3, server.pid(), "foreign");
    untouched(&server);
    // Where it stayed in the folder that it was started in, its script is the gateway.
    server.exec(&argv, &[("PWD", text(&there))]);
    cleared(&portclear(&JSON), server.pid(), "stale-instance", &["SIGTERM"]);
    server.has_ended();
    untouched(&home);
    bystander.answers();
}

fn a04_the_value_of_an_option_is_no_script() {
    let openclaw = Fixture::silent().marked(false).real_node().args(&["agent"]).start();
    let home = Fixture::other("127.0.0.1:18791").start();
    let folder = home.root().join("openclaw");
    // What node really runs: a file of this name, of another package.
    fs::write(folder.join("gateway"), include_str!("support/node.js")).unwrap();
    let start = |words: &[&str]| {
        let server = Fixture::other(AT).cwd(&folder).start();
        server.exec(&[&[text(openclaw.exe())], words].concat(), &[]);
        untouched(&server);
        server
    };
    let decoy = openclaw.root().join("openclaw");
    let decoys = [
        (["--diagnostic-dir", text(&decoy), "gateway"], 3, "foreign"),
        // Nothing here knows this option, so it may or may not take a value.
        (["--report-filename", text(openclaw.script()), "gateway"], 4, "unknown"),
    ];
    for (words, exit, rule) in decoys {
        let server = start(&words);
        spared(&portclear(&JSON), exit, server.pid(), rule);
        untouched(&server);
    }
    let server = start(&[text(openclaw.script()), "gateway"]);
    cleared(&portclear(&JSON), server.pid(), "stale-instance", &["SIGTERM"]);
    server.has_ended();
    untouched(&home);
    assert!(openclaw.is_alive());
}

/// A process that has its mounts for itself alone.
const OWN_MOUNTS: [&str; 10] = [
    "setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation=private", "--fork",
    "--kill-child", "--",
];

/// Runs a command line among the mounts of a fixture, with its folder for `$0`.
#[track_caller]
fn among_its_mounts(fixture: &Fixture, line: &str) {
    let target = format!("--target={}", fixture.pid());
    let mut nsenter = Command::new("nsenter");
    nsenter.args([&target, "--mount", "--", "sh", "-ec", line, text(fixture.root())]);
    assert!(nsenter.status().expect("nsenter").success(), "{line}");
}

const HIDE: &str = r#"mount -t tmpfs none "$0"; test ! -e "$0/openclaw""#;
const ANOTHER_FILE: &str = r#"mkdir -p "$0/openclaw/dist"; echo '{"name":"other"}' >"$0/openclaw/package.json"
                              echo 1 >"$0/openclaw/dist/index.js""#;

fn a04_a_script_in_a_mount_namespace_is_not_judged_by_the_callers_files() {
    let bystander = Bystander::start();
    // With the marker: a script that is not there would make it an instance.
    let other = Fixture::other(AT).marked(true).behind(&OWN_MOUNTS).start();
    spared(&portclear(&JSON), 3, other.pid(), "offspring");
    let is_unknown = || {
        spared(&portclear(&JSON), 4, other.pid(), "unknown");
        untouched(&other);
    };
    among_its_mounts(&other, HIDE);
    is_unknown();
    among_its_mounts(&other, ANOTHER_FILE);
    is_unknown();
    // And there alone.
    fs::remove_dir_all(other.root().join("openclaw")).unwrap();
    is_unknown();
    among_its_mounts(&other, r#"rm -r "$0/openclaw""#);
    cleared(&portclear(&JSON), other.pid(), "stale-instance", &["SIGTERM"]);
    other.has_ended();
    bystander.answers();
}

fn a04_a_gateway_in_a_mount_namespace_is_not_judged_either() {
    let bystander = Bystander::start();
    let server = Fixture::gateway().marked(false).behind(&OWN_MOUNTS).start();
    for line in [HIDE, ANOTHER_FILE] {
        among_its_mounts(&server, line);
        spared(&portclear(&JSON), 4, server.pid(), "unknown");
        untouched(&server);
    }
    among_its_mounts(&server, r#"umount "$0""#);
    cleared(&portclear(&JSON), server.pid(), "stale-instance", &["SIGTERM"]);
    server.has_ended();
    bystander.answers();
}

/// The pid of whoever answers.
fn answering() -> u32 {
    let line = ask(AT).expect("an answer");
    line.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid")
}

fn c06_the_successor_that_was_handed_the_socket_lives() {
    the_successor_lives(Fixture::gateway());
}

/// With its stack where every process's is, as below a debugger, it looks like a fork of the old one.
fn c06_a_successor_whose_stack_is_not_at_random_lives() {
    the_successor_lives(Fixture::gateway().behind(&["/bin/sh", "-c", r#"setarch -R "$@"; true"#, "sh"]));
}

fn the_successor_lives(gateway: Builder) {
    let bystander = Bystander::start();
    let gateway = gateway.on_term(OnTerm::HandOver).start();
    let run = portclear(&JSON);
    assert_eq!(run.status, 6, "{run}");
    let successor = Proc::of(answering());
    assert_ne!(successor.pid(), gateway.pid());
    let port = run.json()["ports"][0].take();
    let said = format!("cleared, and taken again by node (pid {})", successor.pid());
    assert!(port["sentence"].as_str().unwrap().starts_with(&said), "{run}");
    let [old, new] = [0, 1].map(|at| &port["holders"][at]);
    assert_eq!((&old["pid"], &old["outcome"]), (&json!(gateway.pid()), &json!("ended")), "{run}");
    assert_eq!(sent(old), ["SIGTERM"], "{run}");
    assert_eq!((&new["pid"], &new["rule"]), (&json!(successor.pid()), &json!("newer")), "{run}");
    assert_eq!((sent(new), &new["outcome"]), (vec![], &json!("untouched")), "{run}");
    assert_eq!(old["inodes"], new["inodes"], "another socket");
    // Its answer came after every signal that was sent before.
    assert_eq!(gateway.signals_of(successor.pid()), [""; 0]);
    assert!(successor.is_alive());
    assert_eq!(gateway.status().code(), Some(0));
    bystander.answers();
}

fn b08_a_fork_made_while_it_is_ended_is_ended_too() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::LeaveFork).start();
    let run = portclear(&JSON);
    assert_eq!(run.status, 0, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!(port["status"], "cleared", "{run}");
    let [first, child] = [0, 1].map(|at| &port["holders"][at]);
    assert_eq!(first["pid"], json!(gateway.pid()), "{run}");
    assert_eq!(first["inodes"], child["inodes"], "another socket");
    for holder in [first, child] {
        let told = (&holder["rule"], sent(holder), &holder["outcome"]);
        assert_eq!(told, (&json!("stale-instance"), vec!["SIGTERM"], &json!("ended")), "{run}");
    }
    let child = child["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap();
    assert_eq!(gateway.signals_of(child), ["TERM"]);
    assert_eq!(gateway.signals_of(gateway.pid()), ["TERM"]);
    assert!(can_bind(AT));
    bystander.answers();
}

fn c06_a_holder_that_has_let_go_of_the_port_is_not_signalled() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut late = Portclear::new(&JSON).traced();
    // Whether it may be signalled is asked once for the judgement, and again for the last look before it is.
    let of_gateway = |arguments: [u64; 6]| arguments[..2] == [gateway.pid().into(), 0];
    late.run_to_call(libc::SYS_kill, of_gateway);
    late.run_to_call(libc::SYS_kill, of_gateway);
    gateway.close_sockets();
    let run = late.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "free", "{run}");
    assert!(can_bind(AT));
    assert!(gateway.is_alive());
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
}

fn b07_a_foreign_listener_beside_it_spares_both() {
    let bystander = Bystander::start();
    let gateway = Fixture::silent().listen_reuseport(AT).start();
    let other = Fixture::other("127.0.0.1:18791").listen_reuseport("[::]:18789").start();
    let of_both = [(&gateway, "stale-instance"), (&other, "foreign")];
    for (port, holders) in [(AT, &of_both[..]), ("18789", &of_both), ("[::1]:18789", &of_both[1..])] {
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
    // The gateway alone is ended.
    drop(other);
    cleared(&portclear(&["--json", AT]), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}
