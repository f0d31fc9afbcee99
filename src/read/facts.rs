//! Read the facts of a process: pin it, read, check that it still lives. This check proves that the facts belong to the
//! process that will be signalled.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, PathBuf};
use std::time::{Duration, SystemTime};

use procfs::process::{Process, Stat};
use rustix::time::{ClockId, clock_gettime};

use super::pinned::Pinned;
use super::proc::{Miss, read, read_exe, seen};
use super::script::Runs;
use super::{charge, descriptors, lock, parse, pidfd, run};
use crate::model::supervisors;
use crate::model::{Cgroup, Environ, Error, Exe, ExecMark, Facts, ProcessId, Record, Script, Seen, Service};

/// A process may exec while it is read. Some of the facts then belong to another program, so read again.
const ATTEMPTS: usize = 5;

/// `None`: the process has ended, or is about to.
pub(crate) fn facts(pinned: &Pinned, service: &Service) -> Result<Option<Facts>, Error> {
    for _ in 0..ATTEMPTS {
        let Some(stat) = pinned.stat()? else { return Ok(None) };
        let before = mark(&stat);
        let facts = read_facts(pinned, &stat, service)?;
        let signalable = pidfd::may_signal(pinned.pid)?;
        if !pinned.pidfd().is_alive()? {
            return Ok(None);
        }
        if let Some(facts) = facts
            && pinned.stat()?.is_some_and(|after| mark(&after) == before)
        {
            return Ok(Some(Facts { signalable, mark: before, ..facts }));
        }
    }
    Ok(None)
}

fn read_facts(pinned: &Pinned, stat: &Stat, service: &Service) -> Result<Option<Facts>, Error> {
    let (pid, root) = (pinned.pid, &pinned.root);
    let program = program(pinned, service)?;
    let status = seen(read(root, "status", pid))?;
    let Seen::Value(comm) = seen(read(root, "comm", pid))? else { return Ok(None) };
    let age = age(stat.starttime);
    let mut facts = Facts {
        id: ProcessId { pid, start_ticks: stat.starttime },
        age,
        started: SystemTime::now().checked_sub(age),
        ppid: u32::try_from(stat.ppid).unwrap_or_default(),
        comm: OsString::from_vec(comm.strip_suffix(b"\n").unwrap_or(&comm).to_vec()),
        state: stat.state,
        rss: resident(stat),
        uid: status.and_then(|status| parse::status_uid(status)),
        nested: status.and_then(|status| parse::status_nested(status)),
        exe: program.exe,
        argv: program.argv,
        environ: program.environ,
        run: program.run,
        cgroup: seen(read(root, "cgroup", pid))?.and_then(|bytes| parse::cgroup(bytes).map(Cgroup::new)),
        script: program.script,
        lock: None,
        pid_file: None,
        record: Record::None,
        signalable: false,
        mark: ExecMark::default(),
        only_forked: stat.flags & PF_FORKNOEXEC != 0,
        session: u32::try_from(stat.session).unwrap_or_default(),
        group: u32::try_from(stat.pgrp).unwrap_or_default(),
        terminal: stat.tty_nr != 0,
        charge: None,
    };
    facts.charge = charge::charge(pinned, &facts);
    let inner_pid = status.value().and_then(|status| parse::status_inner_pid(status));
    add_own_files(&mut facts, pinned, inner_pid, service)?;
    // Read it after the environment: systemd writes the record before the run's first process starts.
    facts.record = record(&facts, service);
    Ok(Some(facts))
}

/// Adds what the service's own files say of the process: its lock, and its pid file.
fn add_own_files(facts: &mut Facts, pinned: &Pinned, inner_pid: Option<u32>, service: &Service) -> Result<(), Error> {
    facts.pid_file = lock::pid_file(facts, service);
    let Some(inner_pid) = inner_pid.filter(|_| service.may_lock(facts)) else { return Ok(()) };
    facts.lock = lock::lock(pinned, facts, inner_pid, service)?;
    Ok(())
}

/// What a process executes, its arguments and its environment.
struct Program {
    exe: Seen<Exe>,
    argv: Seen<Vec<OsString>>,
    environ: Seen<Environ>,
    run: Option<String>,
    script: Script,
}

