//! Where the tests of this folder stop portclear.

use std::fmt;

use crate::support::*;

/// A moment of a run, seen from one holder.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// The scan of /proc has found the holder's pid.
    Pin,
    /// The holder has a pidfd, and /proc/PID is not open yet.
    Open,
    /// The facts are read. Whether they are those of one living process is not known yet.
    Check,
    /// Everything is decided. The next call is the signal.
    Signal,
    /// The first signal was sent. The wait has not begun.
    Wait,
}

impl At {
    /// Runs the program up to this moment. `pid` is the holder's, as portclear sees it.
    pub(super) fn stop(self, program: Portclear, pid: u32) -> Traced {
        let mut run = program.traced();
        let pin = |run: &mut Traced| run.run_to_call(libc::SYS_pidfd_open, |call| call[0] == u64::from(pid));
        match self {
            Self::Pin => pin(&mut run),
            Self::Open => {
                pin(&mut run);
                run.run_to(libc::SYS_openat);
            }
            Self::Check => run.run_to_call(libc::SYS_kill, |call| call[..2] == [u64::from(pid), 0]),
            Self::Signal => run.run_to(libc::SYS_pidfd_send_signal),
            Self::Wait => {
                let sigcont = u64::try_from(libc::SIGCONT).unwrap();
                run.run_to_call(libc::SYS_pidfd_send_signal, |call| call[1] == sigcont);
            }
        }
        run
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pin => "pin",
            Self::Open => "open",
            Self::Check => "check",
            Self::Signal => "signal",
            Self::Wait => "wait",
        })
    }
}

/// The last call of a look at this process. It tells whether all that was read is of one program.
pub(super) fn is_check_of(process: &Fixture) -> impl Fn([u64; 6]) -> bool {
    let pid = u64::from(process.pid());
    move |call| call[..2] == [pid, 0]
}
