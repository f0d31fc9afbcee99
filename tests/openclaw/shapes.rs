//! The other shapes of the gateway: older releases, bun, the script of its unit, a launcher above it.

use super::{PATIENT, is_ended, is_ended_by_its_lock, its_lock};
use crate::support::openclaw::{Claw, Gateway, Home};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b01_the_script_of_its_unit_tells_it, Needs::OpenClaw),
        case!(b01_bun_is_told_by_its_script, Needs::OpenClaw),
        case!(b05_an_older_release_is_told_by_its_lock, Needs::OpenClaw),
        case!(b04_a_launcher_with_a_title_is_ended_with_its_gateway, Needs::OpenClaw),
        case!(b04_a_launcher_with_its_arguments_is_ended_with_its_gateway, Needs::OpenClaw),
    ]
}

#[track_caller]
fn is_told_by_its_script(claw: &Claw<'_>) {
    let bystander = Bystander::start();
    let gateway = claw.start();
    // Its arguments are there, so nobody needs its locks.
    assert_eq!(gateway.locks().len(), 2);
    let reason = is_ended(&gateway, || portclear(&PATIENT));
    assert!(reason.ends_with("its script lies in package openclaw"), "{reason}");
    bystander.answers();
}

fn b01_the_script_of_its_unit_tells_it() {
    is_told_by_its_script(&Home::new().gateway().script("dist/index.js"));
}

fn b01_bun_is_told_by_its_script() {
    is_told_by_its_script(&Home::new().gateway().bun());
}

/// Their lock lies in the folder for temporary files. It names no port and no state folder.
fn b05_an_older_release_is_told_by_its_lock() {
    let home = Home::new();
    let bystander = Bystander::start();
    for (claw, brand) in [(home.gateway().older(), "openclaw"), (home.gateway().clawdbot(), "clawdbot")] {
        let gateway = claw.start();
        let locks = gateway.locks();
        let [lock] = &locks[..] else { panic!("{locks:?}") };
        assert!(lock.path.starts_with(home.path(&format!("tmp/{brand}-0"))), "{lock:?}");
        assert_eq!((&lock.content["port"], &lock.content["stateDir"]), (&().into(), &().into()), "{lock:?}");
        let command = std::fs::read(format!("/proc/{}/cmdline", gateway.pid())).unwrap();
        assert!(command.starts_with(format!("{brand}-gateway\0\0").as_bytes()));
        is_ended_by_its_lock(&gateway, || portclear(&PATIENT));
    }
    bystander.answers();
}

/// The gateway and its launcher are ended.
#[track_caller]
fn both_are_ended(gateway: &Gateway) {
    let lock = its_lock(gateway);
    let launcher = gateway.started();
    assert_eq!(gateway.process().parent(), launcher.pid());
    let below = gateway.below();
    let run = portclear(&PATIENT);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "cleared", "{run}");
    let said = holder(&run, gateway.process());
    assert_eq!([&said["identity"], &said["rule"]], ["instance", "stale-instance"], "{run}");
    assert!(reason(&run, gateway.process()).contains(&lock), "{run}");
    assert_eq!(run.process(launcher.pid())["role"], "launcher", "{run}");
    // A launcher passes its signal on. Nobody got two, and nobody was killed.
    assert_eq!(run.sent(launcher.pid()), ["SIGTERM"], "{run}");
    assert!(run.sent(gateway.pid()).iter().all(|signal| signal == "SIGTERM"), "{run}");
    launcher.has_ended();
    gateway.process().has_ended();
    below.iter().for_each(Proc::has_ended);
    assert!(can_bind(GATEWAY), "{run}");
}

/// The launcher of the older releases has no lock, and its title hides its script.
fn b04_a_launcher_with_a_title_is_ended_with_its_gateway() {
    let home = Home::new();
    let bystander = Bystander::start();
    for (claw, title) in [(home.gateway().older(), "openclaw"), (home.gateway().clawdbot(), "clawdbot")] {
        let gateway = claw.launched().start();
        let command = std::fs::read(format!("/proc/{}/cmdline", gateway.started().pid())).unwrap();
        assert!(command.starts_with(format!("{title}\0\0").as_bytes()), "{command:?}");
        both_are_ended(&gateway);
    }
    bystander.answers();
}

/// Where the folder for compiled code is given, today's launcher starts the gateway once more.
fn b04_a_launcher_with_its_arguments_is_ended_with_its_gateway() {
    let home = Home::new();
    let bystander = Bystander::start();
    both_are_ended(&home.gateway().script("openclaw.mjs").launched().compiled().start());
    bystander.answers();
}
