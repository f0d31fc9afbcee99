//! Read the line of parents of a process.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::sync::Arc;

use procfs::process::Stat;
use procfs::{FromRead, ProcError};

use crate::error::Error;
use crate::facts::{Ancestry, Blind, Environ, Facts, ProcessId, Record, Seen};
use crate::identity::{Resolved, marked};
use crate::liveness::Caller;
use crate::os::process::Pinned;
use crate::os::read::{read_all, seen};
use crate::os::unit;
use crate::parse;
use crate::service::Service;
use crate::verdict::asked_since;

/// A line of parents, nearest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) ids: Vec<ProcessId>,
    /// It is known up to PID 1 or to the edge of the pid namespace (a parent of 0).
    pub(crate) complete: bool,
}

/// A parent that exits while the line is read leaves it broken for an instant only.
const ATTEMPTS: usize = 5;

pub(crate) fn line(pid: u32) -> Result<Line, Error> {
    let mut last = Line::default();
    for _ in 0..ATTEMPTS {
        let line = read(pid)?;
        // Read twice alike, no pid in it was reused in between.
        if line.complete && line == last {
            return Ok(line);
        }
        last = line;
    }
    Ok(Line { complete: false, ..last })
}

fn read(pid: u32) -> Result<Line, Error> {
    let mut line = Line::default();
    let Some((mut child, mut parent)) = stat(pid)? else { return Ok(line) };
    while parent != 0 {
        match stat(parent)? {
            // Younger than its child: the parent has ended and its pid is somebody else's.
            Some((id, _)) if id.start_ticks > child.start_ticks => return Ok(line),
            Some((id, next)) => {
                line.ids.push(id);
                child = id;
                parent = next;
            }
            // hidepid and ProtectProc= hide PID 1 like any other; nothing is above it to be read.
            None if parent == 1 => {
                line.ids.push(ProcessId { pid: 1, start_ticks: 0 });
                break;
            }
            None => return Ok(line),
        }
    }
    line.complete = true;
    Ok(line)
}

/// `None`: it is gone or hidden. What else goes wrong is an error, and no ancestry that ends early.
fn stat(pid: u32) -> Result<Option<(ProcessId, u32)>, Error> {
    let stat = File::open(format!("/proc/{pid}/stat")).and_then(read_all);
    let stat = stat.map_err(ProcError::from).and_then(|bytes| Stat::from_read(&bytes[..]));
    let parsed = |stat: Stat| {
        let parent = u32::try_from(stat.ppid).ok()?;
        Some((ProcessId { pid, start_ticks: stat.starttime }, parent))
    };
    Ok(match seen(stat, pid)? {
        Seen::Value(stat) => parsed(stat),
        Seen::Denied | Seen::Gone => None,
    })
}

/// The lines of parents that were read in one look: many processes have the same ones.
#[derive(Debug, Default)]
pub(crate) struct Known {
    facts: BTreeMap<ProcessId, Arc<Facts>>,
    lines: BTreeMap<u32, (Arc<Facts>, Ancestry)>,
}

impl Known {
    /// The line of parents of a process whose facts were just read, with the facts of each.
    pub(crate) fn ancestry(&mut self, facts: &Facts, service: &Service) -> Result<Ancestry, Error> {
        let parent =
            self.lines.get(&facts.ppid).filter(|(parent, _)| parent.id.start_ticks <= facts.id.start_ticks);
        let ancestry = match parent {
            Some((parent, above)) => {
                let line = std::iter::once(parent).chain(&above.line).cloned().collect();
                Ancestry { line, complete: above.complete }
            }
            None => self.parents(&line(facts.id.pid)?, service)?,
        };
        self.lines.insert(facts.id.pid, (Arc::new(facts.clone()), ancestry.clone()));
        Ok(ancestry)
    }

