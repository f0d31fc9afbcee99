//! The small inits of containers. They start nothing again, but a container ends with its main process.

use serde_json::json;

use crate::support::layout::copy;
use crate::support::supervisors::scenes::inherited_is_cleared;
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor, answering, installed};
use crate::support::wait::for_a_second;
use crate::support::*;

/// Each scene in a container of each init. The word is the program that it needs.
macro_rules! each {
    ($($init:ident $program:literal),* $(,)?) => {
        [$(
            each![$init $program: the_main_process_is_live],
            each![$init $program: a_gateway_below_the_main_process_is_live],
            each![$init $program: an_orphan_is_cleared],
            each![$init $program: from_outside_it_runs_in_a_container],
        )*]
    };
    ($init:ident $program:literal: $scene:ident) => {
        Case {
            path: concat!(module_path!(), "::", stringify!($scene), "_in_", stringify!($init)),
            needs: &[Needs::Node, Needs::Supervisor($program)],
            run: || $scene(&$init()),
        }
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let all = each![
        tini "tini",
        tini_with_its_group "tini",
        docker_init "tini",
        dumb_init "dumb-init",
        dumb_init_alone "dumb-init",
        catatonit "catatonit",
        podman_init "catatonit",
    ];
    all.into_iter().collect()
}

fn tini() -> Kind {
    init("tini --", |home| format!("exec tini -- {}", home.run()))
}

fn tini_with_its_group() -> Kind {
    init("tini -g", |home| format!("exec tini -g -- {}", home.run()))
}

/// `docker run --init`: tini under this name.
fn docker_init() -> Kind {
    init("docker-init --", |home| format!("exec {} -- {}", under_another_name(home, "tini", "docker-init"), home.run()))
}

fn dumb_init() -> Kind {
    init("dumb-init --", |home| format!("exec dumb-init -- {}", home.run()))
}

/// Its main process has neither a session nor a group of its own.
fn dumb_init_alone() -> Kind {
    init("dumb-init -c", |home| format!("exec dumb-init -c {}", home.run()))
}

fn catatonit() -> Kind {
    init("catatonit --", |home| format!("exec catatonit -- {}", home.run()))
}

/// `podman run --init`: catatonit under this name.
fn podman_init() -> Kind {
    let start =
        |home: &Home| format!("exec {} -- {}", under_another_name(home, "catatonit", "podman-init"), home.run());
    init("podman-init --", start)
}

fn under_another_name(home: &Home, program: &str, name: &str) -> String {
    let program = installed(program).expect("an init");
    copy(&program, &home.path().join(name)).display().to_string()
}

fn init(shown: &'static str, start: fn(&Home) -> String) -> Kind {
    Kind {
        name: "container-init",
        shown,
        start,
        entry: |_| None,
        stop: |_| unreachable!("from inside nothing stops it properly"),
        returns: Returns::Later,
    }
}

fn the_main_process_is_live(kind: &Kind) {
    for server in [Server::Marked, Server::Unmarked] {
        let container = Supervisor::as_init(kind, server);
        let bystander = Bystander::start();
        let pid = answering(GATEWAY);
        is_live(&container, pid, pid);
        bystander.answers();
        drop(container);
        until("a free port", || can_bind(GATEWAY));
    }
}

fn a_gateway_below_the_main_process_is_live(kind: &Kind) {
    let container = Supervisor::as_init(kind, Server::Below);
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let gateway = Proc::of(container.outer(pid));
    is_live(&container, pid, container.inner(gateway.parent()));
    bystander.answers();
}

#[track_caller]
fn is_live(container: &Supervisor, pid: u32, main: u32) {
    let run = container.portclear(&JSON);
    let reason = spared(&run, 3, pid, "live");
    let says = format!(
        "process {main} is the main process of this container, and the container ends with it; its script lies in \
         package openclaw"
    );
    assert!(reason.starts_with(&says), "{reason}");
    let supervisor = json!({ "kind": "container-init", "pid": 1, "entry": null, "stop_command": null });
    assert_eq!(run.process(pid)["supervisor"], supervisor, "{run}");
    for_a_second("the same process serves", || answering(GATEWAY) == pid);
}

/// Started by hand in the container, and left behind there. The init became its parent after that of the main process.
fn an_orphan_is_cleared(kind: &Kind) {
    for through in ["", "setsid"] {
        inherited_is_cleared(kind, through);
        until("a free port", || can_bind(GATEWAY) && can_bind(SECOND));
    }
}

fn from_outside_it_runs_in_a_container(kind: &Kind) {
    let container = Supervisor::as_init(kind, Server::Marked);
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let run = portclear(&JSON);
    let reason = spared(&run, 3, container.outer(pid), "live");
    assert!(reason.contains("container") && reason.contains("the container's runtime looks after it"), "{reason}");
    assert_eq!(run.process(container.outer(pid))["supervisor"]["kind"], "container", "{run}");
    assert_eq!(answering(GATEWAY), pid);
    bystander.answers();
}
