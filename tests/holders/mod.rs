//! Who holds the port? Every holder is found, at every address, in every process and in every thread. What is not in
//! the way of the given address is left alone. A port is never called free because its holder cannot be seen.

mod addresses;
mod crowd;
mod networks;
mod ports;
mod sharing;
mod system_calls;
mod unseen;
mod witness;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        ports::cases(),
        networks::cases(),
        addresses::cases(),
        sharing::cases(),
        unseen::cases(),
        system_calls::cases(),
        crowd::cases(),
        witness::cases(),
    ];
    files.into_iter().flatten().collect()
}
