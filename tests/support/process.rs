//! A process that the test knows by its pidfd, and ends.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use procfs::process::{Process, Stat, Status};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::wait::{DEADLINE, readable, tick_after, until};
use super::{Signal, libc};

/// The drop ends it, unless [`Proc::keep`] was called.
pub(crate) struct Proc {
    pid: u32,
    pidfd: OwnedFd,
    kept: Cell<bool>,
}

impl Proc {
    /// Takes charge of a process. When this returns, its start lies a clock tick back.
    #[track_caller]
    pub(crate) fn of(pid: u32) -> Self {
        let process = Self::at_once(pid);
        tick_after(process.stat().starttime);
        process
    }

    /// The same without the wait, for measurements.
    #[track_caller]
    pub(super) fn at_once(pid: u32) -> Self {
        Self::try_of(pid).unwrap_or_else(|error| panic!("process {pid}: {error}"))
    }

    /// The same for a process that may have ended.
    pub(super) fn try_of(pid: u32) -> std::io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
        let pidfd = pidfd_open(raw, PidfdFlags::empty())?;
        Ok(Self { pid, pidfd, kept: Cell::new(false) })
    }

    /// Its pid in the test's namespace, which is the host's.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// A zombie is not alive.
    pub(crate) fn is_alive(&self) -> bool {
        !readable(&self.pidfd, Duration::ZERO)
    }

    /// Waits for its end, and fails the test if it does not end.
    #[track_caller]
    pub(crate) fn has_ended(&self) {
        let pid = self.pid;
        assert!(readable(&self.pidfd, DEADLINE), "process {pid} has not ended");
    }

    /// Waits for its end. For callers that have a better message.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        readable(&self.pidfd, time)
    }

    /// Sends nothing to a process that has ended, which is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(signal) = rustix::process::Signal::from_named_raw(signal as libc::c_int) {
            let _ = pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Stops it, and waits until it has stopped.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        until("stopped", || self.state() == Some('T'));
    }

    /// Ends it at once, and waits for the end.
    #[track_caller]
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.has_ended();
    }

    /// The letter of proc_pid_stat(5). `None`: it is reaped. Nobody else may reap it, or the pid may be another's.
    pub(crate) fn state(&self) -> Option<char> {
        Some(self.try_stat()?.state)
    }

    pub(crate) fn stat(&self) -> Stat {
        self.try_stat().unwrap_or_else(|| panic!("process {} is gone", self.pid))
    }

    pub(crate) fn status(&self) -> Status {
        let process = Process::new(self.pid.try_into().unwrap()).and_then(|process| process.status());
        process.unwrap_or_else(|error| panic!("process {}: {error}", self.pid))
    }

    pub(crate) fn parent(&self) -> u32 {
        self.stat().ppid.try_into().unwrap_or_default()
    }

    pub(crate) fn exe(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// The drop leaves it running: somebody else ends it.
    pub(crate) fn keep(&self) {
        self.kept.set(true);
    }

    fn try_stat(&self) -> Option<Stat> {
        Process::new(self.pid.try_into().ok()?).ok()?.stat().ok()
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if !self.kept.get() {
            self.signal(Signal::SIGKILL);
        }
    }
}

/// The only child of a process that started just one (`unshare --fork`, `nsenter --pid`).
pub(crate) fn only_child(parent: u32) -> u32 {
    let mut found = None;
    until("the child of a wrapper", || {
        let all = procfs::process::all_processes().expect("/proc").flatten();
        let stats = all.filter_map(|process| process.stat().ok());
        let mut children = stats.filter(|stat| u32::try_from(stat.ppid) == Ok(parent));
        found = children.next().and_then(|stat| stat.pid.try_into().ok());
        found.is_some()
    });
    found.unwrap()
}
