//! C. Hurting oneself or the healthy.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::layout::copy;
use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c01_a_sidecar_spares_the_gateway_above_it),
        case!(c01_a_sidecar_spares_the_worker_of_the_gateway_above_it),
        case!(c01_what_an_ancestor_started_is_not_protected),
        case!(c02_an_ancestry_that_cannot_be_read_protects_everything, Needs::Root),
        case!(c04_pid_1_of_a_container_is_never_signalled),
        case!(c10_two_cleaners_at_once),
        case!(c10_two_cleaners_that_have_both_judged),
        case!(c11_a_gateway_in_a_container_is_live),
        case!(c11_the_container_is_named_by_its_cgroup, Needs::Root),
    ]
}

const AT: &str = "127.0.0.1:18789";
pub(crate) const JSON: [&str; 2] = ["--json", "18789"];

/// The only port was left alone with this status, its only holder by this rule. Gives the reason.
#[track_caller]
pub(crate) fn spared(run: &Run, exit: i32, pid: u32, rule: &str) -> String {
    assert_eq!(run.status, exit, "{run}");
    let port = run.json()["ports"][0].take();
    let status = if exit == 3 { "held" } else { "unseen" };
    assert_eq!((&port["exit"], &port["status"]), (&json!(exit), &json!(status)), "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), 1, "{run}");
    let holder = &port["holders"][0];
    assert_eq!((&holder["pid"], &holder["rule"]), (&json!(pid), &json!(rule)), "{run}");
    assert_eq!((&holder["verdict"], &holder["outcome"]), (&json!("spare"), &json!("untouched")), "{run}");
    assert_eq!(holder["signals"], json!([]), "{run}");
    holder["reason"].as_str().unwrap().to_owned()
}

/// The only port was cleared: its only holder was ended by this rule, with these signals.
#[track_caller]
pub(crate) fn cleared(run: &Run, pid: u32, rule: &str, signals: &[&str]) {
    assert_eq!(run.status, 0, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!((&port["exit"], &port["status"]), (&json!(0), &json!("cleared")), "{run}");
    assert_eq!(port["holders"].as_array().unwrap().len(), 1, "{run}");
    let holder = &port["holders"][0];
    assert_eq!((&holder["pid"], &holder["rule"]), (&json!(pid), &json!(rule)), "{run}");
    assert_eq!((&holder["verdict"], &holder["outcome"]), (&json!("stale"), &json!("ended")), "{run}");
    assert_eq!(sent(holder), signals, "{run}");
    assert!(can_bind(AT), "{run}");
}

/// The names of the signals that a holder was sent.
pub(crate) fn sent(holder: &Value) -> Vec<&str> {
    holder["signals"].as_array().unwrap().iter().map(|one| one["signal"].as_str().unwrap()).collect()
}

/// It serves, and nothing was sent to it.
#[track_caller]
pub(crate) fn untouched(fixture: &Fixture) {
    fixture.answers();
    assert_eq!(fixture.signals(), [""; 0]);
    assert!(fixture.is_alive());
}

fn c01_a_sidecar_spares_the_gateway_above_it() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // Not its last command, or the shell would become the program instead of staying above it.
    let shell = ["/bin/sh", "-c", r#""$0" "$@"; exit $?"#];
    let program = [PROGRAM, JSON[0], JSON[1]];
    let lines = [
        program.to_vec(),
        [&shell[..], &program].concat(),
        [&shell[..], &shell, &program].concat(),
        [&shell[..], &program, &["--any-owner"]].concat(),
    ];
    for line in lines {
        let run = gateway.run(&line, &[], false);
        assert_eq!(spared(&run, 3, gateway.pid(), "protected"), "the caller descends from it");
        untouched(&gateway);
    }
    bystander.answers();
}

fn c01_a_sidecar_spares_the_worker_of_the_gateway_above_it() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let worker = gateway.fork();
    gateway.close_sockets();
    let run = gateway.portclear(&JSON, &[]);
    let because = |pid| format!("it is part of the instance (pid {pid}) that the caller descends from");
    assert_eq!(spared(&run, 3, worker.pid(), "protected"), because(gateway.pid()));
    assert_eq!(ask(AT).unwrap(), format!("{} gateway", worker.pid()));
    assert_eq!(gateway.signals_of(worker.pid()), [""; 0]);
    assert!(worker.is_alive() && gateway.is_alive());
    drop(gateway);
    worker.has_ended();

    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let run = launcher.portclear(&JSON, &[]);
    assert_eq!(spared(&run, 3, worker.pid(), "protected"), because(launcher.pid()));
    untouched(&worker);
    bystander.answers();
}

fn c01_what_an_ancestor_started_is_not_protected() {
    let bystander = Bystander::start();
    // A shell's part: above both, and no instance.
    let session = Fixture::silent().marked(false).package("session").start();
    let gateway = Fixture::gateway().start_below(&session);
    let run = session.portclear(&JSON, &[]);
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(session.is_alive());
    assert_eq!(session.signals(), [""; 0]);
    bystander.answers();
}

fn c02_an_ancestry_that_cannot_be_read_protects_everything() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).uid(NOBODY).start();
    // Root's, and so hidden from the caller below it.
    let parent = Fixture::silent().marked(false).package("session").inside(&namespace).start();
    // Where the program was built, nobody may have no way to.
    let program = copy(Path::new(PROGRAM), &parent.root().join("portclear"));
    let user = NOBODY.to_string();
    let clear = || {
        let become_nobody = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--"];
        parent.run(&[&become_nobody[..], &[program.to_str().unwrap()], &JSON].concat(), &[], false)
    };
    namespace.hide_pids();
    let run = clear();
    let why = "the caller's own ancestry cannot be read to its end (is /proc mounted with hidepid?), so this \
               may be an ancestor";
    assert_eq!(spared(&run, 4, gateway.inner_pid(), "unknown"), why);
    assert!(run.json()["ports"][0]["sentence"].as_str().unwrap().contains(why), "{run}");
    untouched(&gateway);
    namespace.sh("mount -o remount,hidepid=0 /proc");
    cleared(&clear(), gateway.inner_pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    assert!(parent.is_alive());
    bystander.answers();
}

