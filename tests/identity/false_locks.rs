//! Innocents with locks. A lock tells only its own process, and only while all in it is true.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, mkfifo};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a02_a_lock_in_which_anything_is_untrue_tells_nothing),
        case!(a02_a_lock_of_another_name_or_place_tells_nothing),
        case!(a02_a_lock_that_is_not_open_for_writing_tells_nothing),
        case!(a02_a_lock_of_another_user_tells_nothing, Needs::Root),
        case!(a02_the_lock_of_a_gateway_does_not_tell_who_else_has_it),
        case!(e05_what_only_has_the_name_of_a_lock_is_not_read),
        case!(a02_a_link_is_no_lock),
        case!(a02_a_lock_without_a_runtime_tells_nothing),
        case!(a05_what_a_gateway_started_is_not_told_by_a_lock),
    ]
}

const STATE: &str = "gateway.state.lock";

/// A server of somebody else's, with the title of a gateway.
fn innocent() -> Fixture {
    titled(Fixture::other(GATEWAY))
}

fn titled(builder: Builder) -> Fixture {
    let innocent = builder.start();
    innocent.set_title(b"openclaw-gateway");
    innocent
}

#[track_caller]
fn is_left_alone(innocent: &Fixture, what: &str) {
    let run = portclear(&JSON);
    assert_eq!(run.status, 3, "{what}: {run}");
    left_alone(&run, &[(innocent.process(), "foreign")]);
    assert!(run.elapsed < SLACK, "{what}: {run}");
    untouched(innocent);
}

fn a02_a_lock_in_which_anything_is_untrue_tells_nothing() {
    type Change = fn(Lock) -> Lock;
    let table: [(&str, Change); 12] = [
        ("another pid", |lock| lock.plus("pid", 1)),
        ("no pid", |lock| lock.without("pid")),
        ("a pid in words", |lock| lock.set("pid", "own")),
        ("another start", |lock| lock.plus("startTime", 1)),
        ("a start in words", |lock| lock.set("startTime", "now")),
        ("no start at all", |lock| lock.set("startTime", ())),
        ("another role", |lock| lock.set("role", "agent-embedded")),
        ("maintenance", |lock| lock.set("role", "sqlite-maintenance")),
        ("no role at all", |lock| lock.set("role", 7)),
        ("another port", |lock| lock.plus("port", 1)),
        ("no port at all", |lock| lock.set("port", 70_000)),
        ("two things", |lock| lock.plus("port", 1).without("startTime")),
    ];
    for (what, change) in table {
        let innocent = innocent();
        innocent.locks(&change(Lock::of(&innocent)), STATE);
        is_left_alone(&innocent, what);
    }
    // A lock without a start time is that of an earlier process with the same pid, if it is older than the process.
    let innocent = innocent();
    let path = innocent.locks(&Lock::of(&innocent).older().without("startTime"), STATE);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    is_left_alone(&innocent, "an older file");
    // No JSON, half of it, and two documents.
    for (what, cut) in [("nothing", ""), ("half", "{\"pid\":"), ("words", "gateway")] {
        fs::write(&path, cut).unwrap();
        is_left_alone(&innocent, what);
    }
    Lock::of(&innocent).write(STATE);
    is_left_alone(&innocent, "a true lock at the path, which it has not opened");
}

fn a02_a_lock_of_another_name_or_place_tells_nothing() {
    for name in
        ["gateway.lock", "gateway.0a1b2c3.lock", "gateway.state.lock.sqlite", "node.state.lock", "gateway.state"]
    {
        let innocent = innocent();
        innocent.locks(&Lock::of(&innocent), name);
        is_left_alone(&innocent, name);
    }
    for folder in ["openclaw", "openclaw-1", "openclaw-00", "my-openclaw-0", "pm2-0"] {
        let innocent = innocent();
        innocent.locks(&Lock::of(&innocent).folder(folder), STATE);
        is_left_alone(&innocent, folder);
    }
}

fn a02_a_lock_that_is_not_open_for_writing_tells_nothing() {
    let innocent = innocent();
    let path = Lock::of(&innocent).write(STATE);
    is_left_alone(&innocent, "a file that nobody has open");
    innocent.open(&path, "read");
    is_left_alone(&innocent, "a reader");
}

