//! What must hold where a service is a folder, in which its supervisor notes the pid of its child.

use std::fs;

use serde_json::json;

use crate::support::net::ask;
use crate::support::run::PROGRAM;
use crate::support::supervisors::scenes::named;
use crate::support::supervisors::{Home, Kind, Server, Supervisor, answering};
use crate::support::wait::for_a_second;
use crate::support::*;

/// `in_folders!["runsv", &RUNIT]`: the cases of a supervisor. The first word is the program that it needs.
macro_rules! in_folders {
    ($program:literal, $kind:expr) => {{
        let mut cases = $crate::support::supervisors::scenes::supervised![
            $program,
            $kind,
            a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
            a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
            what_a_dead_one_leaves_is_cleared,
            what_a_dead_one_leaves_without_the_marker_is_cleared,
            an_innocent_server_of_a_supervised_script_is_spared,
            the_stop_command_as_printed_stops_it,
        ];
        cases.extend($crate::supervisors::folders::in_folders![
            $program,
            $kind,
            live_ends_it_and_says_whether_it_came_back,
            an_orphan_is_cleared_although_its_supervisor_runs_again,
            an_orphan_is_cleared_whatever_a_living_supervisor_has_noted,
            a_service_that_clears_its_port_first_serves_again,
            a_gateway_below_the_supervised_script_is_live_too,
            what_left_the_session_of_the_supervised_script_is_cleared,
        ]);
        cases
    }};
    ($program:literal, $kind:expr, $($scene:ident),* $(,)?) => {
        [$(
            $crate::support::Case {
                path: concat!(module_path!(), "::", stringify!($scene)),
                needs: &[$crate::support::Needs::Node, $crate::support::Needs::Supervisor($program)],
                run: || $crate::supervisors::folders::$scene($kind),
            },
        )*]
    };
}
pub(super) use in_folders;

/// The service of a supervisor that is given its folder.
pub(super) const SERVICE: &str = "sv/gw";

/// Lays out a service, and gives the line that starts its supervisor.
pub(super) fn service(home: &Home, supervisor: &str) -> String {
    script(home, &format!("exec {}", home.run()));
    format!("exec {supervisor} {}", folder(home))
}

fn script(home: &Home, text: &str) {
    home.write(&format!("{SERVICE}/run"), &format!("#!/bin/sh\n{text}\n"));
}

pub(super) fn folder(home: &Home) -> String {
    home.path().join(SERVICE).display().to_string()
}

/// A supervisor whose service has become this script. Gives also the pid of the server.
#[track_caller]
pub(super) fn with_script(kind: &Kind, text: impl Fn(&str) -> String) -> (Supervisor, u32) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    script(supervisor.home(), &text(&supervisor.home().run()));
    let before = answering(GATEWAY);
    supervisor.shell(&format!("kill {before}"));
    let pid = until_another_answers(&supervisor, before);
    (supervisor, pid)
}

/// Waits until another process answers than before, and for the next clock tick. Gives its pid.
#[track_caller]
fn until_another_answers(supervisor: &Supervisor, before: u32) -> u32 {
    let mut pid = before;
    until("another process that answers", || {
        let line = ask(GATEWAY).unwrap_or_default();
        pid = line.split(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or(before);
        pid != before
    });
    Proc::of(supervisor.outer(pid)).keep();
    pid
}

/// Starts the supervisor a second time, as the service that starts supervisors does.
#[track_caller]
fn start_again(kind: &Kind, supervisor: &Supervisor) {
    let log = supervisor.home().path().join("log");
    let line = (kind.start)(supervisor.home());
    supervisor.shell(&format!("setsid sh -c '{line}' >>{} 2>&1 </dev/null &", log.display()));
}

pub(super) fn live_ends_it_and_says_whether_it_came_back(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Unmarked);
    let bystander = Bystander::start();
    let first = answering(GATEWAY);
    let run = supervisor.portclear(&["--json", "18789", "--live", "--settle", "0s"]);
    is_ended_live(&run, first);
    // Each of them waits for a second before it starts a young service again. On a busy machine it is not young any more.
    if run.status == 0 {
        // Nobody has looked whether it is still there.
        let may = format!("{} (pid {}) may start it again", kind.name, supervisor.pid());
        assert!(sentence(&run).contains(&may), "no {may:?}: {run}");
        assert_eq!(run.json()["ports"][0]["watched_ms"], 0, "{run}");
    } else {
        came_back(&run, kind, &supervisor);
    }

    let second = until_another_answers(&supervisor, first);
    let run = supervisor.portclear(&["--json", "18789", "--live"]);
    is_ended_live(&run, second);
    came_back(&run, kind, &supervisor);
    let third = until_another_answers(&supervisor, second);
    for_a_second("the new one serves", || answering(GATEWAY) == third);
    bystander.answers();
}

#[track_caller]
fn is_ended_live(run: &Run, pid: u32) {
    let process = run.process(pid);
    assert_eq!((&process["rule"], &process["outcome"]), (&json!("end-live"), &json!("ended")), "{run}");
    assert_eq!(run.sent(pid), ["SIGTERM"], "{run}");
}

