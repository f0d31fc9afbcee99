//! Is the instance still needed? portclear never ends its caller, the caller's ancestors, or what started after it.
//! It spares the instance of another profile and the one in a container. Options protect more processes, or permit to
//! end more.

mod caller;
mod containers;
mod newer;
mod notes;
mod options;
mod profiles;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files =
        [caller::cases(), options::cases(), newer::cases(), notes::cases(), containers::cases(), profiles::cases()];
    files.into_iter().flatten().collect()
}
