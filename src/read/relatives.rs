//! Find the relatives of processes that are to be ended: above them, below them, and of their run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

use super::ancestry::Lines;
use super::descriptors;
use super::facts::{environ_of, facts};
use super::pinned::Pinned;
use super::proc::{cgroup, read_all};
use super::snapshot::Snapshot;
use crate::model::{Cgroup, Environ, Error, Process, Seen, Service, Unit};

/// The processes that may be of one instance with `base`, or started by it. A process in another cgroup than those of
/// `base` cannot belong to it.
pub(crate) fn relatives(base: &[&Process], snapshot: &Snapshot, service: &Service) -> Result<Vec<Process>, Error> {
    let mut look = Look::new(base, service);
    for process in base {
        for ancestor in process.ancestry.parents().filter(|facts| facts.cgroup == process.facts.cgroup) {
            look.at(ancestor.id.pid)?;
        }
    }
    let above: BTreeSet<u32> = look.found.iter().map(|process| process.facts.id.pid).collect();
    let of_base = base.iter().map(|process| process.facts.id.pid);
    for pid in snapshot.below(&of_base.chain(above).collect()) {
        look.at(pid)?;
    }
    // A process that has lost its parent can be found by its run alone.
    if base.iter().any(|process| process.facts.run.is_some()) {
        for pid in &snapshot.pids {
            look.at(*pid)?;
        }
    }
    Ok(look.found)
}

/// Whether one of these processes has a child that is not among them, by the kernel's list for each thread. Without
/// such a list (CONFIG_PROC_CHILDREN) the answer is yes.
///
/// The list may lack a child while others end (proc_tid_children(5)). A worker is then missed here. If it takes the
/// port, the next look finds it.
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
            // No threads: they could not be read, or the process is ending.
            threads.is_empty() || threads.iter().any(|tid| of_thread(*pid, *tid))
        }
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    instance.iter().any(of_process)
}

/// Processes that started in the cgroups of `base` since the call began. The search stops at `until`.
pub(crate) fn newcomers(
    base: &[&Process], since: u64, until: Instant, service: &Service,
) -> Result<Vec<Process>, Error> {
    let mut look = Look::new(base, service);
    for pid in Snapshot::take()?.pids {
        look.at(pid)?;
        // Processes may start faster than they are read.
        if Instant::now() >= until {
            break;
        }
    }
    look.found.retain(|process| process.facts.id.start_ticks >= since);
    Ok(look.found)
}

/// The result, and the first error. An error about one process does not stop the search for others.
#[derive(Debug)]
pub(crate) struct Partly<T> {
    pub(crate) found: T,
    pub(crate) status: Result<(), Error>,
}

/// The processes that are `wanted`, by unit and environment, of all that are in a systemd service. A process in a
/// cgroup of its own below the unit's is skipped.
pub(crate) fn in_services(
    snapshot: &Snapshot, service: &Service, wanted: impl Fn(&Unit, &Environ) -> bool,
) -> Partly<Vec<Process>> {
    let mut look = Look::new(&[], service);
    let mut status = Ok(());
    for pid in &snapshot.pids {
        if let Some(cgroup) = cgroup(*pid).map(Cgroup::new).filter(|cgroup| !cgroup.is_below_its_unit())
            && let Some(unit) = cgroup.unit
            && let Err(error) = look.read_if(*pid, |environ| wanted(&unit, environ))
        {
            status = status.and(Err(error));
        }
    }
    Partly { found: look.found, status }
}

struct Look<'a> {
    service: &'a Service,
    cgroups: BTreeSet<&'a PathBuf>,
    seen: BTreeSet<u32>,
    lines: Lines,
    found: Vec<Process>,
}

impl<'a> Look<'a> {
    fn new(base: &[&'a Process], service: &'a Service) -> Self {
        let cgroups = base.iter().filter_map(|process| process.facts.cgroup.value());
        let cgroups = cgroups.map(|cgroup| &cgroup.path).collect();
        let seen = base.iter().map(|process| process.facts.id.pid).collect();
        Self { service, cgroups, seen, lines: Lines::default(), found: Vec::new() }
    }

    /// Adds the process, if it is in one of the cgroups.
    fn at(&mut self, pid: u32) -> Result<(), Error> {
        if cgroup(pid).is_some_and(|cgroup| self.cgroups.contains(&cgroup)) {
            self.read_if(pid, |_| true)
        } else {
            Ok(())
        }
    }

    fn read_if(&mut self, pid: u32, wanted: impl Fn(&Environ) -> bool) -> Result<(), Error> {
        if !self.seen.insert(pid) {
            return Ok(());
        }
        let Some(pinned) = Pinned::open(pid)? else { return Ok(()) };
        if let Seen::Value(environ) = environ_of(&pinned, self.service)?
            && !wanted(&environ)
        {
            return Ok(());
        }
        let Some(facts) = facts(&pinned, self.service)?.filter(|facts| facts.exe != Seen::Gone) else {
            return Ok(());
        };
        let ancestry = self.lines.ancestry(&facts, self.service)?;
        self.found.push(Process { facts, inodes: Vec::new(), ports: Vec::new(), ancestry });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ancestors, child, facts, process};
    use std::time::Duration;

    #[test]
    fn the_look_for_newcomers_ends_in_time() {
        let mut child = child();
        let own = std::process::id();
        let mut base = process(facts(u32::MAX, 0), ancestors(&[], true));
        base.facts.cgroup = Seen::Value(Cgroup::new(cgroup(own).unwrap()));
        let found = |until| -> Vec<u32> {
            let newcomers = newcomers(&[&base], 0, until, &Service::new("gw")).unwrap();
            newcomers.iter().map(|process| process.facts.id.pid).collect()
        };
        let (none_left, plenty) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        assert!(found(none_left).len() <= 1);
        let all = found(plenty);
        assert!(all.contains(&own) && all.contains(&child.id()), "{all:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
