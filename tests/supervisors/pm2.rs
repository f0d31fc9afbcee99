//! pm2, which forks a process for each app.

use crate::support::supervisors::scenes::{named, stops, supervised};
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor, answering};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = supervised![
        "pm2",
        &PM2,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        what_a_dead_one_leaves_is_cleared,
        what_a_dead_one_leaves_without_the_marker_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
    ];
    cases.extend([
        case!(the_stop_command_as_printed_stops_it_from_another_home, Needs::Node, Needs::Supervisor("pm2")),
        case!(a_script_whose_title_hides_it_is_foreign_and_pm2_named, Needs::Node, Needs::Supervisor("pm2")),
    ]);
    cases
}

pub(super) const PM2: Kind = Kind {
    name: "pm2",
    shown: "God Daemon",
    start,
    entry: |_| Some("gw".to_owned()),
    stop: |supervisor| format!("PM2_HOME={}/.pm2 pm2 stop 0", supervisor.home().path().display()),
    returns: Returns::AtOnce,
};

/// With the marker a script, over which pm2 sets a title; else a command.
fn start(home: &Home) -> String {
    match home.server() {
        Server::Marked => start_script(home),
        Server::Unmarked | Server::Below | Server::Innocent => {
            format!("pm2 start {} --interpreter none --name gw", home.run())
        }
    }
}

fn start_script(home: &Home) -> String {
    let [script, arguments] = home.script();
    format!("{} pm2 start {script} --name gw -- {arguments}", home.environment())
}

fn the_stop_command_as_printed_stops_it_from_another_home() {
    let supervisor = Supervisor::start(&PM2, Server::Marked);
    stops(&supervisor, |stop| format!("export HOME=/nowhere; {stop}"));
}

/// pm2 writes `node SCRIPT` over the arguments as one word, and nothing else shows the service.
fn a_script_whose_title_hides_it_is_foreign_and_pm2_named() {
    let kind = Kind { start: start_script, ..PM2 };
    let supervisor = Supervisor::start(&kind, Server::Unmarked);
    let bystander = Bystander::start();
    let pid = answering(GATEWAY);
    let run = supervisor.portclear(&JSON);
    spared(&run, 3, pid, "foreign");
    named(&run, pid, &supervisor, &kind);
    assert_eq!(answering(GATEWAY), pid);
    bystander.answers();
}
