//! What sysinfo knows of the whole machine: users, and the tree of processes. Taken only when needed.

use std::collections::BTreeMap;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, Users};

/// Names of users by uid. Only for people to read: no decision asks for a name.
pub(crate) fn user_names() -> BTreeMap<u32, String> {
    let users = Users::new_with_refreshed_list();
    users.iter().flat_map(|users| users.iter().map(|user| (**user.id(), user.name().to_owned()))).collect()
}

/// The pids of a process's children, as of now. Their facts are read anew by whoever asks.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(mut system) = System::new() else {
        return Vec::new();
    };
    let kind = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let child = |process: &sysinfo::Process| process.parent().is_some_and(|parent| parent.as_u32() == pid);
    system
        .processes()
        .values()
        .filter(|process| child(process))
        .map(|process| process.pid().as_u32())
        .collect()
}
