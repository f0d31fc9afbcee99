//! Read the line of parents of a process.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use procfs::process::Stat;
use procfs::{FromRead, ProcError};

use super::facts::facts;
use super::pinned::Pinned;
use super::proc::{Miss, or_miss, read_all};
use crate::model::{Ancestry, Error, Facts, ProcessId, Service};

/// A line of parents, nearest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) ids: Vec<ProcessId>,
    /// It is known up to PID 1 or to the edge of the pid namespace (a parent of 0).
    pub(crate) complete: bool,
}

/// If a parent exits during the reading, the line is broken for a moment only.
const ATTEMPTS: usize = 5;

pub(crate) fn line(pid: u32) -> Result<Line, Error> {
    let mut last = Line::default();
    for _ in 0..ATTEMPTS {
        let line = read(pid)?;
        // Two equal readings: no pid in the line was reused in between.
        if line.complete && line == last {
            return Ok(line);
        }
        last = line;
    }
    Ok(Line { complete: false, ..last })
}

fn read(pid: u32) -> Result<Line, Error> {
    let mut line = Line::default();
    let Some(mut child) = stat(pid)? else { return Ok(line) };
    while child.parent != 0 {
        match stat(child.parent)? {
            // It is younger than its child: the parent has ended, and its pid was reused.
            Some(parent) if parent.id.start_ticks > child.id.start_ticks => return Ok(line),
            Some(parent) => {
                line.ids.push(parent.id);
                child = parent;
            }
            // hidepid and ProtectProc= may hide PID 1, too. Nothing is above it.
            None if child.parent == 1 => {
                line.ids.push(ProcessId { pid: 1, start_ticks: 0 });
                break;
            }
            None => return Ok(line),
        }
    }
    line.complete = true;
    Ok(line)
}

/// A process, and the pid of its parent.
pub(super) struct Place {
    pub(super) id: ProcessId,
    parent: u32,
}

/// `None`: it is gone or hidden. Any other failure is an error: the line must not seem to end there.
pub(super) fn stat(pid: u32) -> Result<Option<Place>, Error> {
    let stat = File::open(format!("/proc/{pid}/stat")).and_then(read_all);
    let stat = stat.map_err(ProcError::from).and_then(|bytes| Stat::from_read(&bytes[..]));
    let parsed = |stat: Stat| {
        let parent = u32::try_from(stat.ppid).ok()?;
        Some(Place { id: ProcessId { pid, start_ticks: stat.starttime }, parent })
    };
    match or_miss(stat, pid) {
        Ok(stat) => Ok(parsed(stat)),
        Err(Miss::Denied | Miss::Gone) => Ok(None),
        Err(Miss::Failed(error)) => Err(error),
    }
}

/// The lines of parents that one look has read. Many processes share them.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    facts: BTreeMap<ProcessId, Arc<Facts>>,
    parents: BTreeMap<u32, Parent>,
}

#[derive(Debug)]
struct Parent {
    facts: Arc<Facts>,
    ancestry: Ancestry,
}

impl Lines {
    /// The line of parents of a process whose facts were just read, with the facts of each.
    pub(crate) fn ancestry(&mut self, facts: &Facts, service: &Service) -> Result<Ancestry, Error> {
        let parent = self.parents.get(&facts.ppid);
        let ancestry = match parent.filter(|parent| parent.facts.id.start_ticks <= facts.id.start_ticks) {
            Some(Parent { facts, ancestry: above }) => {
                let line = std::iter::once(facts).chain(&above.line).cloned().collect();
                Ancestry { line, complete: above.complete }
            }
            None => self.parents(&line(facts.id.pid)?, service)?,
        };
        let parent = Parent { facts: Arc::new(facts.clone()), ancestry: ancestry.clone() };
        self.parents.insert(facts.id.pid, parent);
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
                Some(pinned) => facts(&pinned, service)?,
                None => None,
            };
            match facts {
                Some(facts) if facts.id == *id => {
                    let facts = Arc::new(facts);
                    self.facts.insert(*id, facts.clone());
                    parents.push(facts);
                }
                // PID 1 may be hidden. Any other parent that cannot be read breaks the line.
                _ if id.pid == 1 => {}
                _ => return Ok(Ancestry { line: parents, complete: false }),
            }
        }
        Ok(Ancestry { line: parents, complete: ids.complete })
    }
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
