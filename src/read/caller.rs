//! Read the caller: this process, its ancestors, and the environment it was started with.

use std::fs::File;

use super::ancestry::{Lines, Place, line, stat};
use super::proc::read_all;
use super::rival::callers_folder;
use super::{parse, run};
use crate::model::{Blind, Caller, Cgroup, Environ, Error, ProcessId, Record, Service};

/// The calling process. `lines` keeps its ancestors: a holder often has the same parents.
pub(crate) fn caller(service: &Service, lines: &mut Lines) -> Result<Caller, Error> {
    let pid = std::process::id();
    let fail = |error| Error::new("cannot read the caller's own process from /proc", error);
    // In the /proc of another pid namespace, each pid names another process than here.
    let own = std::fs::read_link("/proc/self").map_err(fail)?;
    if own.as_os_str() != pid.to_string().as_str() {
        return Err(fail(std::io::Error::other("/proc belongs to another pid namespace")));
    }
    let Some(Place { id, .. }) = stat(pid)? else {
        return Err(fail(std::io::ErrorKind::NotFound.into()));
    };
    let cgroup = parse::cgroup(&File::open("/proc/self/cgroup").and_then(read_all).map_err(fail)?).map(Cgroup::new);
    let variable = |key: &std::ffi::OsStr| Some((key.to_owned(), std::env::var_os(key)?));
    let environ = Environ(service.variables().filter_map(variable).collect());
    let line = line(pid)?;
    Ok(Caller {
        id,
        since: id.start_ticks,
        uid: nix::unistd::geteuid().as_raw(),
        ancestors: line.ids.iter().map(|id| id.pid).collect(),
        parents: lines.parents(&line, service)?.line,
        ancestry_complete: line.complete,
        blind: blind(),
        init_is_hidden: init_is_hidden(),
        of_current_run: cgroup.as_ref().is_some_and(is_of_current_run),
        instance: is_of_the_service(service, &environ).then(|| service.instance_of(&environ)),
        state_dir: callers_folder(service),
        service_pid: service_pid(&environ, service, id)?,
        unit: cgroup.as_ref().and_then(|cgroup| cgroup.unit.clone()),
        container: cgroup.and_then(|cgroup| cgroup.container),
    })
}

/// Whether the caller's environment tells which instance it belongs to. A service without markers is described by its own
/// server, which calls `bind`. A person at a shell, or another program, has no marker, and its variables are its own.
fn is_of_the_service(service: &Service, environ: &Environ) -> bool {
    service.markers.is_empty() || service.is_marked(environ)
}

/// Whether this process belongs to the current run of its unit.
fn is_of_current_run(cgroup: &Cgroup) -> bool {
    let Some(unit) = &cgroup.unit else { return false };
    let own_run = std::env::var_os("INVOCATION_ID");
    let own_run = own_run.as_deref().and_then(parse::run);
    // The search by run is for a renamed unit, which has no record under its old name. A job of at is in the unit of
    // atd, but carries the run of the process that submitted it.
    let record = match run::record(unit, None) {
        Record::Inactive => run::record(unit, own_run),
        named => named,
    };
    matches!(record, Record::Current { run, .. } if own_run == Some(run.as_str()))
}

/// Only a sentence uses it, so a failed reading means no restriction.
fn blind() -> Option<Blind> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if !map.is_empty() && !whole {
        return Some(Blind::UserNamespace);
    }
    std::fs::metadata("/proc/1").is_err().then_some(Blind::HiddenProc)
}

/// systemd makes this folder first of all (sd_booted(3)).
fn init_is_hidden() -> bool {
    std::fs::metadata("/proc/1").is_err() && std::fs::metadata("/run/systemd/system").is_err()
}

/// The pid of the service's own process, which the service passes to the processes that it starts. If that process is
/// not older than the caller, the pid was reused.
fn service_pid(environ: &Environ, service: &Service, caller: ProcessId) -> Result<Option<u32>, Error> {
    let Some(pid) = service.pid_in(environ) else { return Ok(None) };
    Ok(stat(pid)?.map(|place| place.id).filter(|id| id.start_ticks < caller.start_ticks).map(|id| id.pid))
}
