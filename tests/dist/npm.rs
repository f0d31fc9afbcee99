//! The npm package as npm installs it: from the tarballs, without a network.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use tempfile::TempDir;

use super::{file, has, run};
use crate::support::process::only_child;
use crate::support::*;

pub(super) fn cases() -> Vec<Case> {
    if !has("npm") {
        return Vec::new();
    }
    vec![
        case!(npx_clears_the_port, Needs::Node),
        case!(a_signal_to_npx_reaches_the_program, Needs::Node),
        case!(an_import_clears_the_port, Needs::Node),
        case!(without_the_programs_package_it_says_so, Needs::Node),
    ]
}

/// A project of a user, with these tarballs.
#[track_caller]
fn project(tarballs: &[&Path]) -> TempDir {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("package.json"), r#"{"name": "my-app", "type": "module"}"#).unwrap();
    let cache = project.path().join("empty-cache");
    let mut npm = vec!["npm", "install", "--offline", "--no-audit", "--no-fund", "--cache", cache.to_str().unwrap()];
    npm.extend(tarballs.iter().map(|path| path.to_str().unwrap()));
    run(&npm, project.path()).succeeded();
    project
}

fn whole() -> TempDir {
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    project(&[&file("portclear-", ".tgz"), &file(&format!("portclear-linux-{cpu}-"), ".tgz")])
}

fn npx_clears_the_port() {
    let bystander = Bystander::start();
    let project = whole();
    let gateway = Fixture::gateway().start();
    let npx = |more: &[&str]| {
        run(&[&["npx", "--offline", "--cache", "./empty-cache", "portclear"], more].concat(), project.path())
    };
    assert_eq!(npx(&["-n", "--check", "18789"]).status, 2);
    let run = npx(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    let foreign = Fixture::other(GATEWAY).start();
    assert_eq!(npx(&["18789"]).status, 3);
    untouched(&foreign);
    bystander.answers();
}

fn a_signal_to_npx_reaches_the_program() {
    let bystander = Bystander::start();
    let project = whole();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let script = project.path().join("node_modules/.bin/portclear");
    let mut npx = Server::start(&["node", script.to_str().unwrap(), "--grace", "60s", "18789"], &[]);
    until("SIGTERM arrives", || gateway.signals() == ["TERM"]);
    let program = Proc::of(only_child(npx.pid()));
    program.keep();
    // Ctrl-C goes to both, and the program alone decides.
    npx.process().signal(Signal::SIGINT);
    npx.process().signal(Signal::SIGTERM);
    let (status, errors) = npx.ended();
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{errors}");
    assert!(!program.is_alive() && gateway.is_alive());
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn an_import_clears_the_port() {
    let bystander = Bystander::start();
    let project = whole();
    let gateway = Fixture::gateway().start();
    let script = "import { clear } from 'portclear';\nconsole.log(JSON.stringify(await clear(18789)));\n";
    std::fs::write(project.path().join("server.js"), script).unwrap();
    let run = run(&["node", "server.js"], project.path());
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    bystander.answers();
}

fn without_the_programs_package_it_says_so() {
    let bystander = Bystander::start();
    let project = project(&[&file("portclear-", ".tgz")]);
    let run = run(&["npx", "--offline", "--cache", "./empty-cache", "portclear", "18789"], project.path());
    assert_eq!(run.status, 1, "{run}");
    let begin = "portclear: the package @portclear/linux-";
    assert!(run.stderr.starts_with(begin) && run.stderr.contains(" is not installed: "), "{run}");
    bystander.answers();
}
