//! Units run in a real systemd, those of the system and those of a user. A process of a current run lives, and what
//! an ended run left behind is ended. What docs/systemd.md and docs/sweep.md show is run as it stands there.

mod claims;
mod drop_in;
mod drop_in_options;
mod hardened;
mod inherited;
mod journal;
mod left_over;
mod live;
mod moved;
mod nested;
mod options;
mod own_unit;
mod readme;
mod recipes;
mod records;
mod rivals;
mod scopes;
pub(crate) mod service;
mod shells;
mod sockets;
mod sweep;
mod sweep_spares;
mod tree;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    // The journal grows with each test, and `moved` has little time to read it.
    let files = [
        own_unit::cases(),
        moved::cases(),
        shells::cases(),
        tree::cases(),
        left_over::cases(),
        scopes::cases(),
        live::cases(),
        options::cases(),
        records::cases(),
        nested::cases(),
        rivals::cases(),
        inherited::cases(),
        sockets::cases(),
        hardened::cases(),
        drop_in::cases(),
        drop_in_options::cases(),
        readme::cases(),
        recipes::cases(),
        journal::cases(),
        sweep::cases(),
        sweep_spares::cases(),
    ];
    files.into_iter().flatten().collect()
}
