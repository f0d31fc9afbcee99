//! s6.

use super::folders::{folder, in_folders, service};
use crate::support::supervisors::{Kind, Returns};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    in_folders!["s6-supervise", &S6]
}

pub(super) const S6: Kind = Kind {
    name: "s6",
    shown: "s6-supervise /",
    start: |home| service(home, "s6-supervise"),
    entry: |_| Some("gw".to_owned()),
    stop: |supervisor| format!("s6-svc -d {}", folder(supervisor.home())),
    // After little more than a second. portclear watches for two.
    returns: Returns::AtOnce,
};
