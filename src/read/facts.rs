//! Read the facts of a process: pin it, read, check that it still lives. Only then do they belong to the
//! process that will be signalled.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, PathBuf};
use std::time::{Duration, SystemTime};

use procfs::process::{Process, Stat};
use rustix::time::{ClockId, clock_gettime};

use super::pinned::Pinned;
use super::proc::{Miss, read, read_exe, seen};
use super::script::Runs;
use super::{descriptors, parse, pidfd, run};
use crate::model::{Cgroup, Environ, Error, Exe, ExecMark, Facts, ProcessId, Record, Script, Seen, Service};

/// A process may exec while it is read: then some of the facts belong to another program.
const ATTEMPTS: usize = 5;

/// `None`: the process has ended, or is about to.
pub(super) fn facts(pinned: &Pinned, service: &Service) -> Result<Option<Facts>, Error> {
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
    let image = image(pinned, service)?;
    let status = seen(read(root, "status", pid))?;
    let cgroup = seen(read(root, "cgroup", pid))?.and_then(|bytes| parse::cgroup(bytes));
    let uid = status.and_then(|status| parse::status_uid(status));
    // After the environment: systemd puts a run on record before its first process starts.
    let record = record(&cgroup, &image, stat, &uid, service);
    let Seen::Value(comm) = seen(read(root, "comm", pid))? else { return Ok(None) };
    let age = age(stat.starttime);
    Ok(Some(Facts {
        id: ProcessId { pid, start_ticks: stat.starttime },
        age,
        started: SystemTime::now().checked_sub(age),
        ppid: u32::try_from(stat.ppid).unwrap_or_default(),
        comm: OsString::from_vec(comm.strip_suffix(b"\n").unwrap_or(&comm).to_vec()),
        state: stat.state,
        rss: resident(stat),
        uid,
        nested: status.and_then(|status| parse::status_nested(status)),
        exe: image.exe,
        argv: image.argv,
        environ: image.environ,
        run: image.run,
        cgroup,
        script: image.script,
        record,
        signalable: false,
        mark: ExecMark::default(),
        only_forked: stat.flags & PF_FORKNOEXEC != 0,
    }))
}

/// What a process executes, and what it was started with.
struct Image {
    exe: Seen<Exe>,
    argv: Seen<Vec<OsString>>,
    environ: Seen<Environ>,
    run: Option<String>,
    script: Script,
}

fn image(pinned: &Pinned, service: &Service) -> Result<Image, Error> {
    let pid = pinned.pid;
    let (thread, exe) = match seen(read_exe(&pinned.root, pid))? {
        Seen::Gone => exe_of_a_thread(pinned)?,
        exe => (None, exe),
    };
    let root = thread.as_ref().unwrap_or(&pinned.root);
    let argv = seen(read(root, "cmdline", pid).map(|bytes| parse::argv(&bytes)))?;
    let (mut environ, run) = match seen(environ(root, pid, service))? {
        Seen::Value((environ, run)) => (Seen::Value(environ), run),
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
    Ok(Image { exe, argv, environ, run, script })
}

/// The variables that identity is read from, and the run.
pub(super) fn environ(root: &Process, pid: u32, service: &Service) -> Result<(Environ, Option<String>), Miss> {
    const RUN: &str = "INVOCATION_ID";
    let wanted = service.variables().chain(["PWD", RUN].map(AsRef::as_ref));
    let environ = parse::environ(&read(root, "environ", pid)?, wanted);
    let run = environ.get(RUN).and_then(parse::run).map(str::to_owned);
    Ok((environ, run))
}

fn record(cgroup: &Seen<Cgroup>, image: &Image, stat: &Stat, uid: &Seen<u32>, service: &Service) -> Record {
    // Outside of the caller's cgroup namespace the path begins with `/..`, and the part that is left out may be the one
    // that tells its manager (cgroup_namespaces(7)).
    let in_foreign_cgroup_ns = |cgroup: &Cgroup| cgroup.path.components().any(|part| part == Component::ParentDir);
    let is_marked = || image.environ.value().is_some_and(|environ| service.is_marked(environ));
    match (cgroup.value(), &image.run) {
        (Some(cgroup), run) if cgroup.unit.is_some() => match &cgroup.unit {
            Some(unit) if !in_foreign_cgroup_ns(cgroup) => run::record(unit, run.as_deref()),
            _ => Record::Denied,
        },
        // Whoever wrote the marker wrote the run, and systemd that of its own child.
        (_, Some(run)) if stat.ppid == 1 || is_marked() => run::elsewhere(run, uid.value().copied()),
        _ => Record::None,
    }
}

/// Through a thread, where the leader has exited and left its threads running. The leader's own place then
/// shows neither an executable nor an environment, as if it had none.
fn exe_of_a_thread(pinned: &Pinned) -> Result<(Option<Process>, Seen<Exe>), Error> {
    let threads = pinned.directory()?.map(|directory| descriptors::threads(&directory));
    for tid in threads.unwrap_or_default() {
        let path = PathBuf::from(format!("/proc/{}/task/{tid}", pinned.pid));
        if let Ok(thread) = Process::new_with_root(path)
            && let exe @ Seen::Value(_) = seen(read_exe(&thread, pinned.pid))?
        {
            return Ok((Some(thread), exe));
        }
    }
    Ok((None, Seen::Gone))
}

/// include/linux/sched.h: forked, and nothing executed since.
const PF_FORKNOEXEC: u32 = 0x40;

/// What changes with each exec: where the kernel put the new stack, and what lies above it.
fn mark(stat: &Stat) -> ExecMark {
    ExecMark { stack: stat.startstack, environ_end: stat.env_end.unwrap_or_default() }
}

/// Resident memory in bytes.
pub(super) fn resident(stat: &Stat) -> u64 {
    stat.rss.saturating_mul(rustix::param::page_size() as u64)
}

/// Ticks since boot, as the boot clock of this time namespace counts them (time_namespaces(7)).
fn age(start_ticks: u64) -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default());
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let start = Duration::from_secs(start_ticks / per_second)
        + Duration::from_nanos(start_ticks % per_second * (1_000_000_000 / per_second));
    now.saturating_sub(start)
}