fn program(pinned: &Pinned, service: &Service) -> Result<Program, Error> {
    let pid = pinned.pid;
    let Executing { thread, exe } = executing(pinned)?;
    let root = thread.as_ref().unwrap_or(&pinned.root);
    let argv = seen(read(root, "cmdline", pid).map(|bytes| parse::argv(&bytes)))?;
    let (mut environ, run) = match seen(environ(root, pid, service))? {
        Seen::Value(Started { environ, run }) => (Seen::Value(environ), run),
        Seen::Denied => (Seen::Denied, None),
        Seen::Gone => (Seen::Gone, None),
    };
    let mut script = Script::Unreadable;
    match (&exe, &argv) {
        (Seen::Value(exe), Seen::Value(argv)) => {
            let runs = Runs { pid, root, exe, argv };
            script = runs.script(environ.value().unwrap_or(&Environ::default()), service)?;
            if let (Seen::Value(environ), Some((key, value))) = (&mut environ, runs.instance_key(&script, service)) {
                environ.set(key, value);
            }
        }
        (Seen::Value(exe), _) if service.runtime_of(&exe.path).is_none() => script = Script::NotARuntime,
        _ => {}
    }
    Ok(Program { exe, argv, environ, run, script })
}

/// The variables of a process that show its identity. This reading is cheap: it decides whether to read all facts.
pub(super) fn environ_of(pinned: &Pinned, service: &Service) -> Result<Seen<Environ>, Error> {
    seen(environ(&pinned.root, pinned.pid, service).map(|started| started.environ))
}

/// The variables that a process was started with.
struct Started {
    /// Those that show identity.
    environ: Environ,
    run: Option<String>,
}

fn environ(root: &Process, pid: u32, service: &Service) -> Result<Started, Miss> {
    const RUN: &str = "INVOCATION_ID";
    let wanted: Vec<&OsStr> =
        service.variables().chain(["PWD", RUN].map(AsRef::as_ref)).chain(supervisors::variables()).collect();
    let environ = parse::environ(&read(root, "environ", pid)?, &wanted);
    let run = environ.get(RUN).and_then(parse::run).map(str::to_owned);
    Ok(Started { environ, run })
}

fn record(facts: &Facts, service: &Service) -> Record {
    // In a foreign cgroup namespace the path begins with `/..`. The missing part may be the one that names its manager
    // (cgroup_namespaces(7)).
    let in_foreign_cgroup_ns =
        facts.cgroup.value().is_some_and(|cgroup| cgroup.path.components().any(|part| part == Component::ParentDir));
    let is_marked = || facts.environ.value().is_some_and(|environ| service.is_marked(environ));
    match (facts.unit(), &facts.run) {
        (Some(_), _) if in_foreign_cgroup_ns => Record::Denied,
        (Some(unit), run) => run::record(unit, run.as_deref()),
        // The run is believed where the marker came with it, or where systemd (PID 1) is the parent.
        (None, Some(run)) if facts.ppid == 1 || is_marked() => run::elsewhere(run, facts.uid.value().copied()),
        (None, _) => Record::None,
    }
}

/// The executable of a process, and the thread that shows it if the leader does not.
struct Executing {
    thread: Option<Process>,
    exe: Seen<Exe>,
}

/// If the leader has exited and other threads run, read through one of these. The leader's entry in /proc then shows no
/// executable and no environment.
fn executing(pinned: &Pinned) -> Result<Executing, Error> {
    let exe = seen(read_exe(&pinned.root, pinned.pid))?;
    if exe != Seen::Gone {
        return Ok(Executing { thread: None, exe });
    }
    let threads = pinned.directory()?.map(|directory| descriptors::threads(&directory));
    for tid in threads.unwrap_or_default() {
        let path = PathBuf::from(format!("/proc/{}/task/{tid}", pinned.pid));
        if let Ok(thread) = Process::new_with_root(path)
            && let exe @ Seen::Value(_) = seen(read_exe(&thread, pinned.pid))?
        {
            return Ok(Executing { thread: Some(thread), exe });
        }
    }
    Ok(Executing { thread: None, exe })
}

/// include/linux/sched.h: forked, and nothing executed since.
const PF_FORKNOEXEC: u32 = 0x40;

/// The exec mark: where the kernel put the new stack, and the end of the environment above it.
fn mark(stat: &Stat) -> ExecMark {
    ExecMark { stack: stat.startstack, environ_end: stat.env_end.unwrap_or_default() }
}

/// Resident memory in bytes.
pub(super) fn resident(stat: &Stat) -> u64 {
    stat.rss.saturating_mul(rustix::param::page_size() as u64)
}

/// The age of a process. The boot clock of this time namespace counts the ticks (time_namespaces(7)).
fn age(start_ticks: u64) -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default());
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let start = Duration::from_secs(start_ticks / per_second)
        + Duration::from_nanos(start_ticks % per_second * (1_000_000_000 / per_second));
    now.saturating_sub(start)
}
