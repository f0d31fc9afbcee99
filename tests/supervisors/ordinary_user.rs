//! An ordinary user, whose server a supervisor of root's looks after. Its executable, variables and folder are hidden.

use super::{circus, supervisord};
use crate::support::supervisors::scenes::named;
use crate::support::supervisors::{Home, Kind, Server, Supervisor, answering};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(supervisord_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("supervisord")),
        case!(circus_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("circusd")),
    ]
}

fn supervisord_of_root_is_named() {
    spared_for_nobody(&Kind {
        start: |home: &Home| supervisord::started_with(home, "user=nobody", &supervisord::config(home)),
        ..supervisord::SUPERVISORD
    });
}

fn circus_of_root_is_named() {
    spared_for_nobody(&Kind { start: |home: &Home| circus::started_with(home, "uid = nobody"), ..circus::CIRCUS });
}

#[track_caller]
fn spared_for_nobody(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let run = supervisor.portclear_of(NOBODY, &JSON);
    spared(&run, 3, pid, "live");
    assert_eq!(run.process(pid)["uid"], NOBODY, "{run}");
    named(&run, pid, &supervisor, kind);
    assert_eq!(answering(GATEWAY), pid);
    bystander.answers();
}
