//! daemontools.

use super::folders::{folder, in_folders, service};
use crate::support::supervisors::{Kind, Returns};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    in_folders!["supervise", &DAEMONTOOLS]
}

pub(super) const DAEMONTOOLS: Kind = Kind {
    name: "daemontools",
    shown: "supervise /",
    start: |home| service(home, "supervise"),
    entry: |_| Some("gw".to_owned()),
    stop: |supervisor| format!("svc -d {}", folder(supervisor.home())),
    // After little more than a second. portclear watches for two.
    returns: Returns::AtOnce,
};
