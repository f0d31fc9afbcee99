//! Count the memory of processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::facts::resident;
use super::parse;
use super::pidfd::{PidFd, wait};
use super::pinned::{Pinned, SPARE};
use super::proc::read;
use crate::model::{Error, Memory, ProcessId};

/// A process that loses its parent often ends within milliseconds, like an MCP server whose input is closed.
const LAST_BREATH: Duration = Duration::from_millis(100);

/// The memory of those processes that are still there. `waits`: some may be about to end, and get a moment to do so.
pub(crate) fn remainder(processes: &BTreeSet<ProcessId>, waits: bool) -> Result<Memory, Error> {
    let deadline = Instant::now() + LAST_BREATH;
    // Wait for as many as there are descriptors for. The others are only counted.
    let open = processes.iter().map_while(|id| Some((*id, PidFd::open(id.pid).ok()?)));
    let mut open: Vec<(ProcessId, PidFd)> =
        open.filter_map(|(id, pidfd)| Some((id, pidfd?))).take_while(|_| waits).collect();
    open.truncate(open.len().saturating_sub(SPARE).max(open.len().min(SPARE)));
    while !open.is_empty() {
        let pidfds: Vec<(ProcessId, &PidFd)> = open.iter().map(|(id, pidfd)| (*id, pidfd)).collect();
        let ended = wait(&pidfds, deadline.saturating_duration_since(Instant::now()))?;
        if ended.is_empty() {
            break;
        }
        open.retain(|(id, _)| !ended.contains(id));
    }
    drop(open);
    Ok(memory(processes))
}

/// The memory of those processes that are still there. It opens one at a time, so two descriptors are enough.
pub(crate) fn memory(processes: &BTreeSet<ProcessId>) -> Memory {
    let mut memory = Memory::default();
    for id in processes {
        if let Some((bytes, resident)) = Pinned::again(*id).ok().flatten().and_then(|pinned| of(&pinned)) {
            memory.processes += 1;
            memory.bytes = memory.bytes.saturating_add(bytes);
            memory.resident |= resident;
        }
    }
    memory
}

/// Bytes, and whether they are its Rss: only a process that may trace it may read its Pss. `None`: it has ended.
fn of(pinned: &Pinned) -> Option<(u64, bool)> {
    let share = read(&pinned.root, "smaps_rollup", pinned.pid).ok().and_then(|bytes| parse::pss(&bytes));
    let resident = pinned.stat().ok().flatten().map(|stat| resident(&stat));
    // If even this fails, count it: the figure is only for people.
    pinned.pidfd().is_alive().unwrap_or(true).then(|| match share {
        Some(bytes) => (bytes, false),
        None => (resident.unwrap_or_default(), true),
    })
}
