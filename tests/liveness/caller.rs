//! The caller is protected. So are its ancestors, and the instance that it is part of.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::layout::copy;
use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c01_a_sidecar_spares_the_gateway_above_it),
        case!(c01_a_sidecar_spares_the_worker_of_the_gateway_above_it),
        case!(c01_what_an_ancestor_started_is_not_protected),
        case!(c02_an_ancestry_that_cannot_be_read_protects_everything, Needs::Root),
        case!(a11_the_cleaners_and_its_shells_command_lines_match_nothing),
        case!(a11_the_cleaner_and_its_shell_are_spared_as_holders_of_the_port),
    ]
}

fn c01_a_sidecar_spares_the_gateway_above_it() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // The program is not the shell's last command, or the shell would become the program instead of staying above it.
    let shell = ["/bin/sh", "-c", r#""$0" "$@"; exit $?"#];
    let program = [PROGRAM, JSON[0], JSON[1]];
    let lines = [
        program.to_vec(),
        [&shell[..], &program].concat(),
        [&shell[..], &shell, &program].concat(),
        [&shell[..], &program, &["--any-owner"]].concat(),
    ];
    for line in lines {
        let run = gateway.run(&line, &[], false);
        assert_eq!(
            spared(&run, 3, gateway.pid(), "protected"),
            "this call runs inside it: it is an ancestor of the caller"
        );
        untouched(&gateway);
    }
    bystander.answers();
}

fn c01_a_sidecar_spares_the_worker_of_the_gateway_above_it() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let worker = gateway.fork();
    gateway.close_sockets();
    let run = gateway.portclear(&JSON, &[]);
    let because = |pid| format!("it is part of the instance (pid {pid}) that this call runs inside");
    assert_eq!(spared(&run, 3, worker.pid(), "protected"), because(gateway.pid()));
    assert_eq!(ask(GATEWAY).unwrap(), format!("{} gateway", worker.pid()));
    assert_eq!(gateway.signals_of(worker.pid()), [""; 0]);
    assert!(worker.is_alive() && gateway.is_alive());
    drop(gateway);
    worker.has_ended();

    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let run = launcher.portclear(&JSON, &[]);
    assert_eq!(spared(&run, 3, worker.pid(), "protected"), because(launcher.pid()));
    untouched(&worker);
    bystander.answers();
}

fn c01_what_an_ancestor_started_is_not_protected() {
    let bystander = Bystander::start();
    // It plays a login shell: it is above both, and is no instance.
    let session = Fixture::silent().marked(false).package("session").start();
    let gateway = Fixture::gateway().start_below(&session);
    let run = session.portclear(&JSON, &[]);
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(session.is_alive());
    assert_eq!(session.signals(), [""; 0]);
    bystander.answers();
}

fn c02_an_ancestry_that_cannot_be_read_protects_everything() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).uid(NOBODY).start();
    // It belongs to root, so hidepid hides it from the caller below it.
    let parent = Fixture::silent().marked(false).package("session").inside(&namespace).start();
    // The user nobody may have no access to the folder where the program was built.
    let program = copy(Path::new(PROGRAM), &parent.root().join("portclear"));
    let user = NOBODY.to_string();
    let clear = || {
        let become_nobody = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--"];
        parent.run(&[&become_nobody[..], &[program.to_str().unwrap()], &JSON].concat(), &[], false)
    };
    namespace.hide_pids();
    let run = clear();
    let why = "the caller's own ancestors cannot all be read (is /proc mounted with hidepid?), so this may be one of \
               them";
    assert_eq!(spared(&run, 4, gateway.inner_pid(), "unknown"), why);
    assert!(run.json()["ports"][0]["sentence"].as_str().unwrap().contains(why), "{run}");
    untouched(&gateway);
    namespace.sh("mount -o remount,hidepid=0 /proc");
    cleared(&clear(), gateway.inner_pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    assert!(parent.is_alive());
    bystander.answers();
}

const GATEWAY_COMMAND: [&str; 5] =
    ["/usr/bin/node", "/usr/lib/node_modules/openclaw/dist/index.js", "gateway", "--port", "18789"];

fn a11_the_cleaners_and_its_shells_command_lines_match_nothing() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // As in ExecStartPre=, the shell itself carries the service's markers.
    let starter = Fixture::silent().start();
    let own = format!("CLEANS={}", GATEWAY_COMMAND.join(" "));
    let script = r#"p=$0; "$p" --package openclaw --runtime node --marker "$C" 18789; exit $?"#;
    let shell = [&["/bin/sh", "-c", script, PROGRAM], &GATEWAY_COMMAND[..]].concat();
    let run = starter.run(&shell, &[("C", &own)], false);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.has_ended();
    assert!(starter.is_alive());
    assert_eq!(starter.signals(), [""; 0]);
    bystander.answers();
}

fn a11_the_cleaner_and_its_shell_are_spared_as_holders_of_the_port() {
    let gateway = Fixture::gateway().start();
    let [out, status] = ["out", "status"].map(|name| gateway.root().join(name));
    let script =
        format!("{PROGRAM} 18789 --json --any-owner >{}; echo $? >{}; read -r end", out.display(), status.display());
    // The gateway becomes the shell, which passes the listening socket on to portclear.
    let shell = [&["/bin/sh", "-c", &script], &GATEWAY_COMMAND[..]].concat();
    gateway.exec(&shell, &MARKERS);
    let read = || fs::read_to_string(&status).unwrap_or_default();
    until("portclear has ended", || read().ends_with('\n'));
    assert_eq!(read(), "3\n");
    let answer: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let holders = answer["ports"][0]["holders"].as_array().unwrap();
    assert_eq!(holders.len(), 2, "{answer}");
    let shell = holders.iter().find(|holder| holder["pid"] == gateway.pid()).unwrap();
    let itself = holders.iter().find(|holder| holder["ppid"] == gateway.pid()).unwrap();
    for (holder, reason) in
        [(shell, "this call runs inside it: it is an ancestor of the caller"), (itself, "it is the caller itself")]
    {
        assert_eq!((&holder["rule"], &holder["reason"]), (&json!("protected"), &json!(reason)));
        assert_eq!((&holder["signals"], &holder["outcome"]), (&json!([]), &json!("untouched")));
    }
    assert!(gateway.is_alive());
}
