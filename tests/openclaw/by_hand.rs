//! Somebody has started the gateway by hand, which most stale ones were: it has a title over its arguments, and no
//! marker. Its lock tells it.

use super::{PATIENT, is_ended_by_its_lock, its_lock};
use crate::support::openclaw::Home;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b06_the_gateway_is_told_by_its_lock_and_the_next_start_succeeds, Needs::OpenClaw),
        case!(b06_one_of_an_ordinary_user_is_told_by_its_lock, Needs::OpenClaw),
        case!(b06_one_in_another_state_folder_is_told_by_its_lock, Needs::OpenClaw),
        case!(a04_without_a_lock_it_is_left_alone, Needs::OpenClaw),
    ]
}

const TITLE: &[u8] = b"openclaw-gateway\0\0";

#[track_caller]
fn has_its_title(pid: u32) {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
    let command = read("cmdline");
    assert!(command.starts_with(TITLE), "{command:?}");
    assert!(command[TITLE.len()..].iter().all(|byte| *byte == 0), "{command:?}");
    assert_eq!(read("comm"), b"openclaw-gatewa\n");
}

/// `nohup openclaw gateway run &`, and a start after an update.
fn b06_the_gateway_is_told_by_its_lock_and_the_next_start_succeeds() {
    let home = Home::new();
    let bystander = Bystander::start();
    let gateway = home.gateway().script("openclaw.mjs").start();
    has_its_title(gateway.pid());
    assert!(!gateway.below().is_empty());
    let run = portclear(&["18789", "--dry-run"]);
    assert!(run.status == 0 && run.stdout.contains(&its_lock(&gateway)), "{run}");
    gateway.serves(18789);

    is_ended_by_its_lock(&gateway, || portclear(&PATIENT));
    // The state folder is free as well: a start beside another gateway ends with status 78.
    let next = home.gateway().script("openclaw.mjs").start();
    next.serves(18789);
    bystander.answers();
}

fn b06_one_of_an_ordinary_user_is_told_by_its_lock() {
    let home = Home::new();
    home.give_to(1000);
    let bystander = Bystander::start();
    let gateway = home.gateway().uid(1000).start();
    assert!(its_lock(&gateway).contains("/tmp/openclaw-1000/"));
    is_ended_by_its_lock(&gateway, || Portclear::new(&PATIENT).uid(1000).run());
    bystander.answers();
}

/// With this variable it has one lock instead of two. The lock follows the state folder.
fn b06_one_in_another_state_folder_is_told_by_its_lock() {
    let home = Home::new();
    home.configure("elsewhere/openclaw.json");
    let bystander = Bystander::start();
    let gateway = home.gateway().env("OPENCLAW_STATE_DIR", &home.word("elsewhere"));
    let gateway = gateway.env("OPENCLAW_ALLOW_MULTI_GATEWAY", "1").start();
    let paths: Vec<_> = gateway.locks().into_iter().map(|lock| lock.path).collect();
    assert_eq!(paths, [home.path("elsewhere/tmp/openclaw-0/gateway.state.lock")]);
    is_ended_by_its_lock(&gateway, || portclear(&PATIENT));
    bystander.answers();
}

/// As tests of the product itself start it. Nothing tells it from any other node program.
fn a04_without_a_lock_it_is_left_alone() {
    let home = Home::new();
    let bystander = Bystander::start();
    let gateway = home.gateway().env("NODE_ENV", "test").start();
    has_its_title(gateway.pid());
    assert!(gateway.locks().is_empty());
    left_alone(&portclear(&JSON), &[(gateway.process(), "foreign")]);
    gateway.serves(18789);
    bystander.answers();
}
