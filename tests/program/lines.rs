//! The line of a process says who was ended or spared, and why.

use std::fs;

use procfs::Current;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(g01_every_field_of_a_line_is_the_process_own),
        case!(g01_one_line_for_each_that_was_killed),
        case!(g01_a_spared_neighbour_has_its_line_too),
        case!(g01_unit_and_user_of_another_are_named, Needs::Root),
    ]
}

const RUN: &str = "0123456789abcdef0123456789abcdef";

/// The line that portclear should print for a process, by what the kernel tells. `#` stands for a number.
fn line_of(process: &Fixture, pid: u32, run: &str, on: &str, ending: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    let uid = uid.split_whitespace().next().unwrap();
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields[2] == uid).map(|fields| format!(" {}", fields[0]));
    format!(
        "portclear: port 18789: node (pid {pid}, uid {uid}{}, exe {}, unit {}, run {run}, age #s) on {on}: {ending}",
        user.unwrap_or_default(),
        process.exe().display(),
        unit(process.pid()),
    )
}

/// The innermost service in its cgroup, as the kernel tells it.
fn unit(pid: u32) -> String {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let service = path.split('/').rfind(|part| part.ends_with(".service") && *part != ".service");
    service.map_or_else(|| "-".to_owned(), |unit| portclear::report::escape(unit.as_bytes()))
}

/// The numbers in the one line that is as expected: the age, then the milliseconds of each step of its end.
#[track_caller]
fn numbers(run: &Run, expected: &str) -> Vec<u64> {
    let read = |line: &str| {
        let mut rest = line;
        let mut numbers = Vec::new();
        for (at, part) in expected.split('#').enumerate() {
            if at > 0 {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                numbers.push(rest[..end].parse().ok()?);
                rest = &rest[end..];
            }
            rest = rest.strip_prefix(part)?;
        }
        rest.is_empty().then_some(numbers)
    };
    let mut all: Vec<Vec<u64>> = run.said().lines().filter_map(read).collect();
    assert_eq!(all.len(), 1, "not once: {expected}\n{run}");
    all.remove(0)
}

#[track_caller]
fn ends_with(run: &Run, lines: usize, last: &str) {
    let text = run.said();
    assert_eq!(text.lines().count(), lines, "{run}");
    let said = text.lines().next_back().unwrap();
    assert!(said.starts_with(&format!("portclear: port 18789: {last}")), "{run}");
}

const BY_PACKAGE: &str =
    "stale: an older instance of OpenClaw, and no supervisor runs it; its script lies in package openclaw";

fn g01_every_field_of_a_line_is_the_process_own() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().env("INVOCATION_ID", RUN).on_term(OnTerm::Drain(300)).start();
    let start = gateway.process().stat().starttime;
    let per_second = rustix::param::clock_ticks_per_second();
    // It is a second old: a line that does not know the age would say 0.
    wait::tick_after(start + per_second);
    let age = || {
        let uptime = procfs::Uptime::current().unwrap().uptime;
        (uptime - start as f64 / per_second as f64) as u64
    };
    let ending = format!("{BY_PACKAGE}: SIGTERM after # ms, gone after # ms");
    let expected = line_of(&gateway, gateway.pid(), RUN, GATEWAY, &ending);
    let before = age();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    let [told, term, gone] = numbers(&run, &expected)[..] else { panic!("{run}") };
    assert!((before..=age()).contains(&told), "{run}");
    assert!(term < 300 && gone >= 300 && u128::from(gone) <= run.elapsed.as_millis(), "{run}");
    ends_with(&run, 2, "cleared, 1 process ended; a bind proves it");
    bystander.answers();
}

fn g01_one_line_for_each_that_was_killed() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().no_package().on_term(OnTerm::Ignore).start();
    gateway.listen_also("[::1]:18789");
    let child = gateway.fork();
    let ending = "stale: an older instance of OpenClaw, and no supervisor runs it; it carries the marker and runs the service's runtime: \
                  SIGTERM after # ms, SIGKILL after # ms, gone after # ms: cut off, perhaps while draining";
    let on = "127.0.0.1:18789, [::1]:18789";
    let expected = [gateway.pid(), child.pid()].map(|pid| line_of(&gateway, pid, "-", on, ending));
    let run = portclear(&["18789", "--grace", "200ms"]);
    assert_eq!(run.status, 0, "{run}");
    for line in expected {
        let [_, term, kill, gone] = numbers(&run, &line)[..] else { panic!("{run}") };
        assert!(term < 200 && kill >= 200 && gone >= kill, "{run}");
        assert!(u128::from(gone) <= run.elapsed.as_millis(), "{run}");
    }
    let longer = "cleared, 2 processes ended, cut off by SIGKILL; a bind proves it; --grace 330s waits longer";
    ends_with(&run, 3, longer);
    bystander.answers();
}

fn g01_a_spared_neighbour_has_its_line_too() {
    let gateway = Fixture::gateway().marked(false).start();
    let neighbour = Fixture::other("[::1]:18789").start();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 3, "{run}");
    let spared = "spared: not recognised as OpenClaw: it runs node index.js; no marker, no script of package openclaw, no lock file";
    for (process, on, ending) in [(&gateway, GATEWAY, BY_PACKAGE), (&neighbour, "[::1]:18789", spared)] {
        numbers(&run, &line_of(process, process.pid(), "-", on, ending));
    }
    ends_with(&run, 3, "held, and left alone: nothing was signalled");
    untouched(&gateway);
    untouched(&neighbour);
}

/// A cgroup with the name of a service, as systemd makes them. The drop removes it, after its process.
struct Unit<'a> {
    namespace: &'a PidNs,
    path: String,
}

impl<'a> Unit<'a> {
    fn new(namespace: &'a PidNs, name: &str) -> Self {
        // The mount is in the namespace alone, over a folder of its own.
        let mount = namespace.init().root().join("bin").display().to_string();
        let path = format!("{mount}/{name}");
        namespace.sh(&format!("mount -t cgroup2 none {mount}; mkdir {path}"));
        Self { namespace, path }
    }

    fn take(&self, process: &Fixture) {
        self.namespace.sh(&format!("echo {} >{}/cgroup.procs", process.inner_pid(), self.path));
    }
}

impl Drop for Unit<'_> {
    fn drop(&mut self) {
        self.namespace.sh(&format!("rmdir {}", self.path));
    }
}

fn g01_unit_and_user_of_another_are_named() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    // The folder of records has none of this unit, as after its end. Without the folder, nothing would be known.
    let folder = "/run/systemd/units";
    let record = format!("ln -s {} {folder}/invocation:another.service", "0".repeat(32));
    namespace.sh(&format!("mount -t tmpfs none /run && mkdir -p {folder} && {record}"));
    let name = format!("portclear-{}.service", namespace.init().pid());
    let service = Unit::new(&namespace, &name);
    let gateway = Fixture::gateway().uid(NOBODY).inside(&namespace).start();
    service.take(&gateway);
    let by_package =
        BY_PACKAGE.replace("an older instance of OpenClaw, and no supervisor runs it", "left behind by an ended run");
    let ending = format!("{by_package}: SIGTERM after # ms, gone after # ms");
    let expected = line_of(&gateway, gateway.inner_pid(), "-", GATEWAY, &ending);
    assert!(expected.contains(&format!(", uid 65534 nobody, exe {}, unit {name}, ", gateway.exe().display())));
    let run = Portclear::new(&["18789"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    numbers(&run, &expected);
    gateway.has_ended();
    bystander.answers();
}
