//! pm2 in cluster mode: the daemon holds the ports of its apps.

use crate::support::supervisors::{Home, Kind, Server, Supervisor, answering};
use crate::support::*;
use serde_json::json;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(the_daemon_that_holds_the_port_is_protected, Needs::Node, Needs::Supervisor("pm2")),
        case!(no_option_ends_the_daemon, Needs::Node, Needs::Supervisor("pm2")),
    ]
}

/// The daemon gets the marker, too: the first call of pm2 starts it. An innocent app is below the same daemon.
const CLUSTER: Kind = Kind {
    start: |home: &Home| {
        let [script, arguments] = home.script();
        let innocent = home.innocent();
        format!(
            "{} pm2 start {script} -i 2 --name gw -- {arguments}; pm2 start {innocent} --interpreter none --name other",
            home.environment()
        )
    },
    ..super::pm2::PM2
};

fn started() -> (Supervisor, u32) {
    let supervisor = Supervisor::start(&CLUSTER, Server::Marked);
    until("the innocent app", || ask(SECOND).is_ok());
    let innocent = answering(SECOND);
    (supervisor, innocent)
}

fn the_daemon_that_holds_the_port_is_protected() {
    let (supervisor, innocent) = started();
    let bystander = Bystander::start();
    let daemon = supervisor.pid();
    let run = supervisor.portclear(&JSON);
    let reason = spared(&run, 3, daemon, "protected");
    assert!(reason.contains("pm2"), "{reason}");
    let text = supervisor.portclear(&["18789"]);
    assert_eq!(text.status, 3, "{text}");
    assert!(text.stderr.contains("next: `pm2 list`"), "{text}");
    both_serve(&supervisor, daemon, innocent);
    bystander.answers();
}

fn no_option_ends_the_daemon() {
    let (supervisor, innocent) = started();
    let bystander = Bystander::start();
    let daemon = supervisor.pid();
    let all = ["--json", "18789", "--live", "--any-owner", "--tree", "--offspring"];
    let run = supervisor.portclear(&all);
    assert_eq!((run.status, &run.process(daemon)["signals"]), (3, &json!([])), "{run}");
    both_serve(&supervisor, daemon, innocent);
    bystander.answers();
}

#[track_caller]
fn both_serve(supervisor: &Supervisor, daemon: u32, innocent: u32) {
    assert_eq!((supervisor.pid(), answering(SECOND)), (daemon, innocent));
    answering(GATEWAY);
}
