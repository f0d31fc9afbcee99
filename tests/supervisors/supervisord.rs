//! supervisord.

use crate::support::supervisors::scenes::{alive, live_ends_it_all_the_same, stops, supervised};
use crate::support::supervisors::{Home, Kind, Returns, Server, Supervisor};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = supervised![
        "supervisord",
        &SUPERVISORD,
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        as_pid_1_it_is_named_too,
        what_a_dead_one_leaves_is_cleared,
        what_a_dead_one_leaves_without_the_marker_is_cleared,
        an_orphan_that_it_inherited_is_cleared,
        an_orphan_with_a_session_of_its_own_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
        the_stop_command_as_printed_stops_it,
    ];
    let relative =
        case!(a_relative_configuration_gives_way_to_the_socket, Needs::Node, Needs::Supervisor("supervisord"));
    let again = case!(what_it_starts_again_a_second_later_is_seen, Needs::Node, Needs::Supervisor("supervisord"));
    cases.extend([relative, again]);
    cases
}

pub(super) const SUPERVISORD: Kind = Kind {
    name: "supervisord",
    shown: "bin/supervisord",
    start,
    entry: |_| Some("all:gw".to_owned()),
    stop: |supervisor| format!("supervisorctl -c {} stop all:gw", config(supervisor.home())),
    // With its defaults, the end of a server with status 0 is the end.
    returns: Returns::Later,
};

fn start(home: &Home) -> String {
    // A server that ends within startsecs has failed to start, and is started again whatever its status.
    started_with(home, "startsecs=0", &config(home))
}

/// With one more line for the server, and this path of its configuration.
pub(super) fn started_with(home: &Home, line: &str, config: &str) -> String {
    let (folder, run) = (home.path().display(), home.run());
    let text = format!(
        "[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
[unix_http_server]
file={folder}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/socket
[program:gw]
command={run}
{line}
[group:all]
programs=gw
"
    );
    home.write("supervisord.ini", &text);
    format!("exec supervisord -n -c {config}")
}

pub(super) fn config(home: &Home) -> String {
    home.path().join("supervisord.ini").display().to_string()
}

fn what_it_starts_again_a_second_later_is_seen() {
    let start = |home: &Home| started_with(home, "startsecs=0\nautorestart=true", &config(home));
    live_ends_it_all_the_same(&Kind { start, returns: Returns::AtOnce, ..SUPERVISORD });
}

fn a_relative_configuration_gives_way_to_the_socket() {
    let kind = Kind {
        start: |home: &Home| started_with(home, "", "supervisord.ini"),
        stop: |supervisor| format!("supervisorctl -s unix://{}/socket stop all:gw", supervisor.home().path().display()),
        ..SUPERVISORD
    };
    let supervisor = Supervisor::start(&kind, Server::Unmarked);
    alive(&supervisor, &kind);
    stops(&supervisor, str::to_owned);
}