    pub(crate) fn parents(&mut self, ids: &Line, service: &Service) -> Result<Ancestry, Error> {
        let mut parents = Vec::with_capacity(ids.ids.len());
        for id in &ids.ids {
            if let Some(facts) = self.facts.get(id) {
                parents.push(facts.clone());
                continue;
            }
            let facts = match Pinned::open(id.pid)? {
                Some(pinned) => pinned.facts(service)?,
                None => None,
            };
            match facts {
                Some(facts) if facts.id == *id => {
                    let facts = Arc::new(facts);
                    self.facts.insert(*id, facts.clone());
                    parents.push(facts);
                }
                // PID 1 may be hidden; every other parent that cannot be read leaves the line broken.
                _ if id.pid == 1 => {}
                _ => {
                    return Ok(Ancestry { line: parents, complete: false });
                }
            }
        }
        Ok(Ancestry { line: parents, complete: ids.complete })
    }
}

/// Who asks: this process, what it descends from, and what it was started with. What it descends from is `known`
/// afterwards: a holder often has the same parents.
pub(crate) fn caller(resolved: &Resolved<'_>, known: &mut Known) -> Result<Caller, Error> {
    let service = resolved.service;
    let pid = std::process::id();
    let attempt = "cannot read who asks from /proc";
    let fail = |error| Error::new(attempt, error);
    // With the /proc of another pid namespace every pid in it would name a different process here.
    let own = std::fs::read_link("/proc/self").map_err(fail)?;
    if own.as_os_str() != pid.to_string().as_str() {
        return Err(fail(std::io::Error::other("/proc belongs to another pid namespace")));
    }
    let Some((id, _)) = stat(pid)? else {
        return Err(fail(std::io::ErrorKind::NotFound.into()));
    };
    let cgroup = parse::cgroup(&File::open("/proc/self/cgroup").and_then(read_all).map_err(fail)?);
    let unit = cgroup.as_deref().and_then(parse::unit);
    let container = cgroup.as_deref().and_then(parse::container).map(OsStr::to_owned);
    let own_run = std::env::var_os("INVOCATION_ID");
    let own_run = own_run.as_deref().and_then(parse::run);
    // A unit with a run of its own on record has no other name: a job of at, in atd's unit, has the run of whoever
    // submitted it.
    let record = |unit| match unit::record(unit, None) {
        Record::Inactive => unit::record(unit, own_run),
        named => named,
    };
    let of_current_run = match unit.as_ref().map(record) {
        Some(Record::Current { run, .. }) => own_run == Some(run.as_str()),
        _ => false,
    };
    let environ =
        Environ(service.variables().filter_map(|key| Some((key.into(), std::env::var_os(key)?))).collect());
    let marked = marked(&environ, service);
    let line = line(pid)?;
    let since = asked_since(id, &known.parents(&line, service)?.line, resolved);
    Ok(Caller {
        id,
        since,
        uid: nix::unistd::geteuid().as_raw(),
        ancestors: line.ids.iter().map(|id| id.pid).collect(),
        ancestry_complete: line.complete,
        blinds: blinds(),
        unit,
        container,
        of_current_run,
        instance: marked.then(|| service.instance_of(&environ)),
        service_pid: service_pid(&environ, service, id)?,
    })
}

/// Told for a sentence alone: what cannot be read here is no restriction to name.
fn blinds() -> Option<Blind> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if !map.is_empty() && !whole {
        return Some(Blind::UserNamespace);
    }
    std::fs::metadata("/proc/1").is_err().then_some(Blind::HiddenProc)
}

/// The service's own process, which it names to what it starts. One that started after the caller is another
/// process with its pid.
fn service_pid(environ: &Environ, service: &Service, caller: ProcessId) -> Result<Option<u32>, Error> {
    let Some(pid) = service.pid_in(environ) else { return Ok(None) };
    Ok(stat(pid)?.filter(|(id, _)| id.start_ticks < caller.start_ticks).map(|(id, _)| id.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_this_process_begins_with_its_parent() {
        let line = line(std::process::id()).unwrap();
        assert!(line.complete);
        assert_eq!(line.ids.first().map(|id| id.pid), Some(std::os::unix::process::parent_id()));
    }

    #[test]
    fn a_pid_that_cannot_exist_has_no_line() {
        assert_eq!(line(u32::MAX).unwrap(), Line::default());
    }
}
