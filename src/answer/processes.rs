//! Put processes, and what became of them, into a report.

use std::collections::BTreeMap;

use crate::end::Target;
use crate::judge::Judged;
use crate::model::{Ending, Error, Fate, Listener, PortReport, ProcessId, ProcessReport, Role, Service};
use crate::read::{self, Pinned};

/// Adds a process to the report, each once: as it was when it was signalled, or else as it was last seen. Gives it if
/// its judgement is new.
pub(super) fn add<'r>(into: &'r mut Vec<ProcessReport>, judged: &Judged, role: Role) -> Option<&'r ProcessReport> {
    let same = |known: &ProcessReport| known.process.id() == judged.id();
    if into.iter().any(|known| same(known) && known.ending.fate != Fate::Untouched) {
        return None;
    }
    let known = into.iter().position(same).map(|at| into.remove(at));
    into.push(ProcessReport {
        role,
        process: (*judged.process).clone(),
        user: None,
        markers: Vec::new(),
        judgement: judged.judgement.clone(),
        ending: Ending::new(Fate::Untouched),
    });
    into.last().filter(|_| known.is_none_or(|known| known.judgement != judged.judgement))
}

/// Writes to each process what became of its target.
pub(super) fn write_endings(processes: &mut [ProcessReport], targets: &[Target]) {
    for process in processes.iter_mut().filter(|process| process.ending.fate == Fate::Untouched) {
        if let Some(target) = targets.iter().find(|target| target.id() == process.process.id()) {
            process.ending = target.ending.clone();
        }
    }
}

pub(super) const fn has_survived(process: &ProcessReport) -> bool {
    matches!(process.ending.fate, Fate::Survived(_))
}

/// Finds those of the listeners that the processes hold, and that are not in the way of their port.
pub(super) fn look_elsewhere(report: &mut PortReport, listeners: &[Listener]) -> Result<(), Error> {
    let is_in_the_way = |listener: &Listener| report.listeners.iter().any(|known| known.inode == listener.inode);
    let others: Vec<&Listener> = listeners.iter().filter(|listener| !is_in_the_way(listener)).collect();
    let inodes: Vec<u64> = others.iter().map(|listener| listener.inode).collect();
    let ids: Vec<ProcessId> = report.processes().map(|process| process.process.id()).collect();
    report.elsewhere.clear();
    for id in ids {
        let Some(pinned) = Pinned::again(id)? else { continue };
        let held = pinned.held(&inodes)?;
        let held = others.iter().filter(|listener| held.contains(&listener.inode));
        report.elsewhere.extend(held.map(|listener| (id, Listener::clone(listener))));
    }
    report.elsewhere.sort();
    report.elsewhere.dedup();
    Ok(())
}

/// Fills in user names and markers. They are for people to read, so this comes last.
pub(crate) fn fill_in<'r>(processes: impl Iterator<Item = &'r mut ProcessReport>, service: &Service) {
    let mut names: Option<BTreeMap<u32, String>> = None;
    for process in processes {
        let (uid, environ) = (process.process.facts.uid.value(), process.process.facts.environ.value());
        let names = names.get_or_insert_with(read::user_names);
        process.user = uid.and_then(|uid| names.get(uid)).cloned();
        process.markers = environ.map(|environ| service.markers_in(environ)).unwrap_or_default();
    }
}