/// The port was taken again. The sentence names the supervisor, and the document its command.
#[track_caller]
fn came_back(run: &Run, kind: &Kind, supervisor: &Supervisor) {
    let (above, port) = (supervisor.pid(), run.json()["ports"][0].take());
    let said = (run.status, &port["status"], &port["starter"]["pid"]);
    assert_eq!(said, (6, &json!("respawned"), &json!(above)), "{run}");
    let by = format!("started by {} (pid {above})", kind.name);
    assert!(sentence(run).ends_with(&by), "no {by:?}: {run}");
    let stop = run.processes().iter().any(|process| process["supervisor"]["stop_command"] == (kind.stop)(supervisor));
    assert!(stop, "{run}");
}

/// The note of a dead supervisor names the orphan, and then that of its successor names a child which cannot bind.
pub(super) fn an_orphan_is_cleared_although_its_supervisor_runs_again(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    let bystander = Bystander::start();
    let orphan = answering(GATEWAY);
    let process = Proc::of(supervisor.outer(orphan));
    supervisor.kill();
    start_again(kind, &supervisor);
    until("another note", || note(kind, supervisor.home()).is_some_and(|pid| pid != orphan));
    let run = supervisor.portclear(&JSON);
    let said = run.process(orphan);
    assert_eq!((&said["rule"], &said["outcome"]), (&json!("stale-instance"), &json!("ended")), "{run}");
    assert_eq!((run.sent(orphan), &said["supervisor"]), (vec!["SIGTERM".to_owned()], &json!(null)), "{run}");
    process.has_ended();
    let next = until_another_answers(&supervisor, orphan);
    let run = supervisor.portclear(&JSON);
    spared(&run, 3, next, "live");
    named(&run, next, &supervisor, kind);
    for_a_second("the next one serves", || answering(GATEWAY) == next);
    bystander.answers();
}

/// The parent is asked first, and then its note.
pub(super) fn an_orphan_is_cleared_whatever_a_living_supervisor_has_noted(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    let bystander = Bystander::start();
    let supervised = answering(GATEWAY);
    let orphan = supervisor.orphan("setsid");
    let process = Proc::of(supervisor.outer(orphan));
    write_note(kind, supervisor.home(), orphan);
    assert_eq!(note(kind, supervisor.home()), Some(orphan));
    let run = supervisor.portclear(&["--json", "18791"]);
    assert_eq!((run.status, &run.process(orphan)["rule"]), (0, &json!("stale-instance")), "{run}");
    process.has_ended();
    assert_eq!(answering(GATEWAY), supervised, "{run}");
    bystander.answers();
}

/// The script of the service calls portclear, and then becomes the gateway.
pub(super) fn a_service_that_clears_its_port_first_serves_again(kind: &Kind) {
    let bystander = Bystander::start();
    let (supervisor, orphan) = with_script(kind, |run| format!("{PROGRAM} 18789 && exec {run}"));
    supervisor.kill();
    // This lays out the plain script. Only then comes the one that calls portclear.
    let line = (kind.start)(supervisor.home());
    script(supervisor.home(), &format!("{PROGRAM} 18789 && exec {}", supervisor.home().run()));
    supervisor.shell(&format!("setsid sh -c '{line}' >/dev/null 2>&1 </dev/null &"));
    let next = until_another_answers(&supervisor, orphan);
    let run = supervisor.portclear(&JSON);
    spared(&run, 3, next, "live");
    named(&run, next, &supervisor, kind);
    for_a_second("the next one serves", || answering(GATEWAY) == next);
    bystander.answers();
}

pub(super) fn a_gateway_below_the_supervised_script_is_live_too(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Below);
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let gateway = Proc::of(supervisor.outer(pid));
    let run = supervisor.portclear(&JSON);
    let reason = spared(&run, 3, pid, "live");
    named(&run, pid, &supervisor, kind);
    let script = supervisor.inner(gateway.parent());
    assert!(reason.contains(&format!("process {script} above it")), "{reason}");
    for_a_second("the same process serves", || answering(GATEWAY) == pid);
    bystander.answers();
}

pub(super) fn what_left_the_session_of_the_supervised_script_is_cleared(kind: &Kind) {
    let bystander = Bystander::start();
    // The shell waits for it. setsid does not fork here, because its process leads no group.
    let (supervisor, pid) = with_script(kind, |run| format!("setsid {run}\nexit"));
    let run = supervisor.portclear(&["--json", "18789", "--settle", "0s"]);
    cleared(&run, pid, "stale-instance", &["SIGTERM"]);
    bystander.answers();
}

// The notes of the supervisors.

fn note(kind: &Kind, home: &Home) -> Option<u32> {
    let read = |name: &str| fs::read(home.path().join(SERVICE).join("supervise").join(name)).ok();
    match kind.name {
        "runit" => String::from_utf8(read("pid")?).ok()?.trim_end().parse().ok(),
        "s6" => u64::from_be_bytes(read("status")?.get(24..32)?.try_into().ok()?).try_into().ok(),
        _ => Some(u32::from_le_bytes(read("status")?.get(12..16)?.try_into().ok()?)),
    }
    .filter(|pid| *pid != 0)
}

fn write_note(kind: &Kind, home: &Home, pid: u32) {
    let folder = home.path().join(SERVICE).join("supervise");
    if kind.name == "runit" {
        return fs::write(folder.join("pid"), format!("{pid}\n")).unwrap();
    }
    let mut status = fs::read(folder.join("status")).unwrap();
    match kind.name {
        "s6" => status[24..32].copy_from_slice(&u64::from(pid).to_be_bytes()),
        _ => status[12..16].copy_from_slice(&pid.to_le_bytes()),
    }
    fs::write(folder.join("status"), status).unwrap();
}
