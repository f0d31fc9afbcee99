//! The source keeps to its rooms: docs/architecture.md tells what each room is for. These tests read src.

mod imports;
mod sizes;
mod source;

use crate::support::Case;

pub(crate) fn cases() -> Vec<Case> {
    imports::cases().into_iter().chain(sizes::cases()).collect()
}
