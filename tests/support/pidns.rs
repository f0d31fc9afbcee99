//! A pid namespace with a /proc of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::builder::Builder;
use super::fixture::Fixture;
use super::process::only_child;
use super::server::Server;
use super::wait::until;

/// Every process in it has two pids. The test sees the outer one. portclear sees the inner one when it runs inside
/// ([`super::Portclear::inside`]). The drop ends all of them.
pub(crate) struct PidNs {
    init: Init,
}

/// What is PID 1.
enum Init {
    Fixture(Fixture),
    /// Any other program, by its outer pid.
    Program {
        _wrapper: Server,
        pid: u32,
    },
}

/// unshare itself must end with the test, and PID 1 with unshare.
const WRAPPER: &str = "setpriv --pdeathsig KILL -- unshare --fork --pid --mount --mount-proc --kill-child --";

impl PidNs {
    /// Its PID 1 does nothing but reap.
    pub(crate) fn new() -> Self {
        Self::under(Fixture::silent().marked(false).package("init"))
    }

    /// This fixture is PID 1 in it.
    pub(crate) fn under(init: Builder) -> Self {
        let words: Vec<&str> = WRAPPER.split_whitespace().collect();
        Self { init: Init::Fixture(init.behind(&words).start()) }
    }

    /// This program is PID 1 in it, with these variables alone. Nobody reads what it writes.
    pub(super) fn of_program(argv: &[&str], environment: &[(String, String)]) -> Self {
        let words: Vec<&str> = WRAPPER.split_whitespace().chain(argv.iter().copied()).collect();
        let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (&**key, &**value)).collect();
        let wrapper = Server::start(&words, &environment);
        let pid = only_child(wrapper.pid());
        Self { init: Init::Program { pid, _wrapper: wrapper } }
    }

    #[track_caller]
    pub(crate) fn init(&self) -> &Fixture {
        match &self.init {
            Init::Fixture(init) => init,
            Init::Program { .. } => panic!("PID 1 is no fixture"),
        }
    }

    /// PID 1, as the test sees it.
    pub(super) fn init_pid(&self) -> u32 {
        match &self.init {
            Init::Fixture(init) => init.pid(),
            Init::Program { pid, .. } => *pid,
        }
    }

    /// Starts a fixture in it, and ends the fixture's parent. PID 1 is its parent then.
    pub(crate) fn orphan(&self, builder: Builder) -> Fixture {
        let parent = Fixture::silent().marked(false).package("session").inside(self).start();
        let orphan = builder.start_below(&parent);
        parent.process().kill();
        until("another parent", || orphan.process().parent() == self.init_pid());
        orphan
    }

    /// Remounts its /proc with hidepid=2: an ordinary user inside sees his own processes only.
    pub(crate) fn hide_pids(&self) {
        self.sh("mount -o remount,hidepid=2 /proc");
    }

    /// The next process that starts in it gets this inner pid. The pid must be free.
    pub(crate) fn next_pid(&self, inner: u32) {
        // The file is about the writer's own namespace, and the writer takes a pid itself.
        self.sh(&format!("echo {} > /proc/sys/kernel/ns_last_pid", inner - 1));
    }

    /// The outer pid for an inner one.
    pub(crate) fn outer(&self, inner: u32) -> u32 {
        outer(self.init_pid(), inner)
    }

    /// Runs a command line in it, as its root.
    pub(crate) fn sh(&self, line: &str) {
        let [program, arguments @ ..] = &self.entering()[..] else { unreachable!("a wrapper has a first word") };
        let status = Command::new(program).args(arguments).args(["sh", "-ec", line]).status();
        assert!(status.expect("nsenter").success(), "{line}");
    }

    /// The wrapper that starts its arguments in it. The wrapper stays outside, and its only child is inside.
    pub(super) fn entering(&self) -> Vec<OsString> {
        let target = format!("--target={}", self.init_pid());
        let words = ["setpriv", "--pdeathsig", "KILL", "--", "nsenter", &target, "--pid", "--mount", "--"];
        words.map(OsString::from).to_vec()
    }
}

/// The outer pid of the process that has this pid in the namespace of `member`.
pub(super) fn outer(member: u32, inner: u32) -> u32 {
    let namespace = |pid: &Path| std::fs::read_link(pid.join("ns/pid")).ok();
    let own = namespace(&PathBuf::from(format!("/proc/{member}")));
    assert!(own.is_some(), "process {member} is gone");
    if own == namespace(Path::new("/proc/self")) {
        return inner;
    }
    let mut found = None;
    until("a process inside", || {
        let all = procfs::process::all_processes().expect("/proc").flatten();
        let mut inside = all.filter(|process| {
            let pids = process.status().ok().and_then(|status| status.nspid);
            let last = pids.and_then(|pids| pids.last().copied());
            last == i32::try_from(inner).ok() && namespace(Path::new(&format!("/proc/{}", process.pid))) == own
        });
        found = inside.next().and_then(|process| process.pid.try_into().ok());
        found.is_some()
    });
    found.unwrap()
}
