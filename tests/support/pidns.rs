//! A pid namespace with a /proc of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::builder::Builder;
use super::fixture::Fixture;
use super::wait::until;

/// Every process in it has two pids: the outer one, which the test sees, and the inner one, which portclear
/// sees when it runs inside ([`super::Portclear::inside`]). All of them end when it is dropped.
pub(crate) struct PidNs {
    init: Fixture,
}

impl PidNs {
    /// With a PID 1 that only reaps.
    pub(crate) fn new() -> Self {
        Self::under(Fixture::silent().marked(false).package("init"))
    }

    /// This fixture is PID 1 in it.
    pub(crate) fn under(init: Builder) -> Self {
        // unshare itself must end with the test, and its end must be PID 1's.
        let wrapper = "setpriv --pdeathsig KILL -- \
                       unshare --fork --pid --mount --mount-proc --kill-child --";
        let words: Vec<&str> = wrapper.split_whitespace().collect();
        Self { init: init.behind(&words).start() }
    }

    pub(crate) fn init(&self) -> &Fixture {
        &self.init
    }

    /// Starts it here, and ends its parent: it is then a child of the namespace's init.
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

    /// The next process that starts in it gets this inner pid, which must be free.
    pub(crate) fn next_pid(&self, inner: u32) {
        // The number is the namespace's of whoever writes, and the writer takes a pid itself.
        self.sh(&format!("echo {} > /proc/sys/kernel/ns_last_pid", inner - 1));
    }

    /// The test's pid for an inner one.
    pub(crate) fn outer(&self, inner: u32) -> u32 {
        outer(self.init.pid(), inner)
    }

    /// Runs a command line in it, as its root.
    pub(crate) fn sh(&self, line: &str) {
        let [program, arguments @ ..] = &self.entering()[..] else {
            unreachable!("a wrapper has a first word")
        };
        let status = Command::new(program).args(arguments).args(["sh", "-ec", line]).status();
        assert!(status.expect("nsenter").success(), "{line}");
    }

    /// The wrapper that starts its arguments in it: a process outside, whose only child is inside.
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
            last == i32::try_from(inner).ok()
                && namespace(Path::new(&format!("/proc/{}", process.pid))) == own
        });
        found = inside.next().and_then(|process| process.pid.try_into().ok());
        found.is_some()
    });
    found.unwrap()
}