fn a02_a_lock_of_another_user_tells_nothing() {
    for owner in ["the file's", "the folder's name's"] {
        let innocent = innocent();
        let lock = Lock::of(&innocent);
        let lock = if owner == "the file's" { lock } else { lock.folder(&format!("openclaw-{NOBODY}")) };
        let path = innocent.locks(&lock, STATE);
        chown(&path, Some(Uid::from_raw(NOBODY)), None).unwrap();
        is_left_alone(&innocent, owner);
    }
}

/// A copy of it, the same file once more, and the descriptor itself, which a child may be given.
fn a02_the_lock_of_a_gateway_does_not_tell_who_else_has_it() {
    let gateway = titled(Fixture::gateway_on(SECOND).marked(false));
    let lock = Lock::of(&gateway).without("port");
    let path = gateway.locks(&lock, STATE);
    let copying = innocent();
    let copy = Lock::of(&copying).write(STATE);
    fs::copy(&path, &copy).unwrap();
    copying.open(&copy, "write");
    is_left_alone(&copying, "a copy");
    copying.open(&path, "write");
    is_left_alone(&copying, "the same file");
    drop(copying);
    let shell = [r#"exec 9>>"$0"; "$@"; exit"#, path.to_str().unwrap()];
    let given =
        titled(Fixture::other(GATEWAY).behind(&["setpriv", "--pdeathsig", "KILL", "sh", "-c", shell[0], shell[1]]));
    let link = fs::read_link(format!("/proc/{}/fd/9", given.pid())).unwrap();
    assert_eq!(link, path);
    is_left_alone(&given, "the descriptor");
    // The gateway itself is told by it.
    let run = portclear(&["--json", SECOND]);
    assert_eq!(holder(&run, gateway.process())["identity"], "instance", "{run}");
    gateway.has_ended();
    untouched(&given);
}

/// A FIFO would block its reader, and a huge file would keep it busy.
fn e05_what_only_has_the_name_of_a_lock_is_not_read() {
    let fifo = innocent();
    let path = Lock::of(&fifo).made_folder().join(STATE);
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    fifo.open(&path, "both");
    is_left_alone(&fifo, "an empty FIFO");
    // A true lock, which nobody takes out of it.
    let text = Lock::of(&fifo).text();
    let mut other = File::options();
    let mut other = other.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    other.write_all(text.as_bytes()).unwrap();
    is_left_alone(&fifo, "a FIFO");
    let mut left = vec![0; text.len()];
    other.read_exact(&mut left).unwrap();
    assert_eq!(left, text.as_bytes());
    drop(fifo);
    let huge = innocent();
    let path = huge.locks(&Lock::of(&huge), STATE);
    File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let (run, calls) = Portclear::new(&JSON).traced().record();
    left_alone(&run, &[(huge.process(), "foreign")]);
    let long = calls.iter().find(|call| call.number == libc::SYS_read && call.arguments[2] > 1 << 20);
    assert!(long.is_none(), "{long:?}");
    drop(huge);
    let folder = innocent();
    let path = Lock::of(&folder).made_folder().join(STATE);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    folder.open(&path, "read");
    is_left_alone(&folder, "a folder");
}

fn a02_a_link_is_no_lock() {
    let innocent = innocent();
    let lock = Lock::of(&innocent);
    let named = |name: &str| -> PathBuf { lock.made_folder().join(name) };
    let notes = lock.write("notes.json");
    symlink(&notes, named(STATE)).unwrap();
    innocent.open(&named(STATE), "write");
    is_left_alone(&innocent, "a link to another name");
    fs::remove_file(named(STATE)).unwrap();
    fs::hard_link(&notes, named(STATE)).unwrap();
    innocent.open(&named(STATE), "write");
    is_left_alone(&innocent, "a file of two names");
}

fn a02_a_lock_without_a_runtime_tells_nothing() {
    let innocent = titled(Fixture::other(GATEWAY).exe_name("python3.11"));
    innocent.locks(&Lock::of(&innocent), STATE);
    is_left_alone(&innocent, "python");
}

fn a05_what_a_gateway_started_is_not_told_by_a_lock() {
    let service = std::process::id().to_string();
    for (key, value) in [("OPENCLAW_SHELL", "exec"), ("OPENCLAW_GATEWAY_SERVICE_PID", &service)] {
        let agent = titled(Fixture::other(GATEWAY).env(key, value));
        agent.locks(&Lock::of(&agent), STATE);
        let run = portclear(&JSON);
        let holder = holder(&run, agent.process());
        assert_eq!((run.status, &holder["outcome"]), (3, &"untouched".into()), "{key}: {run}");
        assert_ne!(holder["identity"], "instance", "{key}: {run}");
        untouched(&agent);
    }
}
