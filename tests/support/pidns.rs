//! A pid namespace with a /proc of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::builder::Builder;
use super::fixture::Fixture;
use super::wait::until;

/// Every process in it has two pids. The test sees the outer one. portclear sees the inner one when it runs inside
/// ([`super::Portclear::inside`]). The drop ends all of them.
pub(crate) struct PidNs {
    init: Fixture,
}

impl PidNs {
    /// Its PID 1 does nothing but reap.
    pub(crate) fn new() -> Self {
        Self::under(Fixture::silent().marked(false).package("init"))
    }

    /// This fixture is PID 1 in it.
    pub(crate) fn under(init: Builder) -> Self {
        // unshare itself must end with the test, and PID 1 with unshare.
        let wrapper = "setpriv --pdeathsig KILL -- \
                       unshare --fork --pid --mount --mount-proc --kill-child --";
        let words: Vec<&str> = wrapper.split_whitespace().collect();
        Self { init: init.behind(&words).start() }
    }

    pub(crate) fn init(&self) -> &Fixture {
        &self.init
    }

    /// Starts a fixture in it, and ends the fixture's parent. PID 1 is its parent then.
    pub(crate) fn orphan(&self, builder: Builder) -> Fixture {
        let parent = Fixture::silent().marked(false).package("session").inside(self).start();
        let orphan = builder.start_below(&parent);
        parent.process().kill();
        until("another parent", || orphan.process().parent() == self.init.pid());
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
        outer(self.init.pid(), inner)
    }

    /// Runs a command line in it, as its root.
    pub(crate) fn sh(&self, line: &str) {
        let [program, arguments @ ..] = &self.entering()[..] else { unreachable!("a wrapper has a first word") };
        let status = Command::new(program).args(arguments).args(["sh", "-ec", line]).status();
        assert!(status.expect("nsenter").success(), "{line}");
    }

    /// The wrapper that starts its arguments in it. The wrapper stays outside, and its only child is inside.
    pub(super) fn entering(&self) -> Vec<OsString> {
        let target = format!("--target={}", self.init.pid());
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
