//! `node --watch`.

use crate::support::supervisors::scenes::supervised;
use crate::support::supervisors::{Home, Kind, Returns, Server};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    supervised![
        "node",
        &WATCH,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        what_a_dead_one_leaves_is_cleared,
        what_a_dead_one_leaves_without_the_marker_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
        the_stop_command_as_printed_stops_it,
    ]
}

const WATCH: Kind = Kind {
    name: "node --watch",
    shown: "node --watch",
    start,
    entry: |_| None,
    stop: |supervisor| format!("kill {}", supervisor.pid()),
    returns: Returns::Nothing,
};

fn start(home: &Home) -> String {
    let [script, arguments] = home.script();
    let option = if home.server() == Server::Marked { "--watch" } else { "--watch-path=watched" };
    home.write("watched/file", "");
    format!("exec {} node {option} {script} {arguments}", home.environment())
}
