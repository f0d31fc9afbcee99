//! Is the instance still needed? portclear never ends its caller, nor what the caller descends from, nor what started
//! after it. Options protect more or give leave for more; another profile's instance and a container's are somebody
//! else's.

mod caller;
mod containers;
mod newer;
mod options;
mod profiles;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [caller::cases(), options::cases(), newer::cases(), containers::cases(), profiles::cases()];
    files.into_iter().flatten().collect()
}
