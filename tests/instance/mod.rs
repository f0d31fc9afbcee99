//! Which other processes belong to the one that holds the port? Its launcher and its workers are one instance with
//! it, and end with it. What it started ends with `--tree`. Everything above and beside it lives.

mod above;
mod forwarding;
mod launcher;
pub(crate) mod many;
mod orphans;
mod process_groups;
mod random;
pub(crate) mod rival;
mod several_ports;
mod spared;
mod tree;
mod workers;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        launcher::cases(),
        forwarding::cases(),
        workers::cases(),
        several_ports::cases(),
        rival::cases(),
        above::cases(),
        tree::cases(),
        process_groups::cases(),
        spared::cases(),
        orphans::cases(),
        many::cases(),
        random::cases(),
    ];
    files.into_iter().flatten().collect()
}
