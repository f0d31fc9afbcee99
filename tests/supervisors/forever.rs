//! forever.

use crate::support::supervisors::scenes::supervised;
use crate::support::supervisors::{Home, Kind, Returns};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    supervised![
        "forever",
        &FOREVER,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        what_a_dead_one_leaves_is_cleared,
        what_a_dead_one_leaves_without_the_marker_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
        the_stop_command_as_printed_stops_it,
    ]
}

const FOREVER: Kind = Kind {
    name: "forever",
    shown: "forever/bin/monitor",
    start,
    entry: |_| None,
    stop: |supervisor| format!("forever stop {}", supervisor.child()),
    returns: Returns::AtOnce,
};

fn start(home: &Home) -> String {
    let [script, arguments] = home.script();
    // Without these it gives up on a server that ends within its first second.
    let options = "--minUptime 1 --spinSleepTime 1";
    format!("{} forever start {options} {script} {arguments}", home.environment())
}
