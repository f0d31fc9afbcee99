//! OpenRC's supervise-daemon, as rc-service starts it.

use crate::support::supervisors::{Home, Kind, Returns, folder, scenes};
use crate::support::*;

/// Its scripts name one another by fixed paths, so it lies over the system's own folders. Only root may do that.
macro_rules! cases {
    ($($scene:ident),* $(,)?) => {
        vec![$(
            Case {
                path: concat!(module_path!(), "::", stringify!($scene)),
                needs: &[Needs::Root, Needs::Node, Needs::Supervisor("supervise-daemon")],
                run: || scenes::$scene(&OPENRC),
            },
        )*]
    };
}

pub(crate) fn cases() -> Vec<Case> {
    cases![
        a_gateway_with_the_marker_is_spared_and_its_supervisor_named,
        a_gateway_without_the_marker_is_spared_and_its_supervisor_named,
        what_a_dead_one_leaves_is_cleared,
        what_a_dead_one_leaves_without_the_marker_is_cleared,
        an_innocent_server_of_a_supervised_script_is_spared,
        live_ends_it_all_the_same,
        the_stop_command_as_printed_stops_it,
    ]
}

pub(super) const OPENRC: Kind = Kind {
    name: "openrc",
    shown: "supervise-daemon gw",
    start: |home| started_with(home, ""),
    entry: |_| Some("gw".to_owned()),
    stop: |_| "rc-service gw stop".to_owned(),
    returns: Returns::AtOnce,
};

/// Starts the service with another line in it.
pub(super) fn started_with(home: &Home, more: &str) -> String {
    let run = home.run();
    let service = format!(
        "#!/sbin/openrc-run
supervisor=supervise-daemon
command={run}
pidfile=/run/gw.pid
{more}
depend() {{ :; }}
"
    );
    home.write("etc/init.d/gw", &service);
    let (home, debian) = (home.path().display(), folder().expect("a folder").join("debian"));
    let debian = debian.display();
    // What OpenRC makes when it boots a machine.
    let folders =
        "starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp";
    format!(
        "set -e
for part in lib sbin; do mount -t overlay -o lowerdir={debian}/$part:/usr/$part overlay /usr/$part; done
mount -t overlay -o lowerdir={home}/etc:/etc overlay /etc
mount --bind {home}/etc/init.d /etc/init.d
mount -t tmpfs tmpfs /run
for part in {folders}; do mkdir -p /run/openrc/$part; done
echo default >/run/openrc/softlevel
exec rc-service gw start"
    )
}
