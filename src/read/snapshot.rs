//! List the processes and users of the machine with sysinfo, only when needed.

use std::collections::{BTreeMap, BTreeSet};

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, Users};

use crate::model::Error;

/// Every process with its parent, at one moment. It is taken before the first signal: a process that loses its parent
/// gets another one.
#[derive(Debug)]
pub(crate) struct Snapshot {
    children: BTreeMap<u32, Vec<u32>>,
    pub(crate) pids: BTreeSet<u32>,
}

impl Snapshot {
    pub(crate) fn take() -> Result<Self, Error> {
        let fail = |cause: &str| Error::new("cannot list the processes", std::io::Error::other(cause.to_owned()));
        let mut system = System::new().map_err(|error| fail(&error.to_string()))?;
        let kind = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let mut snapshot = Self { children: BTreeMap::new(), pids: BTreeSet::new() };
        for (pid, process) in system.processes() {
            snapshot.pids.insert(pid.as_u32());
            if let Some(parent) = process.parent() {
                snapshot.children.entry(parent.as_u32()).or_default().push(pid.as_u32());
            }
        }
        // sysinfo gives no error for an unreadable /proc. The caller is then missing from the list.
        if snapshot.pids.contains(&std::process::id()) {
            Ok(snapshot)
        } else {
            Err(fail("the caller is not among them"))
        }
    }

    /// Everything below these processes.
    pub(crate) fn below(&self, pids: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut below = BTreeSet::new();
        let mut queue: Vec<u32> = pids.iter().copied().collect();
        while let Some(pid) = queue.pop() {
            let children = self.children.get(&pid).into_iter().flatten();
            queue.extend(children.filter(|child| below.insert(**child)));
        }
        below
    }
}

/// A snapshot that is taken when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Processes(Option<Snapshot>);

impl Processes {
    pub(crate) fn get(&mut self) -> Result<&Snapshot, Error> {
        let snapshot = match self.0.take() {
            Some(snapshot) => snapshot,
            None => Snapshot::take()?,
        };
        Ok(self.0.insert(snapshot))
    }
}

/// Names of users by uid. Only for people to read: no decision asks for a name.
pub(crate) fn user_names() -> BTreeMap<u32, String> {
    let users = Users::new_with_refreshed_list();
    users.iter().flat_map(|users| users.iter().map(|user| (**user.id(), user.name().to_owned()))).collect()
}
