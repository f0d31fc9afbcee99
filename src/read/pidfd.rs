//! Pin a process, signal it, wait for its end: all by one descriptor (pidfd_open(2), kernel 5.3 or later).

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal, test_kill_process};

use crate::model::{Error, Signal};

/// A descriptor of a process. It never names another process with the same pid.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Delivered,
    Gone,
    NotPermitted,
}

impl PidFd {
    /// `None`: there is no such process.
    pub(crate) fn open(pid: u32) -> Result<Option<Self>, Error> {
        match pidfd_open(pid_of(pid)?, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self(fd))),
            // EINVAL: the pid is now that of a thread (pidfd_open(2)).
            Err(Errno::SRCH | Errno::INVAL) => Ok(None),
            Err(errno) => Err(Error::new(format!("cannot pin process {pid}"), errno)),
        }
    }

    pub(crate) fn is_alive(&self) -> Result<bool, Error> {
        Ok(wait(&[((), self)], Duration::ZERO)?.is_empty())
    }

    pub(crate) fn send(&self, signal: Signal) -> Result<Delivery, Error> {
        let attempt = || format!("cannot send {signal}");
        let known: nix::sys::signal::Signal =
            signal.name().parse().map_err(|errno: nix::errno::Errno| Error::new(attempt(), errno))?;
        self.send_raw(known as i32)
    }

    /// SIGCONT: without it a stopped process never sees SIGTERM (signal(7)).
    pub(crate) fn resume(&self) -> Result<Delivery, Error> {
        self.send_raw(nix::libc::SIGCONT)
    }

    fn send_raw(&self, number: i32) -> Result<Delivery, Error> {
        let attempt = "cannot send a signal";
        let signal = rustix::process::Signal::from_named_raw(number)
            .ok_or_else(|| Error::new(attempt, std::io::Error::from(std::io::ErrorKind::InvalidInput)))?;
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) => Ok(Delivery::Delivered),
            Err(Errno::SRCH) => Ok(Delivery::Gone),
            Err(Errno::PERM) => Ok(Delivery::NotPermitted),
            Err(errno) => Err(Error::new(attempt, errno)),
        }
    }
}

/// Whether the caller may signal the process. `kill(pid, 0)` signals nobody. The pid may have been reused, so check the
/// pidfd afterwards.
pub(crate) fn may_signal(pid: u32) -> Result<bool, Error> {
    match test_kill_process(pid_of(pid)?) {
        Ok(()) | Err(Errno::SRCH) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(Error::new(format!("cannot tell whether process {pid} may be signalled"), errno)),
    }
}

fn pid_of(pid: u32) -> Result<Pid, Error> {
    let no_pid =
        || Error::new(format!("cannot pin process {pid}"), std::io::Error::from(std::io::ErrorKind::InvalidInput));
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(no_pid)
}

/// Waits until at least one of the processes has ended, and gives those that have. An empty list: the time is over. A
/// pidfd becomes readable when the last thread has ended, and before a zombie is reaped.
pub(crate) fn wait<Id: Copy>(processes: &[(Id, &PidFd)], timeout: Duration) -> Result<Vec<Id>, Error> {
    let deadline = Instant::now() + timeout;
    let mut fds: Vec<PollFd<'_>> =
        processes.iter().map(|(_, process)| PollFd::new(process.0.as_fd(), PollFlags::POLLIN)).collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // poll counts whole milliseconds. Round up: otherwise the last fraction of one is a busy loop.
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        match poll(&mut fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if Instant::now() >= deadline => return Ok(Vec::new()),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => {
                let has_ended = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
                let ended = processes.iter().zip(&fds).filter(|(_, fd)| has_ended(fd));
                return Ok(ended.map(|((id, _), _)| *id).collect());
            }
            Err(errno) => return Err(Error::new("cannot wait for a process", errno)),
        }
    }
}

/// Sleeps, where there is no event to wait for.
#[expect(clippy::disallowed_methods, reason = "each use says why no event tells")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
