//! Who holds the port? All holders are found, at every address, in every process and in every thread, and nothing that
//! is not in the way of the given address is touched. A port is never called free because nobody can be seen.

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
