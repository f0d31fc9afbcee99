//! What must hold under each supervisor. [`supervised!`] makes cases of them.

use serde_json::json;

use super::super::claims::{cleared, sentence, spared};
use super::super::net::{GATEWAY, SECOND, ask};
use super::super::wait::{for_a_second, until};
use super::super::{Bystander, Proc, Run};
use super::{Kind, Returns, Server, Supervisor, answering};

/// `supervised!["pm2", &PM2, scene, …]`: a case for each scene. The first word is the program that it needs.
macro_rules! supervised {
    ($program:literal, $kind:expr, $($scene:ident),* $(,)?) => {
        vec![$(
            $crate::support::Case {
                path: concat!(module_path!(), "::", stringify!($scene)),
                needs: &[$crate::support::Needs::Node, $crate::support::Needs::Supervisor($program)],
                run: || $crate::support::supervisors::scenes::$scene($kind),
            },
        )*]
    };
}
pub(crate) use supervised;

pub(crate) fn a_gateway_with_the_marker_is_spared_and_its_supervisor_named(kind: &Kind) {
    alive(&Supervisor::start(kind, Server::Marked), kind);
}

pub(crate) fn a_gateway_without_the_marker_is_spared_and_its_supervisor_named(kind: &Kind) {
    alive(&Supervisor::start(kind, Server::Unmarked), kind);
}

pub(crate) fn as_pid_1_it_is_named_too(kind: &Kind) {
    alive(&Supervisor::as_init(kind, Server::Unmarked), kind);
}

/// It is spared, the supervisor is named, and the same process serves on.
#[track_caller]
pub(crate) fn alive(supervisor: &Supervisor, kind: &Kind) {
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let run = supervisor.portclear(&["--json", "18789"]);
    let reason = spared(&run, 3, pid, "live");
    assert_eq!(run.process(pid)["liveness"], "live", "{run}");
    named(&run, pid, supervisor, kind);
    let words = [Some(kind.name.to_owned()), Some(supervisor.pid().to_string()), (kind.entry)(supervisor)];
    for word in words.into_iter().flatten() {
        assert!(reason.contains(&word), "no {word:?}: {reason}");
    }
    let (text, stop) = (supervisor.portclear(&["18789"]), (kind.stop)(supervisor));
    assert!(text.stderr.contains(&format!("{stop}` (stops it for good); or `")), "no {stop:?}: {text}");
    for_a_second("the same process serves", || answering(GATEWAY) == pid);
    bystander.answers();
}

/// The document names the supervisor of this process.
#[track_caller]
pub(crate) fn named(run: &Run, pid: u32, supervisor: &Supervisor, kind: &Kind) {
    let expected = json!({
        "kind": kind.name.replace(" --", "-"),
        "pid": supervisor.pid(),
        "entry": (kind.entry)(supervisor),
        "stop_command": (kind.stop)(supervisor),
    });
    assert_eq!(run.process(pid)["supervisor"], expected, "{run}");
}

pub(crate) fn what_a_dead_one_leaves_is_cleared(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    orphaned_is_cleared(&supervisor);
}

pub(crate) fn what_a_dead_one_leaves_without_the_marker_is_cleared(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Unmarked);
    orphaned_is_cleared(&supervisor);
}

fn orphaned_is_cleared(supervisor: &Supervisor) {
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    supervisor.kill();
    let run = supervisor.portclear(&["--json", "18789"]);
    cleared(&run, pid, "stale-instance", &["SIGTERM"]);
    assert_eq!(run.process(pid)["supervisor"], json!(null), "{run}");
    bystander.answers();
}

