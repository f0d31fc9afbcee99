//! pm2-runtime, which is made for containers: it may be PID 1.

use crate::support::supervisors::scenes::supervised;
use crate::support::supervisors::{Home, Kind, Server};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    supervised![
        "pm2-runtime",
        &RUNTIME,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        as_pid_1_it_is_named_too,
        an_orphan_that_it_inherited_is_cleared,
        what_a_dead_one_leaves_is_cleared,
        the_stop_command_as_printed_stops_it,
    ]
}

const RUNTIME: Kind = Kind { shown: "pm2-runtime", start, ..super::pm2::PM2 };

fn start(home: &Home) -> String {
    match home.server() {
        Server::Marked => {
            let [script, arguments] = home.script();
            format!("exec {} pm2-runtime start {script} --name gw -- {arguments}", home.environment())
        }
        Server::Unmarked | Server::Below | Server::Innocent => {
            format!("exec pm2-runtime start {} --interpreter none --name gw", home.run())
        }
    }
}
