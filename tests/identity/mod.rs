//! Is this process an instance of the service at all? What only looks like one is left alone. A real one is found
//! whatever it is called, and whatever became of its files. Only evidence counts that no process has by chance: what
//! it executes, and the markers of its service.

mod by_hand;
mod false_locks;
mod files_gone;
mod foreign;
mod locks;
mod names;
mod offspring;
mod pid_files;
mod scripts;
mod services;
mod untrusted;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        foreign::cases(),
        offspring::cases(),
        names::cases(),
        files_gone::cases(),
        services::cases(),
        by_hand::cases(),
        scripts::cases(),
        pid_files::cases(),
        untrusted::cases(),
        locks::cases(),
        false_locks::cases(),
    ];
    files.into_iter().flatten().collect()
}