fn c04_pid_1_of_a_container_is_never_signalled() {
    let bystander = Bystander::start();
    let namespace = PidNs::under(Fixture::gateway());
    let gateway = namespace.init();
    let is_spared = |run: &Run| {
        let reason = spared(run, 3, 1, "protected");
        assert!(reason.starts_with("PID 1 is never signalled"), "{reason}");
        untouched(gateway);
    };
    is_spared(&Portclear::new(&JSON).inside(&namespace).run());
    is_spared(&Portclear::new(&["--json", "--any-owner", "18789"]).inside(&namespace).run());
    is_spared(&gateway.portclear(&JSON, &[]));
    bystander.answers();
}

fn c10_two_cleaners_at_once() {
    let bystander = Bystander::start();
    for round in 0..10 {
        // Long enough to be found in the middle of it, and at a second signal it ends at once.
        let drain = OnTerm::Drain(20 * round);
        let gateway = Fixture::gateway().on_term(drain).start();
        let cleaners = [(); 2].map(|()| Portclear::new(&JSON).spawn());
        let runs = cleaners.map(Running::finish);
        for run in &runs {
            assert_eq!(run.status, 0, "{run}");
            let port = run.json()["ports"][0].take();
            let signals: Vec<&str> = port["holders"].as_array().unwrap().iter().flat_map(sent).collect();
            assert!(signals.is_empty() || signals == ["SIGTERM"], "{run}");
        }
        let status = gateway.status();
        assert_eq!(status.signal(), None, "killed: {}\n{}", runs[0], runs[1]);
        let signals = gateway.signals();
        assert!(signals == ["TERM"] || signals == ["TERM", "TERM"], "{signals:?}");
        assert!(can_bind(AT));
    }
    bystander.answers();
}

fn c10_two_cleaners_that_have_both_judged() {
    let bystander = Bystander::start();
    // The other one has ended it by the time of this one's signal.
    let gateway = Fixture::gateway().start();
    let mut late = Portclear::new(&JSON).traced();
    late.run_to(libc::SYS_pidfd_send_signal);
    cleared(&portclear(&JSON), gateway.pid(), "stale-instance", &["SIGTERM"]);
    // Reaped: a zombie would still take the signal.
    assert_eq!(gateway.status().code(), Some(0));
    let run = late.finish();
    assert_eq!(run.status, 0, "{run}");
    let holder = run.json()["ports"][0]["holders"][0].take();
    assert_eq!((sent(&holder), &holder["outcome"]), (vec![], &json!("ended-by-itself")), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    drop(gateway);

    // Both wait for the same end.
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let mut first = Portclear::new(&JSON).traced();
    first.run_to_call(libc::SYS_pidfd_send_signal, |arguments| arguments[1] == libc::SIGCONT as u64);
    until("the first signal", || gateway.signals() == ["TERM"]);
    cleared(&portclear(&JSON), gateway.pid(), "stale-instance", &["SIGTERM"]);
    cleared(&first.finish(), gateway.pid(), "stale-instance", &["SIGTERM"]);
    assert_eq!(gateway.signals(), ["TERM", "TERM"]);
    assert_eq!(gateway.status().code(), Some(1));
    bystander.answers();
}

fn c11_a_gateway_in_a_container_is_live() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    for more in [&[][..], &["--any-owner"]] {
        let run = portclear(&[&JSON, more].concat());
        let reason = spared(&run, 3, gateway.pid(), "live");
        // No more is said than is seen: what cgroup this test runs in is not its to choose.
        assert!(reason.contains("container") && reason.ends_with("whose runtime looks after it"), "{reason}");
        assert_eq!(run.json()["ports"][0]["holders"][0]["identity"], "instance", "{run}");
        untouched(&gateway);
    }
    // Where it belongs it is an instance that nobody looks after.
    let run = Portclear::new(&JSON).inside(&namespace).run();
    cleared(&run, gateway.inner_pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}

/// A cgroup of the unified hierarchy. Removed when dropped; its processes must have ended.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None`: this machine has no unified hierarchy that may be written.
    fn new(name: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.iter().find(|root| root.join("cgroup.controllers").exists())?;
        let path = root.join(name);
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn take(&self, process: &Proc) {
        fs::write(self.0.join("cgroup.procs"), process.pid().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        until("an empty cgroup", || fs::remove_dir(&self.0).is_ok());
    }
}

fn c11_the_container_is_named_by_its_cgroup() {
    let bystander = Bystander::start();
    let name = format!("docker-{:064x}.scope", std::process::id());
    let Some(cgroup) = Cgroup::new(&name) else {
        eprintln!("skipped the name of a container: no cgroup of version 2 that may be written");
        return;
    };
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    cgroup.take(gateway.process());
    let said = format!("it runs in a container ({name}), whose runtime looks after it");
    assert_eq!(spared(&portclear(&JSON), 3, gateway.pid(), "live"), said);
    untouched(&gateway);
    bystander.answers();
    drop(gateway);

    // One that shares the pid namespace of its host.
    let gateway = Fixture::gateway().start();
    cgroup.take(gateway.process());
    assert_eq!(spared(&portclear(&JSON), 3, gateway.pid(), "live"), said);
    untouched(&gateway);
    bystander.answers();
}
