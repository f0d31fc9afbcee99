//! Stops a process where nothing else can: between two system calls, or at the very end of its life.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::channel::RUN;
use super::fixture::Fixture;
use super::process::Proc;
use super::run::{PROGRAM, Portclear, Run, Running};
use super::wait::{DEADLINE, until};
use super::{Signal, libc};

/// A shell that becomes its arguments when the gate opens.
pub(super) const GATE: [&str; 3] = ["/bin/sh", "-c", r#"read -r line; exec "$0" "$@" </dev/null"#];

/// The call by which portclear waits for processes.
#[cfg(target_arch = "x86_64")]
const POLL: libc::c_long = libc::SYS_poll;
#[cfg(target_arch = "aarch64")]
const POLL: libc::c_long = libc::SYS_ppoll;

/// A run of portclear under a tracer. The calling thread is the tracer until the end.
pub(crate) struct Traced {
    pid: Pid,
    running: Option<Running>,
}

impl Traced {
    /// [`Portclear::traced`] calls it.
    #[track_caller]
    pub(super) fn start(program: Portclear) -> Self {
        Self::behind_gate(program.spawn_gated(PROGRAM.as_ref()))
    }

    /// Seizes a shell at a closed gate, and opens it.
    #[track_caller]
    pub(super) fn behind_gate(mut running: Running) -> Self {
        let pid = pid_of(running.process());
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options).expect("ptrace");
        // A wait for a stop that never comes would hang. The end of the process ends that wait, too.
        let process = Proc::at_once(running.process().pid());
        thread::spawn(move || process.ends_within(RUN));
        ptrace::interrupt(pid).unwrap();
        running.open_gate();
        let traced = Self { pid, running: Some(running) };
        // The shell at the gate may be in the middle of its exec.
        let is_program = || traced.process().exe().is_some_and(|exe| exe.ends_with("portclear"));
        traced.run_until(|stop| matches!(stop, WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC)) && is_program());
        traced
    }

    pub(crate) fn process(&self) -> &Proc {
        self.running.as_ref().expect("not finished").process()
    }

    /// Runs to the entry of the next such call, as in `libc::SYS_pidfd_send_signal`. The program makes the call when
    /// it goes on.
    #[track_caller]
    pub(crate) fn run_to(&mut self, call: libc::c_long) {
        self.run_to_call(call, |_| true);
    }

    /// The same, for the first such call with these raw arguments.
    #[track_caller]
    pub(crate) fn run_to_call(&mut self, call: libc::c_long, wanted: impl Fn([u64; 6]) -> bool) {
        let pid = self.pid;
        self.run_until(|stop| {
            matches!(stop, WaitStatus::PtraceSyscall(_))
                && entered(pid)
                    .is_some_and(|(number, arguments)| i64::try_from(number) == Ok(call) && wanted(arguments))
        });
    }

    /// Runs to the next wait for processes, and through it. It fails (EINVAL): poll(2) takes no more descriptors than
    /// there may be.
    #[track_caller]
    pub(crate) fn fail_wait(&mut self) {
        self.run_to(POLL);
        let count = exchange_second(self.pid, u32::MAX.into());
        self.run_until(|stop| matches!(stop, WaitStatus::PtraceSyscall(_)));
        // The kernel changes no argument, so the program may count on it.
        exchange_second(self.pid, count);
    }

    /// Runs to the end. Gives every system call on the way, with its path if it takes one.
    #[track_caller]
    pub(crate) fn record(self) -> (Run, Vec<Call>) {
        let mut calls = Vec::new();
        let pid = self.pid;
        self.run_until(|stop| {
            let call = matches!(stop, WaitStatus::PtraceSyscall(_)).then(|| entered(pid)).flatten();
            let Some((number, arguments)) = call else { return false };
            let number = i64::try_from(number).unwrap();
            calls.push(Call { number, arguments, path: path(pid, number, arguments) });
            number == libc::SYS_exit_group
        });
        (self.finish(), calls)
    }

    /// Lets it go, and waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Run {
        ptrace::detach(self.pid, None).unwrap();
        self.running.take().expect("not finished").finish()
    }

    #[track_caller]
    fn run_until(&self, mut here: impl FnMut(&WaitStatus) -> bool) {
        let mut signal = None;
        loop {
            ptrace::syscall(self.pid, signal.take()).ok();
            let stop = waitpid(self.pid, Some(WaitPidFlag::__WALL)).unwrap();
            match stop {
                stop if is_end(&stop) => panic!("portclear has ended before it got there: {stop:?}"),
                // The signal is on its way: the process has yet to get it.
                WaitStatus::Stopped(_, sent) => signal = Some(sent),
                stop if here(&stop) => return,
                _ => {}
            }
        }
    }
}

