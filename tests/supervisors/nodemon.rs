//! nodemon.

use crate::support::supervisors::scenes::{stops, supervised};
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = supervised![
        "nodemon",
        &NODEMON,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        what_a_dead_one_leaves_is_cleared,
        what_a_dead_one_leaves_without_the_marker_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
        the_stop_command_as_printed_stops_it,
    ];
    cases.push(case!(the_stop_command_also_stops_what_is_below_a_shell, Needs::Node, Needs::Supervisor("nodemon")));
    cases
}

const NODEMON: Kind = Kind {
    name: "nodemon",
    shown: "bin/nodemon",
    start,
    entry: |_| None,
    // At SIGTERM it ends alone where a shell is between.
    stop: |supervisor| format!("kill -INT {}", supervisor.pid()),
    returns: Returns::Later,
};

/// With the marker a script, else a command, which gets a shell.
fn start(home: &Home) -> String {
    match home.server() {
        Server::Marked => {
            let [script, arguments] = home.script();
            format!("exec {} nodemon {script} {arguments}", home.environment())
        }
        Server::Unmarked | Server::Below | Server::Innocent => format!("exec nodemon --exec {}", home.run()),
    }
}

fn the_stop_command_also_stops_what_is_below_a_shell() {
    let supervisor = Supervisor::start(&NODEMON, Server::Unmarked);
    stops(&supervisor, str::to_owned);
}
