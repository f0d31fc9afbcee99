//! A project outside of this one embeds the library with the README's lines, without the program's crates, and with a
//! log of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{needs, *};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(the_readmes_lines_are_a_whole_server, Needs::Cargo),
        case!(a_verdict_and_a_signal_are_events_where_they_are_asked_for, Needs::Cargo),
    ]
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Builds a project of one file, without a network, from the crates of this project.
fn build(name: &str, dependencies: &str, main: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n{dependencies}\n"
    );
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.path().join("src/main.rs"), main).unwrap();
    fs::copy(Path::new(HERE).join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    // All runs share the dependencies that were built once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
    let output = Command::new(needs::cargo())
        .args(["build", "--offline", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(&folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    // The next build replaces the program there.
    let program = folder.path().join(name);
    crate::support::layout::copy(&target.join("debug").join(name), &program);
    (folder, program)
}

fn the_readmes_lines_are_a_whole_server() {
    let bystander = Bystander::start();
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```rust,no_run\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let main = blocks.into_iter().find(|block| block.contains("portclear::bind")).expect("the lines");
    assert!(main.lines().count() <= 15, "{main}");
    let dependency = format!("portclear = {{ path = {HERE:?}, default-features = false }}");
    let (folder, program) = build("outside", &dependency, main);
    // The lock file names no crate of the program's or of the examples'.
    let lock = fs::read_to_string(folder.path().join("Cargo.lock")).unwrap();
    for name in ["clap", "anstream", "axum", "tokio"] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
    let mut first = Server::start(&[program.to_str().unwrap()], &[]);
    until("the first serves", || ask(GATEWAY).is_ok_and(|line| line == first.pid().to_string()));
    tick_after(first.start_ticks());
    let second = Server::start(&[program.to_str().unwrap()], &[]);
    until("the second serves", || ask(GATEWAY).is_ok_and(|line| line == second.pid().to_string()));
    let (_, said) = first.ended();
    assert_eq!((first.line(), &said[..]), (None, ""));
    // A refused server prints the sentence.
    second.process().kill();
    let foreign = Fixture::other(GATEWAY).start();
    let mut third = Server::start(&[program.to_str().unwrap()], &[]);
    let (status, said) = third.ended();
    assert_eq!(status.code(), Some(1));
    let pid = foreign.pid();
    assert!(
        said.starts_with("Error: cannot bind 127.0.0.1:18789: held, ") && said.contains(&format!("pid {pid}")),
        "{said}"
    );
    assert_eq!((third.line(), said.lines().count()), (None, 1), "{said}");
    foreign.answers();
    bystander.answers();
}

const WITH_LOG: &str = r#"
use portclear::{Policy, Service};

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        println!("{} {} {}", record.level(), record.target(), record.args());
    }
    fn flush(&self) {}
}

fn main() {
    log::set_logger(&Lines).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    for at in ["127.0.0.1:18787", "127.0.0.1:18788", "127.0.0.1:18789"] {
        println!("{}", portclear::bind(at, &Policy::new(Service::openclaw())).is_ok());
    }
}
"#;

fn a_verdict_and_a_signal_are_events_where_they_are_asked_for() {
    let bystander = Bystander::start();
    let dependencies =
        format!("portclear = {{ path = {HERE:?}, default-features = false, features = [\"log\"] }}\nlog = \"0.4\"");
    let (_folder, program) = build("logged", &dependencies, WITH_LOG);
    let foreign = Fixture::other("127.0.0.1:18788").start();
    let gateway = Fixture::gateway().start();
    let mut server = Server::start(&[program.to_str().unwrap()], &[]);
    let lines: Vec<String> = std::iter::from_fn(|| server.line()).collect();
    let event = |text: String| format!("INFO portclear {text}");
    let spared = "spared: not recognised as OpenClaw: it runs node index.js; no marker, no script of package openclaw, no lock file";
    let stale = "stale: an older instance of OpenClaw, and no supervisor runs it; its script lies in package openclaw";
    let expected = [
        "true".to_owned(),
        event(format!("port 127.0.0.1:18788: node (pid {}): {spared}", foreign.pid())),
        "false".to_owned(),
        event(format!("port 127.0.0.1:18789: node (pid {}): {stale}", gateway.pid())),
        event(format!("SIGTERM to process {}", gateway.pid())),
        "true".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert_eq!(server.ended().1, "");
    gateway.has_ended();
    foreign.answers();
    bystander.answers();
}
