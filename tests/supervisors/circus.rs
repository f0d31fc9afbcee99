//! circus.

use crate::support::supervisors::scenes::{stops, supervised};
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = supervised![
        "circusd",
        &CIRCUS,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        as_pid_1_it_is_named_too,
        what_a_dead_one_leaves_is_cleared,
        an_orphan_that_it_inherited_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
    ];
    cases.push(case!(the_stop_command_stops_it_with_the_name, Needs::Node, Needs::Supervisor("circusd")));
    cases
}

/// Nothing in the server tells the name that circus has for it.
pub(super) const CIRCUS: Kind = Kind {
    name: "circus",
    shown: "bin/circusd",
    start,
    entry: |_| None,
    stop: |_| "circusctl stop NAME".to_owned(),
    // It looks every five seconds.
    returns: Returns::Later,
};

fn start(home: &Home) -> String {
    started_with(home, "")
}

/// With one more line for the server.
pub(super) fn started_with(home: &Home, line: &str) -> String {
    let text = format!("[circus]\n[watcher:gw]\ncmd = {}\ncopy_env = True\n{line}\n", home.run());
    home.write("circus.ini", &text);
    "exec circusd circus.ini".to_owned()
}

fn the_stop_command_stops_it_with_the_name() {
    let supervisor = Supervisor::start(&CIRCUS, Server::Marked);
    stops(&supervisor, |stop| stop.replace("NAME", "gw"));
}
