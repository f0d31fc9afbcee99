//! The harness itself: fixtures, their surroundings, and the systemd that it boots. Each of these tests fails where
//! its piece of the harness is broken.

mod fixture;
mod surroundings;
mod systemd;
mod systemd_end;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [fixture::cases(), surroundings::cases(), systemd::cases(), systemd_end::cases()];
    files.into_iter().flatten().collect()
}
