//! A process runs the script that it was started with, from the files that it sees itself. Nothing else names its
//! script.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a02_a_child_that_runs_the_services_cli_is_no_evidence, Needs::Node),
        case!(a02_the_last_command_of_the_shell_is_no_evidence),
        case!(a04_a_relative_script_is_told_by_its_own_package),
        case!(a04_a_script_by_way_of_proc_self_is_not_the_callers),
        case!(a04_a_relative_script_is_not_looked_up_where_its_process_went),
        case!(a04_the_value_of_an_option_is_no_script, Needs::Node),
        case!(a04_a_script_in_a_mount_namespace_is_not_judged_by_the_callers_files),
        case!(a04_a_gateway_in_a_mount_namespace_is_not_judged_either),
    ]
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain text")
}

fn a02_a_child_that_runs_the_services_cli_is_no_evidence() {
    let bystander = Bystander::start();
    for server in [Fixture::other(GATEWAY), Fixture::gateway().marked(false)] {
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
        let other = Fixture::other(GATEWAY).env("_", path).start();
        other.set_title(b"openclaw-gateway");
        spared(&portclear(&JSON), 3, other.pid(), "foreign");
        untouched(&other);
    }
    assert!(openclaw.is_alive());
    bystander.answers();
}

fn a04_a_relative_script_is_told_by_its_own_package() {
    // portclear runs in a folder of the service's, where the same relative path is the gateway's script.
    let service = Fixture::silent().marked(false).start();
    // The caller must be no instance, or it would ask on its own behalf.
    let asking = Fixture::silent().marked(false).package("other").start();
    let below = |files: &Fixture| {
        let server = Fixture::other(GATEWAY).cwd(files.root().join("openclaw")).start();
        let argv = [files.exe().to_str().unwrap(), "dist/index.js", "gateway", "--port", "18789"];
        server.exec(&argv, &[("PATH", "/usr/bin:/bin")]);
        server.answers();
        server
    };
    let look = |server: &Fixture, expected: (i32, &str)| {
        let folder = service.root().join("openclaw");
        let command = r#"cd "$1" && exec "$0" 18789 --json"#;
        let argv = ["/bin/sh", "-c", command, PROGRAM, folder.to_str().unwrap()];
        let run = asking.run(&argv, &[], false);
        let rule = &run.json()["ports"][0]["holders"][0]["rule"];
        assert_eq!((run.status, rule.as_str().unwrap()), expected, "{run}");
        server.signals()
    };
    for files in [Fixture::silent().package("other"), Fixture::silent().no_package()] {
        let files = files.marked(false).start();
        let server = below(&files);
        assert_eq!(look(&server, (3, "foreign")), [""; 0]);
        untouched(&server);
    }
    let bystander = Bystander::start();
    let gateway = below(&service);
    assert_eq!(look(&gateway, (0, "stale-instance")), ["TERM"]);
    gateway.has_ended();
    bystander.answers();
}

fn a04_a_script_by_way_of_proc_self_is_not_the_callers() {
    let openclaw = Fixture::silent().marked(false).args(&["agent"]).start();
    let home = Fixture::other("127.0.0.1:18791").start();
    let other = Fixture::other(GATEWAY).cwd(home.root().join("openclaw")).start();
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
    let server = Fixture::other(GATEWAY).cwd(&there).start();
    let argv = [text(server.exe()), "dist/index.js", "gateway", "--port", "18789"];
    server.exec(&argv, &[("PWD", text(&home.root().join("openclaw")))]);
    spared(&portclear(&JSON), 3, server.pid(), "foreign");
    untouched(&server);
    // It has stayed in the folder that it was started in, so its script is the gateway's.
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
    // node really runs this file. It has the name of the subcommand, and belongs to another package.
    fs::write(folder.join("gateway"), include_str!("../support/node.js")).unwrap();
    let start = |words: &[&str]| {
        let server = Fixture::other(GATEWAY).cwd(&folder).start();
        server.exec(&[&[text(openclaw.exe())], words].concat(), &[]);
        untouched(&server);
        server
    };
    let decoy = openclaw.root().join("openclaw");
    let decoys = [
        (["--diagnostic-dir", text(&decoy), "gateway"], 3, "foreign"),
        // portclear does not know this option, so it cannot tell whether a value follows.
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

/// Starts a process with mounts of its own.
const OWN_MOUNTS: [&str; 10] = [
    "setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation=private", "--fork", "--kill-child",
    "--",
];

/// Runs a command line among a fixture's mounts. `$0` is the fixture's folder.
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
    // It carries the marker, so a missing script would make it an instance.
    let other = Fixture::other(GATEWAY).marked(true).behind(&OWN_MOUNTS).start();
    spared(&portclear(&JSON), 3, other.pid(), "offspring");
    let is_unknown = || {
        spared(&portclear(&JSON), 4, other.pid(), "unknown");
        untouched(&other);
    };
    among_its_mounts(&other, HIDE);
    is_unknown();
    among_its_mounts(&other, ANOTHER_FILE);
    is_unknown();
    // From here on the script exists among its own mounts alone.
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
