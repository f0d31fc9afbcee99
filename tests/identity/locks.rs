//! A gateway with a title over its arguments, and without a marker, is told by the lock that it keeps open.

use std::fs;
use std::path::Path;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b06_its_own_lock_tells_a_gateway_under_a_title, Needs::Node),
        case!(b06_each_kind_of_lock_tells_its_gateway),
        case!(b06_a_lock_whose_path_is_gone_or_another_file_tells_its_gateway),
        case!(b06_a_lock_names_the_pid_of_its_own_namespace),
        case!(a12_a_gateway_of_another_state_folder_lives),
        case!(a02_a_title_that_no_gateway_has_acquits_with_a_lock_too),
        case!(b08_a_child_that_has_executed_nothing_is_a_part_of_its_gateway),
    ]
}

const STATE: &str = "gateway.state.lock";

const HASH: &str = "gateway.0a1b2c3d.lock";

/// A gateway that shows nothing: a title, and no marker.
fn titled(builder: Builder) -> Fixture {
    let gateway = builder.marked(false).start();
    gateway.set_title(b"openclaw-gateway");
    gateway
}

#[track_caller]
fn is_told_by(gateway: &Fixture, path: &Path) {
    let run = portclear(&JSON);
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    assert_eq!(holder(&run, gateway.process())["identity"], "instance", "{run}");
    let reason = reason(&run, gateway.process());
    assert!(reason.contains(&format!("lock {}", path.display())), "{reason}");
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.has_ended();
}

fn b06_its_own_lock_tells_a_gateway_under_a_title() {
    let bystander = Bystander::start();
    let gateway = Fixture::stand_in();
    let path = gateway.root().join("state/tmp/openclaw-0");
    let run = portclear(&["18789", "--dry-run"]);
    let words = format!("it holds the service's lock {}/gateway.", path.display());
    assert!(run.status == 0 && run.stdout.contains(&words), "{run}");
    untouched(&gateway);
    let run = portclear(&JSON);
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    gateway.workers().iter().for_each(Proc::has_ended);
    bystander.answers();
}

fn b06_each_kind_of_lock_tells_its_gateway() {
    let bystander = Bystander::start();
    type Change = fn(Lock) -> Lock;
    let table: [(&str, Change); 8] = [
        (STATE, |lock| lock),
        (HASH, |lock| lock),
        (HASH, Lock::older),
        (HASH, |lock| lock.older().folder("clawdbot-0")),
        (HASH, |lock| lock.older().folder("moltbot-0")),
        (STATE, |lock| lock.without("port")),
        (STATE, |lock| lock.set("role", "gateway")),
        // The oldest releases write no start time. The file is as young as its gateway.
        (HASH, |lock| lock.older().without("startTime")),
    ];
    for (name, change) in table {
        let gateway = titled(Fixture::gateway());
        let path = gateway.locks(&change(Lock::of(&gateway)), name);
        is_told_by(&gateway, &path);
    }
    let gateway = titled(Fixture::gateway().exe_name("bun"));
    let path = gateway.locks(&Lock::of(&gateway), STATE);
    is_told_by(&gateway, &path);
    bystander.answers();
}

/// The descriptor is the file that the gateway has opened, whatever has come to the path since.
fn b06_a_lock_whose_path_is_gone_or_another_file_tells_its_gateway() {
    let bystander = Bystander::start();
    for replaced in [false, true] {
        let gateway = titled(Fixture::gateway());
        let path = gateway.locks(&Lock::of(&gateway), STATE);
        fs::remove_file(&path).unwrap();
        if replaced {
            Lock::of(&gateway).plus("pid", 1).write(STATE);
        }
        is_told_by(&gateway, &path);
    }
    bystander.answers();
}

fn b06_a_lock_names_the_pid_of_its_own_namespace() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = titled(Fixture::gateway().inside(&namespace));
    assert_ne!(gateway.pid(), gateway.inner_pid());
    gateway.locks(&Lock::of(&gateway), STATE);
    // From outside it is a container's.
    let run = portclear(&JSON);
    spared(&run, 3, gateway.pid(), "live");
    assert_eq!(holder(&run, gateway.process())["identity"], "instance", "{run}");
    untouched(&gateway);
    let run = Portclear::new(&JSON).inside(&namespace).run();
    cleared(&run, gateway.inner_pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();

    // A lock with the outer pid is another process's.
    let gateway = titled(Fixture::gateway().inside(&namespace));
    gateway.locks(&Lock::of(&gateway).set("pid", gateway.pid()), STATE);
    let run = Portclear::new(&JSON).inside(&namespace).run();
    spared(&run, 3, gateway.inner_pid(), "foreign");
    untouched(&gateway);
    bystander.answers();
}

/// Between fork and exec a child has the title of the gateway, its listener and its locks.
fn b08_a_child_that_has_executed_nothing_is_a_part_of_its_gateway() {
    let bystander = Bystander::start();
    let gateway = titled(Fixture::gateway());
    gateway.locks(&Lock::of(&gateway), STATE);
    let child = gateway.fork();
    let run = portclear(&JSON);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(holder(&run, &child)["identity"], "instance", "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    gateway.has_ended();
    child.has_ended();
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

/// A hook of the service asks. The folder in the lock counts, whatever the variables of the gateway were.
fn a12_a_gateway_of_another_state_folder_lives() {
    let bystander = Bystander::start();
    let gateway = titled(Fixture::gateway());
    gateway.locks(&Lock::of(&gateway), STATE);
    let folder = gateway.root().join("state");
    let link = gateway.root().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let asked = |key: &str, value: &Path| {
        let run = Portclear::new(&JSON).env("HOME", "/").env(key, value);
        MARKERS.iter().fold(run, |run, (key, value)| run.env(key, *value)).run()
    };
    for (key, value) in [("OPENCLAW_STATE_DIR", gateway.root()), ("OPENCLAW_HOME", gateway.root()), ("X", &folder)] {
        spared(&asked(key, value), 3, gateway.pid(), "other-instance");
        untouched(&gateway);
    }
    // By another name it is the same folder.
    cleared(&asked("OPENCLAW_STATE_DIR", &link), gateway.pid(), "stale-instance", &["SIGTERM"]);
    bystander.answers();
}

fn a02_a_title_that_no_gateway_has_acquits_with_a_lock_too() {
    let bystander = Bystander::start();
    let other = Fixture::gateway().marked(false).start();
    other.set_title(b"my-dashboard");
    other.locks(&Lock::of(&other), STATE);
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    untouched(&other);
    bystander.answers();
}
