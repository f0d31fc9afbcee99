//! Found whatever it is called and whatever became of its files since.

use std::fs;
use std::path::Path;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b01_a_gateway_that_node_runs_is_ended, Needs::Node),
        case!(b01_an_innocent_node_is_left_alone_and_named, Needs::Node),
        case!(b01_whatever_its_name_is),
        case!(b02_a_title_over_the_arguments_of_node, Needs::Node),
        case!(b02_hostile_names_and_titles_padded_with_nuls),
        case!(b03_an_executable_replaced_or_deleted_under_it),
        case!(b03_a_replaced_executable_of_another_service),
        case!(b03_a_script_whose_folder_is_gone),
    ]
}

pub(crate) const GATEWAY: &str = "127.0.0.1:18789";
pub(crate) const JSON: [&str; 2] = ["--json", "18789"];

/// The report says that these processes, all stale instances, got one SIGTERM each and ended; and they have.
#[track_caller]
pub(crate) fn cleared(run: &Run, ended: &[&Proc]) {
    assert_eq!(run.status, 0, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!(port["status"], "cleared", "{run}");
    let holders = run.processes();
    for holder in &holders {
        let said = ["identity", "verdict", "rule", "outcome"].map(|field| holder[field].as_str().unwrap());
        assert_eq!(said, ["instance", "stale", "stale-instance", "ended"], "{run}");
        let signals: Vec<_> = holder["signals"].as_array().unwrap().iter().map(|s| &s["signal"]).collect();
        assert_eq!(signals, ["SIGTERM"], "{run}");
    }
    let mut said: Vec<u64> = holders.iter().map(|holder| holder["pid"].as_u64().unwrap()).collect();
    let mut expected: Vec<u64> = ended.iter().map(|process| process.pid().into()).collect();
    said.sort_unstable();
    expected.sort_unstable();
    assert_eq!(said, expected, "{run}");
    ended.iter().for_each(|process| process.has_ended());
}

/// The report names these processes, each with its rule, and says that none of them was touched; and they live.
#[track_caller]
pub(crate) fn left_alone(run: &Run, untouched: &[(&Proc, &str)]) {
    assert_eq!(run.status, 3, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!(port["status"], "held", "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), untouched.len(), "{run}");
    for (process, rule) in untouched {
        let holder = holder(run, process);
        assert_eq!((&holder["rule"], &holder["outcome"]), (&(*rule).into(), &"untouched".into()), "{run}");
        assert_eq!(holder["signals"].as_array().unwrap().len(), 0, "{run}");
        assert!(process.is_alive(), "{run}");
    }
}

#[track_caller]
pub(crate) fn holder(run: &Run, process: &Proc) -> serde_json::Value {
    let holders = run.json()["ports"][0]["holders"].as_array().unwrap().clone();
    let its = |holder: &serde_json::Value| holder["pid"] == process.pid();
    holders.into_iter().find(its).unwrap_or_else(|| panic!("no holder {}: {run}", process.pid()))
}

#[track_caller]
pub(crate) fn reason(run: &Run, process: &Proc) -> String {
    holder(run, process)["reason"].as_str().unwrap().to_owned()
}

/// A gateway that is ended for this reason, while a bystander lives.
#[track_caller]
pub(crate) fn is_found(gateway: Builder, options: &[&str], because: &str) {
    let bystander = Bystander::start();
    let gateway = gateway.start();
    let run = portclear(&[options, &JSON].concat());
    cleared(&run, &[gateway.process()]);
    assert!(reason(&run, gateway.process()).ends_with(because), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

#[track_caller]
pub(crate) fn is_foreign(other: Builder, options: &[&str]) {
    let other = other.start();
    let run = portclear(&[options, &JSON].concat());
    left_alone(&run, &[(other.process(), "foreign")]);
    assert_eq!(other.signals(), [""; 0]);
    other.answers();
}

fn proc_file(of: &Fixture, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{}/{name}", of.pid())).unwrap()
}

fn b01_a_gateway_that_node_runs_is_ended() {
    let gateway = Fixture::gateway().real_node().arg0(b"node").start();
    let elsewhere = Fixture::other("127.0.0.1:18791").real_node().start();
    let script = gateway.script().display().to_string();
    assert_eq!(
        proc_file(&gateway, "cmdline"),
        format!("node\0{script}\0gateway\0--port\x0018789\0").as_bytes()
    );
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
    let what = "spared: not the service's: neither what it executes nor a marker says so";
    assert!(run.stdout.contains(&who) && run.stdout.contains(what), "{run}");
    assert!(run.stdout.contains(": held, and left alone: nothing was signalled"), "{run}");
    left_alone(&portclear(&JSON), &[(innocent.process(), "foreign")]);
}

fn b01_whatever_its_name_is() {
    let bystander = Bystander::start();
    for (exe, comm) in [("node", "MainThread"), ("bun", "bun"), ("nodejs", "x"), ("node22", "sh")] {
        let gateway = Fixture::gateway().exe_name(exe).arg0(b"anything").start();
        gateway.set_comm(comm.as_bytes());
        assert_eq!(proc_file(&gateway, "comm"), format!("{comm}\n").as_bytes());
        let run = portclear(&JSON);
        cleared(&run, &[gateway.process()]);
        assert_eq!(holder(&run, gateway.process())["comm"], comm, "{run}");
    }
    let other = Fixture::other(GATEWAY).exe_name("openclaw").arg0(b"openclaw-gateway").start();
    other.set_comm(b"openclaw-gatewa");
    left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
    other.answers();
    bystander.answers();
}

fn b02_a_title_over_the_arguments_of_node() {
    let bystander = Bystander::start();
    let titled = |gateway: Builder| gateway.real_node().title("openclaw-gateway").start();
    let gateway = titled(Fixture::gateway());
    assert!(proc_file(&gateway, "cmdline").starts_with(b"openclaw-gateway\0\0"));
    assert_eq!(proc_file(&gateway, "comm"), b"openclaw-gatewa\n");
    let run = portclear(&JSON);
    cleared(&run, &[gateway.process()]);
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

fn b02_hostile_names_and_titles_padded_with_nuls() {
    let bystander = Bystander::start();
    let names: [(&[u8], &[u8]); 3] = [
        (b"openclaw-gateway", b"openclaw-gateway"),
        (b"foo) Z 1 1 (\n\xff", b"openclaw gateway\n\x1b[2J\xff"),
        (b"", b""),
    ];
    for (comm, title) in names {
        let gateway = Fixture::gateway().start();
        gateway.set_comm(comm);
        gateway.set_title(title);
        let cut = &comm[..comm.len().min(15)];
        assert_eq!(proc_file(&gateway, "comm"), [cut, b"\n"].concat());
        assert!(proc_file(&gateway, "cmdline").starts_with(&[title, b"\0\0\0\0"].concat()));
        let run = portclear(&JSON);
        cleared(&run, &[gateway.process()]);
        let said = holder(&run, gateway.process()).to_string();
        // JSON's own escapes are of one backslash; portclear's are in the text and so show two.
        assert!(!["\\n", "\\u"].iter().any(|bare| said.replace("\\\\", "").contains(bare)), "{said}");
    }
    let unmarked = Fixture::gateway().marked(false).start();
    unmarked.set_title(b"openclaw-gateway");
    left_alone(&portclear(&JSON), &[(unmarked.process(), "foreign")]);
    unmarked.answers();
    bystander.answers();
}

/// As an upgrade does it: another file under the same name, or none.
fn replace(exe: &Path, delete: bool) {
    let new = exe.with_extension("new");
    fs::write(&new, "another version").unwrap();
    match delete {
        true => fs::remove_file(exe).unwrap(),
        false => fs::rename(new, exe).unwrap(),
    }
}

fn b03_an_executable_replaced_or_deleted_under_it() {
    let bystander = Bystander::start();
    for delete in [false, true] {
        let gateway = Fixture::gateway().start();
        let exe = gateway.exe().to_str().unwrap();
        let look = || portclear(&["--dry-run", "--json", "18789"]);
        let before = holder(&look(), gateway.process());
        assert_eq!((&before["exe"], &before["replaced"]), (&exe.into(), &false.into()));
        replace(gateway.exe(), delete);
        let after = holder(&look(), gateway.process());
        assert_eq!((&after["exe"], &after["replaced"]), (&exe.into(), &true.into()));
        let run = portclear(&["--dry-run", "18789"]);
        assert!(run.stdout.contains(&format!(", exe {exe} (replaced on disk), ")), "{run}");
        let run = portclear(&JSON);
        cleared(&run, &[gateway.process()]);
        let other = Fixture::other(GATEWAY).start();
        replace(other.exe(), delete);
        left_alone(&portclear(&JSON), &[(other.process(), "foreign")]);
        other.answers();
    }
    bystander.answers();
}

fn b03_a_replaced_executable_of_another_service() {
    let bystander = Bystander::start();
    let start = || Fixture::other(GATEWAY).exe_name("my-app").start();
    for delete in [false, true] {
        let [app, rival] = [start(), Fixture::other("[::1]:18789").exe_name("my-app").start()];
        replace(app.exe(), delete);
        replace(rival.exe(), delete);
        let path = app.exe().to_str().unwrap();
        left_alone(&portclear(&["--exe", path, "--json", "[::1]:18789"]), &[(rival.process(), "foreign")]);
        let run = portclear(&["--exe", path, "--json", GATEWAY]);
        cleared(&run, &[app.process()]);
        assert_eq!(holder(&run, app.process())["replaced"], true, "{run}");
        rival.answers();
    }
    bystander.answers();
}

fn b03_a_script_whose_folder_is_gone() {
    let bystander = Bystander::start();
    let uprooted = |gateway: Builder| {
        let gateway = gateway.start();
        fs::remove_dir_all(gateway.root().join("openclaw")).unwrap();
        gateway
    };
    let gateway = uprooted(Fixture::gateway());
    let run = portclear(&JSON);
    cleared(&run, &[gateway.process()]);
    let because = "it carries the marker and runs the service's runtime";
    assert!(reason(&run, gateway.process()).ends_with(because), "{run}");
    let unmarked = uprooted(Fixture::gateway().marked(false));
    left_alone(&portclear(&JSON), &[(unmarked.process(), "foreign")]);
    unmarked.answers();
    bystander.answers();
}
