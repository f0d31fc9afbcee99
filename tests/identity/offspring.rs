//! An agent's program carries the markers of the gateway that started it. It is offspring, and no gateway.

use std::net::TcpStream;

use super::foreign::spares;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a05_a_variable_that_children_get_makes_offspring),
        case!(a05_the_service_pid_of_another_makes_offspring),
        case!(a05_a_marked_web_server_is_offspring),
        case!(a05_a_marked_script_of_another_package_is_offspring),
        case!(a05_another_command_or_no_script_is_offspring),
    ]
}

#[track_caller]
fn is_offspring(fixture: &Fixture, reason: &str) {
    let port = spares(fixture.pid(), "offspring", reason);
    assert_eq!(port["holders"][0]["identity"], "offspring");
    let sentence = port["sentence"].as_str().unwrap();
    // Offspring belongs to the service: `--any-owner` would not end it, so the sentence does not offer that.
    assert_eq!(sentence, "held, and left alone: nothing was signalled");
}

fn a05_a_variable_that_children_get_makes_offspring() {
    for value in ["exec", ""] {
        for fixture in [
            Fixture::gateway(),
            Fixture::gateway().no_package(),
            // Without the marker, its script alone would make it an instance.
            Fixture::gateway().marked(false),
        ] {
            let fixture = fixture.env("OPENCLAW_SHELL", value).start();
            is_offspring(&fixture, "it carries OPENCLAW_SHELL, which the service sets for its children");
            untouched(&fixture);
        }
    }
    let titled = Fixture::gateway().env("OPENCLAW_SHELL", "exec").start();
    titled.set_title(b"openclaw-gateway");
    is_offspring(&titled, "it carries OPENCLAW_SHELL");
    untouched(&titled);
}

fn a05_the_service_pid_of_another_makes_offspring() {
    const KEY: &str = "OPENCLAW_GATEWAY_SERVICE_PID";
    let live = Bystander::start();
    for pid in [live.pid().to_string(), "1".to_owned(), String::new()] {
        let fixture = Fixture::gateway().env(KEY, pid).start();
        is_offspring(&fixture, "it carries OPENCLAW_GATEWAY_SERVICE_PID");
        untouched(&fixture);
    }
    // The variable with its own pid is no such sign. That pid is known only once the process runs.
    let files = Fixture::silent().start();
    let fixture = Fixture::gateway().start();
    let own = fixture.pid().to_string();
    let argv = [files.exe().to_str().unwrap(), files.script().to_str().unwrap(), "gateway"];
    fixture.exec(&argv, &[&MARKERS[..], &[(KEY, &own)]].concat());
    fixture.answers();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(fixture.signals(), ["TERM"]);
    assert!(files.is_alive());
    live.answers();
}

fn a05_a_marked_web_server_is_offspring() {
    let gateway = Fixture::gateway_on("127.0.0.1:18791").start();
    let agent = Fixture::silent().start_below(&gateway);
    let argv = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "18789"];
    agent.exec(&argv, &MARKERS);
    let answers = || TcpStream::connect(GATEWAY).is_ok();
    until("the web server listens", answers);
    is_offspring(&agent, "it carries the marker but executes something else");
    assert!(agent.is_alive() && answers());
    untouched(&gateway);
}

fn a05_a_marked_script_of_another_package_is_offspring() {
    for package in ["mcp-server", "openclaw-mcp"] {
        let fixture = Fixture::gateway().package(package).start();
        is_offspring(&fixture, &format!("it carries the marker but its script lies in package {package}"));
        untouched(&fixture);
    }
}

fn a05_another_command_or_no_script_is_offspring() {
    for arguments in [&["agent", "--message", "gateway"][..], &["--profile", "gateway", "mcp", "serve"]] {
        let fixture = Fixture::gateway().args(arguments).start();
        is_offspring(&fixture, "it carries the marker but runs another subcommand");
        untouched(&fixture);
    }
    let inline = Fixture::gateway().no_package().args(&["-e", "0"]).start();
    let argv = format!("node\0-e\0listen({})\0gateway", "0".repeat(8));
    inline.set_title(argv.as_bytes());
    is_offspring(&inline, "it carries the marker but runs no script");
    untouched(&inline);
}
