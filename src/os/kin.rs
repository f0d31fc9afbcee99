//! Find the processes near those that are to be ended: above them, below them, and of their run.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::facts::{Facts, Holder, ProcessId, Seen};
use crate::os::pidfd::{self, PidFd};
use crate::os::process::{Known, Pinned, cgroup};
use crate::os::snapshot::Snapshot;
use crate::parse;
use crate::report::Memory;
use crate::service::Service;

/// What may be one instance with `base` or started by it. All of it is in the cgroups of `base`: nothing else
/// can belong to them.
pub(crate) fn near(base: &[&Holder], snapshot: &Snapshot, service: &Service) -> Result<Vec<Holder>, Error> {
    let mut look = Look::new(base, service);
    for holder in base {
        for ancestor in holder.ancestry.line.iter().filter(|facts| facts.cgroup == holder.facts.cgroup) {
            look.at(ancestor.id.pid)?;
        }
    }
    let above: BTreeSet<u32> = look.found.iter().map(|holder| holder.facts.id.pid).collect();
    let of_base = base.iter().map(|holder| holder.facts.id.pid);
    for pid in snapshot.below(&of_base.chain(above).collect()) {
        look.at(pid)?;
    }
    // What has lost its parent is only told by a run.
    if base.iter().any(|holder| holder.facts.run().is_some()) {
        for pid in &snapshot.pids {
            look.at(*pid)?;
        }
    }
    Ok(look.found)
}

/// What has been started in the cgroups of `base` since the call began.
pub(crate) fn newcomers(base: &[&Holder], since: u64, service: &Service) -> Result<Vec<Holder>, Error> {
    let mut look = Look::new(base, service);
    for pid in Snapshot::take()?.pids {
        look.at(pid)?;
    }
    look.found.retain(|holder| holder.facts.id.start_ticks >= since);
    Ok(look.found)
}

/// What is in a systemd service, and in no cgroup of its own below it.
pub(crate) fn in_services(snapshot: &Snapshot, service: &Service) -> Result<Vec<Holder>, Error> {
    let mut look = Look::new(&[], service);
    for pid in &snapshot.pids {
        let Some(path) = cgroup(*pid) else { continue };
        let unit = parse::unit(&path);
        if unit.is_some() && path.parent().and_then(parse::unit) != unit {
            look.read(*pid)?;
        }
    }
    Ok(look.found)
}

struct Look<'a> {
    service: &'a Service,
    places: BTreeSet<&'a PathBuf>,
    seen: BTreeSet<u32>,
    known: Known,
    found: Vec<Holder>,
}

impl<'a> Look<'a> {
    fn new(base: &[&'a Holder], service: &'a Service) -> Self {
        let places = base.iter().filter_map(|holder| holder.facts.cgroup.value()).collect();
        let seen = base.iter().map(|holder| holder.facts.id.pid).collect();
        Self { service, places, seen, known: Known::default(), found: Vec::new() }
    }

    /// Takes the process in, if it is in one of the cgroups.
    fn at(&mut self, pid: u32) -> Result<(), Error> {
        if cgroup(pid).is_some_and(|path| self.places.contains(&path)) { self.read(pid) } else { Ok(()) }
    }

    fn read(&mut self, pid: u32) -> Result<(), Error> {
        if !self.seen.insert(pid) {
            return Ok(());
        }
        let Some(pinned) = Pinned::open(pid)? else { return Ok(()) };
        let Some(facts) = pinned.facts(self.service)?.filter(|facts: &Facts| facts.exe != Seen::Gone) else {
            return Ok(());
        };
        let ancestry = self.known.ancestry(pid, self.service)?;
        self.found.push(Holder { facts, inodes: Vec::new(), ancestry });
        Ok(())
    }
}

/// So many are let go of again, with two descriptors each, for what follows.
const SPARE: usize = 8;

/// Pins those of the processes that are still what was read. Where the descriptors do not suffice for all, the
/// first of them: the port is to be freed all the same.
pub(crate) fn pin<T>(
    wanted: impl Iterator<Item = T>,
    id: impl Fn(&T) -> ProcessId,
) -> Result<Vec<(Rc<Pinned>, T)>, Error> {
    let mut pins = Vec::new();
    for wanted in wanted {
        match Pinned::open(id(&wanted).pid) {
            Ok(Some(pinned)) if pinned.id() == Some(id(&wanted)) => pins.push((Rc::new(pinned), wanted)),
            Ok(_) => {}
            Err(error) if error.is_out_of_descriptors() => {
                pins.truncate(pins.len().saturating_sub(SPARE));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(pins)
}

/// What loses its parent often ends with it, within milliseconds: an MCP server whose input is closed.
const LAST_BREATH: Duration = Duration::from_millis(100);

/// What stays of the processes, once those that end by themselves have done so.
pub(crate) fn remainder(pinned: &[Rc<Pinned>]) -> Result<Memory, Error> {
    let deadline = Instant::now() + LAST_BREATH;
    let mut open: Vec<&Rc<Pinned>> = pinned.iter().collect();
    while !open.is_empty() {
        let pidfds: Vec<&PidFd> = open.iter().map(|pinned| &pinned.pidfd).collect();
        let ended = pidfd::wait(&pidfds, deadline.saturating_duration_since(Instant::now()))?;
        if ended.is_empty() {
            break;
        }
        for at in ended.into_iter().rev() {
            open.swap_remove(at);
        }
    }
    Ok(memory(open.into_iter()))
}

/// What the processes have in memory that are still there.
pub(crate) fn memory<'a>(pinned: impl Iterator<Item = &'a Rc<Pinned>>) -> Memory {
    let mut memory = Memory::default();
    for (bytes, resident) in pinned.filter_map(|pinned| pinned.memory()) {
        memory.processes += 1;
        memory.bytes = memory.bytes.saturating_add(bytes);
        memory.resident |= resident;
    }
    memory
}
