//! Find the processes near those that are to be ended: above them, below them, and of their run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::facts::{Environ, Facts, Holder, ProcessId, Seen, Unit};
use crate::os::ancestry::Known;
use crate::os::descriptors;
use crate::os::pidfd::{self, PidFd};
use crate::os::process::Pinned;
use crate::os::read::{cgroup, read_all};
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

/// Whether one of them has a child that is none of them, by what the kernel lists for each thread. Where it keeps
/// no such list (CONFIG_PROC_CHILDREN) it may have.
///
/// The list may lack a child while others end (proc_tid_children(5)); then a worker is not told from here, and is found
/// if it takes the port.
pub(crate) fn has_another_child(instance: &BTreeSet<u32>) -> bool {
    let of_thread = |pid: u32, tid: u32| {
        let path = format!("/proc/{pid}/task/{tid}/children");
        let Ok(list) = File::open(path).and_then(read_all) else { return true };
        let list = String::from_utf8_lossy(&list);
        list.split_whitespace().any(|child| child.parse().is_ok_and(|child| !instance.contains(&child)))
    };
    let of_process = |pid: &u32| match File::open(format!("/proc/{pid}")) {
        Ok(root) => {
            let threads = descriptors::threads(&root);
            // None at all: they could not be read, or it is ending.
            threads.is_empty() || threads.iter().any(|tid| of_thread(*pid, *tid))
        }
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    instance.iter().any(of_process)
}

/// What has been started in the cgroups of `base` since the call began, as far as it is found by `until`.
pub(crate) fn newcomers(
    base: &[&Holder],
    since: u64,
    until: Instant,
    service: &Service,
) -> Result<Vec<Holder>, Error> {
    let mut look = Look::new(base, service);
    for pid in Snapshot::take()?.pids {
        look.at(pid)?;
        // They may come faster than they are read.
        if Instant::now() >= until {
            break;
        }
    }
    look.found.retain(|holder| holder.facts.id.start_ticks >= since);
    Ok(look.found)
}

/// What is `wanted`, by its unit and environment, of all that is in a systemd service and in no cgroup of its own
/// below it. And what went wrong with one of them: the others are found all the same.
pub(crate) fn in_services(
    snapshot: &Snapshot,
    service: &Service,
    wanted: impl Fn(&Unit, &Environ) -> bool,
) -> (Vec<Holder>, Option<Error>) {
    let mut look = Look::new(&[], service);
    let mut error = None;
    for pid in &snapshot.pids {
        let Some(path) = cgroup(*pid) else { continue };
        let unit = parse::unit(&path);
        if path.parent().and_then(parse::unit) == unit {
            continue;
        }
        if let Some(unit) = unit
            && let Err(new) = look.read_if(*pid, &|environ| wanted(&unit, environ))
        {
            error.get_or_insert(new);
        }
    }
    (look.found, error)
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
        if cgroup(pid).is_some_and(|path| self.places.contains(&path)) {
            self.read_if(pid, &|_| true)
        } else {
            Ok(())
        }
    }

    fn read_if(&mut self, pid: u32, wanted: &dyn Fn(&Environ) -> bool) -> Result<(), Error> {
        if !self.seen.insert(pid) {
            return Ok(());
        }
        let Some(pinned) = Pinned::open(pid)? else { return Ok(()) };
        if let Seen::Value(environ) = pinned.environ(self.service)?
            && !wanted(&environ)
        {
            return Ok(());
        }
        let Some(facts) = pinned.facts(self.service)?.filter(|facts: &Facts| facts.exe != Seen::Gone) else {
            return Ok(());
        };
        let ancestry = self.known.ancestry(&facts, self.service)?;
        self.found.push(Holder { facts, inodes: Vec::new(), ancestry });
        Ok(())
    }
}

/// So many are let go of again, with two descriptors each, for what follows.
const SPARE: usize = 8;

/// Processes that were pinned, and those that the descriptors did not suffice for.
#[derive(Debug)]
pub(crate) struct Pins<T> {
    pub(crate) pinned: Vec<(Rc<Pinned>, T)>,
    pub(crate) rest: Vec<T>,
}

/// Pins those of the processes that are still what was read. Where the descriptors do not suffice for all, the
/// first of them: the port is to be freed all the same.
pub(crate) fn pin<T>(
    mut wanted: impl Iterator<Item = T>,
    id: impl Fn(&T) -> ProcessId,
) -> Result<Pins<T>, Error> {
    let mut pins = Pins { pinned: Vec::new(), rest: Vec::new() };
    while let Some(next) = wanted.next() {
        match still(id(&next)) {
            Ok(Some(pinned)) => pins.pinned.push((Rc::new(pinned), next)),
            Ok(None) => {}
            Err(error) if error.is_out_of_descriptors() => {
                let spare = pins.pinned.len().saturating_sub(SPARE);
                pins.rest.extend(pins.pinned.drain(spare..).map(|(_, one)| one));
                pins.rest.push(next);
                pins.rest.extend(wanted);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(pins)
}

/// The very process, if it has not ended.
fn still(id: ProcessId) -> Result<Option<Pinned>, Error> {
    let Some(pinned) = Pinned::open(id.pid)? else { return Ok(None) };
    Ok((pinned.id()? == Some(id)).then_some(pinned))
}

/// What loses its parent often ends with it, within milliseconds: an MCP server whose input is closed.
const LAST_BREATH: Duration = Duration::from_millis(100);

/// What is still there of the processes, once those that end by themselves have done so.
pub(crate) fn remainder(left: &BTreeSet<ProcessId>) -> Result<Memory, Error> {
    let deadline = Instant::now() + LAST_BREATH;
    // As many as there are descriptors for; the others are counted without being waited for.
    let mut open: Vec<PidFd> = left.iter().map_while(|id| PidFd::open(id.pid).ok()).flatten().collect();
    open.truncate(open.len().saturating_sub(SPARE).max(open.len().min(SPARE)));
    while !open.is_empty() {
        let pidfds: Vec<&PidFd> = open.iter().collect();
        let ended = pidfd::wait(&pidfds, deadline.saturating_duration_since(Instant::now()))?;
        if ended.is_empty() {
            break;
        }
        for at in ended.into_iter().rev() {
            open.swap_remove(at);
        }
    }
    drop(open);
    Ok(memory(left))
}

/// What the processes have in memory that are still there. One at a time: however many there are, it takes two
/// descriptors.
pub(crate) fn memory(processes: &BTreeSet<ProcessId>) -> Memory {
    let mut memory = Memory::default();
    for id in processes {
        if let Some((bytes, resident)) = still(*id).ok().flatten().and_then(|pinned| pinned.memory()) {
            memory.processes += 1;
            memory.bytes = memory.bytes.saturating_add(bytes);
            memory.resident |= resident;
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ancestors, child, facts, holder};

    #[test]
    fn the_look_for_newcomers_ends_in_time() {
        let mut child = child();
        let own = std::process::id();
        let mut base = holder(facts(u32::MAX, 0), ancestors(&[], true));
        base.facts.cgroup = Seen::Value(cgroup(own).unwrap());
        let found = |until| -> Vec<u32> {
            let newcomers = newcomers(&[&base], 0, until, &Service::new("gw")).unwrap();
            newcomers.iter().map(|holder| holder.facts.id.pid).collect()
        };
        let (none_left, plenty) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        assert!(found(none_left).len() <= 1);
        let all = found(plenty);
        assert!(all.contains(&own) && all.contains(&child.id()), "{all:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