/// A system call, as the program asked for it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) number: libc::c_long,
    pub(crate) arguments: [u64; 6],
    pub(crate) path: Option<String>,
}

/// The calls that take a path, and which argument that is.
#[cfg(target_arch = "x86_64")]
const WITH_PATH: [(libc::c_long, usize); 12] = [
    (libc::SYS_open, 0),
    (libc::SYS_stat, 0),
    (libc::SYS_lstat, 0),
    (libc::SYS_access, 0),
    (libc::SYS_readlink, 0),
    (libc::SYS_execve, 0),
    (libc::SYS_openat, 1),
    (libc::SYS_openat2, 1),
    (libc::SYS_readlinkat, 1),
    (libc::SYS_newfstatat, 1),
    (libc::SYS_statx, 1),
    (libc::SYS_faccessat, 1),
];
#[cfg(target_arch = "aarch64")]
const WITH_PATH: [(libc::c_long, usize); 7] = [
    (libc::SYS_execve, 0),
    (libc::SYS_openat, 1),
    (libc::SYS_openat2, 1),
    (libc::SYS_readlinkat, 1),
    (libc::SYS_newfstatat, 1),
    (libc::SYS_statx, 1),
    (libc::SYS_faccessat, 1),
];

fn path(pid: Pid, number: libc::c_long, arguments: [u64; 6]) -> Option<String> {
    let (_, at) = WITH_PATH.iter().find(|(call, _)| *call == number)?;
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the memory of a traced process");
    let mut bytes = [0; 256];
    // It reads up to the end of what is mapped, so fewer bytes are no error.
    let length = memory.read_at(&mut bytes, arguments[*at]).unwrap_or(0);
    let path = bytes[..length].split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(path).into_owned())
}

/// The number and the arguments of the call that begins here.
fn entered(pid: Pid) -> Option<(u64, [u64; 6])> {
    let info = ptrace::syscall_info(pid).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    #[cfg(target_arch = "x86_64")]
    {
        let regs = ptrace::getregs(pid).ok()?;
        Some((regs.orig_rax, [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9]))
    }
    #[cfg(target_arch = "aarch64")]
    {
        let regs = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(pid).ok()?.regs;
        Some((regs[8], [regs[0], regs[1], regs[2], regs[3], regs[4], regs[5]]))
    }
}

/// Changes the second argument of a call. Gives what it was.
fn exchange_second(pid: Pid, argument: u64) -> u64 {
    let mut regs = ptrace::getregs(pid).unwrap();
    #[cfg(target_arch = "x86_64")]
    let second = &mut regs.rsi;
    #[cfg(target_arch = "aarch64")]
    let second = &mut regs.regs[1];
    let before = std::mem::replace(second, argument);
    ptrace::setregs(pid, regs).unwrap();
    before
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.process().signal(Signal::SIGKILL);
            // The wrapper hears of its child's end only after the tracer has.
            while waitpid(self.pid, Some(WaitPidFlag::__WALL)).is_ok_and(|status| !is_end(&status)) {}
        }
    }
}

fn is_end(status: &WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..))
}

/// A process that cannot die: SIGKILL stops it at the end of its life, with its descriptors open.
pub(crate) struct Hold<'a> {
    fixture: &'a Fixture,
}

/// Holds the fixture's process when it is about to end, until the drop. The calling thread is the tracer.
pub(crate) fn hold_at_exit(fixture: &Fixture) -> Hold<'_> {
    let pid = pid_of(fixture.process());
    ptrace::seize(pid, Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL).expect("ptrace");
    Hold { fixture }
}

impl Hold<'_> {
    /// Waits until something has tried to end it.
    #[track_caller]
    pub(crate) fn is_held(&self) {
        until("held at its end", || self.fixture.process().state() == Some('t'));
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let process = self.fixture.process();
        process.signal(Signal::SIGKILL);
        // It may still be on its way to the stop, and only a stopped process can be let go.
        for _ in 0..DEADLINE.as_millis() {
            ptrace::detach(pid_of(process), None).ok();
            if process.ends_within(Duration::from_millis(1)) {
                return;
            }
        }
    }
}

fn pid_of(process: &Proc) -> Pid {
    Pid::from_raw(process.pid().try_into().unwrap())
}
