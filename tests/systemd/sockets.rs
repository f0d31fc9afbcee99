//! A port that systemd itself holds is left alone.

use super::claims::judge;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![c04_a_socket_unit_keeps_its_port, a05_a_listener_that_a_manager_holds_is_protected];
    cases.push(case!(c04_a_file_descriptor_store_keeps_a_listener, Needs::Systemd));
    cases
}

const INIT: &str = "PID 1 and a user's service manager are never signalled; systemd holds a port for a socket unit, or in a \
                    unit's file descriptor store";

/// The hook fails the start, and its line in the journal says why.
#[track_caller]
fn is_left_alone(unit: &Unit<'_>, why: &str) {
    let line = unit.until_line("the holder", |line| line.message.contains(" spared: "));
    assert!(line.message.ends_with(&format!(" spared: {why}")), "{line:?}");
    unit.until_line("the status", |line| line.message.contains("code=exited, status=3"));
}

fn c04_a_socket_unit_keeps_its_port(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let socket = sd.unit("gw.socket", &format!("[Socket]\nListenStream=127.0.0.1:{port}\n"));
    let hook = format!("[Service]\nExecStartPre={} {port}\nExecStart=/bin/sleep 600\n", sd.program());
    let unit = sd.unit("gw.service", &hook);
    socket.start();
    assert_ne!(unit.try_start().status, 0);
    is_left_alone(&unit, INIT);
    assert_eq!(socket.show("ActiveState"), "active");
    sd.until_listens(port);
    bystander.answers();
}

const STORES: &str = r#"
import array, os, signal, socket, sys
def tell(text, *fds):
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    to.connect(os.environ["NOTIFY_SOCKET"])
    to.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
if "LISTEN_FDS" not in os.environ:
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    tell(b"FDSTORE=1", server.fileno())
tell(b"READY=1")
signal.pause()
"#;

fn c04_a_file_descriptor_store_keeps_a_listener() {
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    let port = sd.port();
    let script = format!("/run/stores-{port}.py");
    std::fs::write(sd.path(&script), STORES).unwrap();
    let server = format!("Type=notify\nFileDescriptorStoreMax=1\nExecStart=/usr/bin/python3 {script} {port}\n");
    let hook = format!("ExecStartPre={} {port}\n", sd.program());
    let unit = sd.unit("gw.service", &format!("[Service]\n{hook}{server}"));
    // Nothing is in the way of the first start. Over a restart the manager keeps the listener.
    unit.start();
    assert_ne!(sd.systemctl(&["restart", unit.name()]).status, 0);
    is_left_alone(&unit, INIT);
    bystander.answers();
}

fn a05_a_listener_that_a_manager_holds_is_protected(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let socket = sd.unit("gw.socket", &format!("[Socket]\nListenStream=127.0.0.1:{port}\n"));
    let service = sd.unit("gw.service", "[Service]\nExecStart=/bin/sleep 1000\n");
    socket.start();
    let run = judge(sd, port, &["--any-owner", "--live"]);
    let holder = &run.json()["ports"][0]["holders"][0];
    assert_eq!((run.status, &holder["comm"], &holder["rule"]), (3, &"systemd".into(), &"protected".into()), "{run}");
    assert_eq!(socket.show("ActiveState"), "active");
    assert_eq!(service.show("ActiveState"), "inactive");
    bystander.answers();
}