pub(crate) fn live_ends_it_all_the_same(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    let bystander = Bystander::start();
    let (pid, above) = (answering(GATEWAY), supervisor.pid());
    let process = Proc::of(supervisor.outer(pid));
    // A busy machine may need longer than the watch lasts by default.
    let settle = if kind.returns == Returns::AtOnce { "10s" } else { "1s" };
    let run = supervisor.portclear(&["--json", "18789", "--live", "--settle", settle]);
    assert_eq!(run.process(pid)["rule"], "end-live", "{run}");
    process.has_ended();
    let port = &run.json()["ports"][0];
    if kind.returns == Returns::Nothing {
        assert_eq!((run.status, &port["status"], &port["starter"]), (0, &json!("cleared"), &json!(null)), "{run}");
        assert!(!sentence(&run).contains("still there"), "{run}");
        assert!(run.processes().iter().any(|process| process["pid"] == above), "{run}");
        bystander.answers();
        return;
    }
    match kind.returns {
        // Where it is very quick, it comes before the watch.
        Returns::AtOnce => {
            assert_eq!((run.status, &port["status"]), (6, &json!("respawned")), "{run}");
            until("started again", || ask(GATEWAY).is_ok());
            assert_ne!(answering(GATEWAY), pid, "{run}");
        }
        Returns::Later | Returns::Nothing => {
            assert_eq!((run.status, &port["status"]), (0, &json!("cleared")), "{run}");
            assert!(sentence(&run).contains("may start it again"), "{run}");
            assert!(port["watched_ms"].as_u64().is_some_and(|ms| ms > 0), "{run}");
        }
    }
    assert_eq!(port["starter"]["pid"], above, "{run}");
    bystander.answers();
}

pub(crate) fn the_stop_command_as_printed_stops_it(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Marked);
    stops(&supervisor, str::to_owned);
}

/// The stop command is run as the document prints it, but for a word that the document cannot know.
#[track_caller]
pub(crate) fn stops(supervisor: &Supervisor, change: impl Fn(&str) -> String) {
    let bystander = Bystander::start();
    let run = supervisor.portclear(&["--json", "18789", "-n"]);
    let process = run.process(answering(GATEWAY));
    let stop = process["supervisor"]["stop_command"].as_str().unwrap_or_else(|| panic!("no command: {run}"));
    supervisor.shell(&change(stop));
    until("the port is free", || ask(GATEWAY).is_err());
    for_a_second("the port stays free", || ask(GATEWAY).is_err());
    bystander.answers();
}

pub(crate) fn an_innocent_server_of_a_supervised_script_is_spared(kind: &Kind) {
    let supervisor = Supervisor::start(kind, Server::Innocent);
    let bystander = Bystander::start();
    let pid = answering(SECOND);
    let run = supervisor.portclear(&["--json", "18791"]);
    spared(&run, 3, pid, "foreign");
    named(&run, pid, &supervisor, kind);
    let text = supervisor.portclear(&["18791"]);
    let stop = (kind.stop)(&supervisor);
    assert_eq!(text.status, 3, "{text}");
    assert!(text.stderr.contains(&stop) && !text.stderr.contains("--any-owner"), "no {stop:?}: {text}");
    for_a_second("the same process serves", || answering(SECOND) == pid);
    bystander.answers();
}

/// An orphan is cleared that has its variables. `through`: as in [`Supervisor::orphan`].
#[track_caller]
pub(crate) fn inherited_is_cleared(kind: &Kind, through: &str) {
    let supervisor = Supervisor::as_init(kind, Server::Marked);
    let bystander = Bystander::start();
    let supervised = answering(GATEWAY);
    let orphan = supervisor.orphan(through);
    let process = Proc::of(supervisor.outer(orphan));
    let run = supervisor.portclear(&["--json", "18791"]);
    assert_eq!((run.status, &run.process(orphan)["rule"]), (0, &json!("stale-instance")), "{run}");
    process.has_ended();
    assert_eq!(answering(GATEWAY), supervised);
    bystander.answers();
}

pub(crate) fn an_orphan_that_it_inherited_is_cleared(kind: &Kind) {
    inherited_is_cleared(kind, "");
}

pub(crate) fn an_orphan_with_a_session_of_its_own_is_cleared(kind: &Kind) {
    inherited_is_cleared(kind, "setsid");
}
