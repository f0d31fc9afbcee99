//! One instance at a time may use a state folder. A stale one on another port keeps the next from starting, and no look
//! at a port sees it: the lock of the folder does.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f01_a_rival_on_another_port_is_told),
        case!(f01_a_sweep_ends_a_stale_rival),
        case!(f01_a_rival_is_told_after_a_port_was_cleared),
        case!(a02_a_lock_that_names_nobody_is_no_rival),
        case!(c03_the_caller_s_own_instance_is_no_rival),
    ]
}

const ELSEWHERE: &str = "127.0.0.1:19001";

/// A state folder whose lock says this.
pub(crate) fn state(lock: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(path(folder.path()).parent().unwrap()).unwrap();
    let mut lock = lock.clone();
    if lock.is_object() {
        lock["stateDir"] = json!(folder.path());
    }
    fs::write(path(folder.path()), format!("{lock}\t\t \n")).unwrap();
    folder
}

fn path(folder: &Path) -> std::path::PathBuf {
    folder.join(format!("tmp/openclaw-{}/gateway.state.lock", nix::unistd::geteuid()))
}

/// What this gateway would have written.
pub(crate) fn lock_of(gateway: &Fixture) -> Value {
    json!({ "pid": gateway.pid(), "startTime": gateway.process().stat().starttime, "port": 19001 })
}

fn asked(line: &[&str], folder: &TempDir) -> Run {
    Portclear::new(&[line, &["--json"]].concat()).env("OPENCLAW_STATE_DIR", folder.path()).run()
}

#[track_caller]
fn is_told(run: &Run, gateway: &Fixture, verdict: &str) {
    assert_eq!(run.status, 0, "{run}");
    let rival = run.json()["rival"].take();
    let pid = gateway.pid();
    let said = format!(
        "node (pid {pid}) uses the same state folder, and its lock names port 19001: the next start would fail with status 78"
    );
    assert_eq!((&rival["sentence"], &rival["port"]), (&json!(said), &json!(19001)), "{run}");
    let process = &rival["process"];
    assert_eq!((&process["pid"], &process["role"]), (&json!(pid), &json!("rival")), "{run}");
    assert_eq!((&process["verdict"], &process["outcome"]), (&json!(verdict), &json!("untouched")), "{run}");
}

/// The sweep has the rival, and says what became of it.
#[track_caller]
fn is_swept(run: &Run, gateway: &Fixture, status: &str, outcome: &str) {
    let document = run.json();
    assert_eq!((run.status, &document["rival"]), (0, &Value::Null), "{run}");
    let [process] = &document["swept"]["processes"].as_array().unwrap()[..] else { panic!("{run}") };
    assert_eq!((&process["pid"], &process["role"]), (&json!(gateway.pid()), &json!("rival")), "{run}");
    assert_eq!((&document["swept"]["status"], &process["outcome"]), (&json!(status), &json!(outcome)), "{run}");
}

fn f01_a_rival_on_another_port_is_told() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on(ELSEWHERE).start();
    let folder = state(&lock_of(&gateway));
    is_told(&asked(&["18789"], &folder), &gateway, "stale");
    is_told(&asked(&["18789", "-n"], &folder), &gateway, "stale");
    is_told(&asked(&["18789", "--protect", &gateway.pid().to_string()], &folder), &gateway, "spared");
    // As people read it. The exit status is that of the port.
    let run = Portclear::new(&["18789"]).env("OPENCLAW_STATE_DIR", folder.path()).run();
    assert_eq!(run.status, 0, "{run}");
    let last = run.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("portclear: state folder: node (pid ") && last.ends_with(" --sweep 18789` (ends it as well)"),
        "{run}"
    );
    // Another state folder is another's.
    let other = tempfile::tempdir().unwrap();
    assert_eq!(asked(&["18789"], &other).json()["rival"], Value::Null);
    untouched(&gateway);
    bystander.answers();
}

fn f01_a_sweep_ends_a_stale_rival() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on(ELSEWHERE).start();
    let folder = state(&lock_of(&gateway));
    let protected = asked(&["18789", "--sweep", "--protect", &gateway.pid().to_string()], &folder);
    is_told(&protected, &gateway, "spared");
    untouched(&gateway);
    is_swept(&asked(&["18789", "--sweep", "-n"], &folder), &gateway, "would-sweep", "untouched");
    untouched(&gateway);
    is_swept(&asked(&["18789", "--sweep"], &folder), &gateway, "swept", "ended");
    gateway.has_ended();
    // One that does not end is not called swept.
    let stubborn = Fixture::gateway_on(ELSEWHERE).on_term(OnTerm::Ignore).start();
    let folder = state(&lock_of(&stubborn));
    let run = asked(&["18789", "--sweep", "--no-kill", "--grace", "100ms"], &folder);
    is_swept(&run, &stubborn, "incomplete", "survived");
    assert_eq!(stubborn.signals(), ["TERM"]);
    bystander.answers();
}

fn f01_a_rival_is_told_after_a_port_was_cleared() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on(ELSEWHERE).start();
    let old = Fixture::gateway().start();
    let folder = state(&lock_of(&gateway));
    let run = asked(&["18789"], &folder);
    assert_eq!(run.json()["ports"][0]["status"], "cleared", "{run}");
    is_told(&run, &gateway, "stale");
    old.has_ended();
    // Where the holder itself has the lock, the port says it all.
    let run = asked(&["19001", "-n"], &folder);
    assert_eq!((run.status, &run.json()["rival"]), (0, &Value::Null), "{run}");
    untouched(&gateway);
    bystander.answers();
}

fn a02_a_lock_that_names_nobody_is_no_rival() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on(ELSEWHERE).start();
    let foreign = Fixture::other("127.0.0.1:19002").start();
    let lock = lock_of(&gateway);
    let with = |key: &str, value: Value| {
        let mut lock = lock.clone();
        lock[key] = value;
        lock
    };
    let locks = [
        with("startTime", json!(1)),
        with("startTime", Value::Null),
        with("pid", json!(foreign.pid())),
        with("pid", json!(0x7fff_fffe)),
        with("role", json!("agent-embedded")),
        lock_of(&foreign),
        json!("text"),
    ];
    for lock in locks {
        let run = asked(&["18789", "--sweep"], &state(&lock));
        assert_eq!((run.status, &run.json()["rival"]), (0, &Value::Null), "{lock} {run}");
    }
    // A copy of the folder: its lock names the original.
    let (original, copy) = (state(&lock), tempfile::tempdir().unwrap());
    fs::create_dir_all(path(copy.path()).parent().unwrap()).unwrap();
    fs::copy(path(original.path()), path(copy.path())).unwrap();
    assert_eq!(asked(&["18789", "--sweep"], &copy).json()["rival"], Value::Null);
    // A link and a FIFO in its place.
    let folder = state(&lock);
    let path = path(folder.path());
    let moved = folder.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &path).unwrap();
    assert_eq!(asked(&["18789", "--sweep"], &folder).json()["rival"], Value::Null);
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(asked(&["18789", "--sweep"], &folder).json()["rival"], Value::Null);
    untouched(&gateway);
    untouched(&foreign);
    bystander.answers();
}

fn c03_the_caller_s_own_instance_is_no_rival() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway_on(ELSEWHERE).start();
    let folder = state(&lock_of(&gateway));
    let variables = [("OPENCLAW_STATE_DIR", folder.path().to_str().unwrap())];
    let run = gateway.portclear(&["18789", "--json", "--sweep"], &variables);
    assert_eq!((run.status, &run.json()["rival"]), (0, &Value::Null), "{run}");
    untouched(&gateway);
    bystander.answers();
}
