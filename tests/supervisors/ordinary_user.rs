//! An ordinary user, whose server a supervisor of root's looks after. Its executable, variables and folder are hidden.

use serde_json::json;

use super::folders::with_script;
use super::{circus, daemontools, openrc, runit, s6, supervisord};
use crate::support::supervisors::scenes::named;
use crate::support::supervisors::{Home, Kind, Server, Supervisor, answering};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(supervisord_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("supervisord")),
        case!(circus_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("circusd")),
        case!(runit_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("runsv")),
        case!(s6_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("s6-supervise")),
        case!(daemontools_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("supervise")),
        case!(openrc_of_root_is_named, Needs::Root, Needs::Node, Needs::Supervisor("supervise-daemon")),
    ]
}

fn supervisord_of_root_is_named() {
    named_without_variables(&Kind {
        start: |home: &Home| supervisord::started_with(home, "user=nobody", &supervisord::config(home)),
        ..supervisord::SUPERVISORD
    });
}

/// The child's variables name it. It is another user's, so root is not told to run a command with them.
#[track_caller]
fn named_without_variables(kind: &Kind) {
    spared_for_nobody(kind, |run, pid, supervisor| {
        let name = json!({ "kind": kind.name, "pid": supervisor.pid(), "entry": null, "stop_command": null });
        assert_eq!(run.process(pid)["supervisor"], name, "{run}");
    });
}

fn circus_of_root_is_named() {
    let kind = Kind { start: |home: &Home| circus::started_with(home, "uid = nobody"), ..circus::CIRCUS };
    spared_for_nobody(&kind, |run, pid, supervisor| named(run, pid, supervisor, &kind));
}

#[track_caller]
fn spared_for_nobody(kind: &Kind, is_named: impl Fn(&Run, u32, &Supervisor)) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let run = supervisor.portclear_of(NOBODY, &JSON);
    spared(&run, 3, pid, "live");
    assert_eq!(run.process(pid)["uid"], NOBODY, "{run}");
    is_named(&run, pid, &supervisor);
    assert_eq!(answering(GATEWAY), pid);
    bystander.answers();
}

fn runit_of_root_is_named() {
    spared_in_a_folder(&runit::RUNIT);
}

fn s6_of_root_is_named() {
    spared_in_a_folder(&s6::S6);
}

fn daemontools_of_root_is_named() {
    spared_in_a_folder(&daemontools::DAEMONTOOLS);
}

/// The name and the pid of the supervisor are all that can be seen.
fn spared_in_a_folder(kind: &Kind) {
    let become_nobody = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups");
    let (supervisor, pid) = with_script(kind, |run| format!("exec {become_nobody} {run}"));
    let bystander = Bystander::start();
    let run = supervisor.portclear_of(NOBODY, &JSON);
    let reason = spared(&run, 3, pid, "live");
    assert_eq!(run.process(pid)["uid"], NOBODY, "{run}");
    assert!(reason.starts_with(&format!("{} (pid {}) looks after it", kind.name, supervisor.pid())), "{reason}");
    let said = run.process(pid)["supervisor"].take();
    assert_eq!((&said["kind"], &said["pid"]), (&json!(kind.name), &json!(supervisor.pid())), "{run}");
    // Root is told the rest.
    let run = supervisor.portclear(&JSON);
    spared(&run, 3, pid, "live");
    named(&run, pid, &supervisor, kind);
    assert_eq!(answering(GATEWAY), pid);
    bystander.answers();
}

fn openrc_of_root_is_named() {
    named_without_variables(&Kind {
        start: |home: &Home| openrc::started_with(home, "command_user=nobody:nogroup"),
        ..openrc::OPENRC
    });
}
