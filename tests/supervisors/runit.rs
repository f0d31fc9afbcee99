//! runit.

use super::folders::{folder, in_folders, service};
use crate::support::supervisors::{Kind, Returns};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    in_folders!["runsv", &RUNIT]
}

pub(super) const RUNIT: Kind = Kind {
    name: "runit",
    shown: "runsv /",
    start: |home| service(home, "runsv"),
    entry: |_| Some("gw".to_owned()),
    stop: |supervisor| format!("sv down {}", folder(supervisor.home())),
    // After little more than a second. portclear watches for two.
    returns: Returns::AtOnce,
};
