//! The real OpenClaw: its gateway in every shape that it starts in. What the tests of the other folders take for
//! granted of a gateway is seen here.

mod beside;
mod by_hand;
mod moments;
mod shapes;
mod stand_in;
mod unit;

use crate::support::openclaw::Gateway;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files =
        [by_hand::cases(), shapes::cases(), beside::cases(), moments::cases(), stand_in::cases(), unit::cases()];
    files.into_iter().flatten().collect()
}

/// A gateway has much to do before it ends. On a busy machine that takes longer than the usual grace.
const PATIENT: [&str; 4] = ["18789", "--json", "--grace", "25s"];

/// The call ends the gateway on port 18789 by SIGTERM, with all that it has started. Gives the reason.
#[track_caller]
fn is_ended(gateway: &Gateway, call: impl FnOnce() -> Run) -> String {
    let below = gateway.below();
    let run = call();
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    assert_eq!(holder(&run, gateway.process())["identity"], "instance", "{run}");
    gateway.process().has_ended();
    below.iter().for_each(Proc::has_ended);
    reason(&run, gateway.process())
}

/// The same, and the reason is its lock.
#[track_caller]
fn is_ended_by_its_lock(gateway: &Gateway, call: impl FnOnce() -> Run) {
    let lock = its_lock(gateway);
    let reason = is_ended(gateway, call);
    assert!(reason.contains(&lock), "{lock}: {reason}");
}

/// The words that the reason has of a lock.
#[track_caller]
fn its_lock(gateway: &Gateway) -> String {
    let locks = gateway.locks();
    let folder = locks.first().expect("a lock").path.parent().unwrap();
    format!("lock {}/gateway.", folder.display())
}
