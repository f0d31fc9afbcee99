//! How does a process end, and what is said when it does not? It is asked once, has its grace, and is killed after
//! that, all within a time that is known before. Only what was judged is signalled, whatever changes meanwhile. The
//! exit status 0 means that a server can bind.

mod escalation;
mod exec;
mod failed_wait;
mod holder_changes;
mod last_look;
mod limits;
mod moments;
mod permission;
mod pid_reuse;
mod still_held;
mod time;
mod time_wait;
mod two_cleaners;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        escalation::cases(),
        time::cases(),
        still_held::cases(),
        last_look::cases(),
        time_wait::cases(),
        permission::cases(),
        two_cleaners::cases(),
        pid_reuse::cases(),
        exec::cases(),
        holder_changes::cases(),
        limits::cases(),
        failed_wait::cases(),
    ];
    files.into_iter().flatten().collect()
}
