//! What the gateway does at the moment: it restarts in place, or it drains.

use super::{PATIENT, is_ended_by_its_lock};
use crate::support::openclaw::{Home, Model};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e03_a_restart_in_place_before_the_signal_changes_nothing, Needs::OpenClaw),
        case!(d02_a_busy_gateway_is_asked_once_and_what_cut_it_off_is_told, Needs::OpenClaw),
    ]
}

/// SIGUSR2: the same process serves again, with other files of the same name.
fn e03_a_restart_in_place_before_the_signal_changes_nothing() {
    let home = Home::new();
    let bystander = Bystander::start();
    let mut gateway = home.gateway().start();
    let before: Vec<u64> = gateway.locks().iter().map(|lock| lock.inode).collect();
    let mut run = Portclear::new(&PATIENT).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    gateway.process().signal(Signal::SIGUSR2);
    gateway.until_says("received SIGUSR2; restarting");
    gateway.until_ready();
    let locks = gateway.locks();
    assert!(locks.len() == 2 && locks.iter().all(|lock| !before.contains(&lock.inode)), "{locks:?}");
    assert!(locks.iter().all(|lock| lock.content["pid"] == gateway.pid()), "{locks:?}");
    gateway.serves(18789);
    is_ended_by_its_lock(&gateway, || run.finish());
    bystander.answers();
}

/// It drains up to 315 s, keeps the port meanwhile, and takes no notice of a second signal.
fn d02_a_busy_gateway_is_asked_once_and_what_cut_it_off_is_told() {
    let home = Home::new();
    let bystander = Bystander::start();
    let mut model = Model::new();
    let mut gateway = home.gateway().start();
    let client = home.claw(&["agent", "--agent", "main", "--message", "hello"]).spawn();
    model.is_asked();
    let below = gateway.below();
    let run = Portclear::new(&["--json", "18789", "--grace", "4s"]).spawn();
    gateway.until_says("draining active work before stop");
    gateway.serves(18789);
    let run = run.finish();
    assert_eq!((run.status, run.sent(gateway.pid())), (0, vec!["SIGTERM".to_owned(), "SIGKILL".to_owned()]), "{run}");
    assert_eq!(run.process(gateway.pid())["cut_off"], true, "{run}");
    gateway.process().has_ended();
    below.iter().for_each(Proc::has_ended);
    drop(client);
    // It starts at once, also after that.
    home.gateway().start().serves(18789);
    bystander.answers();
}
