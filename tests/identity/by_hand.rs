//! A gateway that somebody started by hand carries no marker, and is found all the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::services::{is_foreign, is_found};
use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b06_started_by_hand_the_package_is_enough),
        case!(b06_a_link_or_a_relative_path_leads_to_the_package),
        case!(b06_without_the_subcommand_it_says_what_would_do),
        case!(b06_without_systemd_nobody_looks_after_it),
    ]
}

fn b06_started_by_hand_the_package_is_enough() {
    let by_hand = || Fixture::gateway().marked(false);
    let because = "its script lies in package openclaw";
    is_found(by_hand(), &[], because);
    is_found(by_hand().args(&["--profile", "agent", "--dev", "gateway"]), &[], because);
}

fn b06_a_link_or_a_relative_path_leads_to_the_package() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    for (script, pwd) in [("openclaw", folder.as_path()), ("./openclaw", "/".as_ref())] {
        let gateway = Fixture::gateway().marked(false).cwd(&folder).start();
        let link = folder.join("openclaw");
        symlink(gateway.script(), &link).unwrap();
        let exec = |script: &str, pwd: &Path| {
            gateway.exec(&[gateway.exe().to_str().unwrap(), script, "gateway"], &[("PWD", pwd.to_str().unwrap())]);
        };
        exec(script, pwd);
        if pwd != folder {
            // It has left the folder that it was started in, so its relative path may have named another file.
            left_alone(&portclear(&JSON), &[(gateway.process(), "foreign")]);
            gateway.answers();
            exec(link.to_str().unwrap(), pwd);
        }
        let run = portclear(&JSON);
        instances_ended(&run, &[gateway.process()]);
        assert!(reason(&run, gateway.process()).ends_with("its script lies in package openclaw"), "{run}");
        fs::remove_file(link).unwrap();
    }
    bystander.answers();
}

fn b06_without_the_subcommand_it_says_what_would_do() {
    let bystander = Bystander::start();
    let agent = || Fixture::gateway().marked(false).args(&["--profile", "gateway", "agent"]);
    is_foreign(agent(), &[]);
    let other = agent().start();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 3, "{run}");
    let (pid, said) = (other.pid(), "held, and left alone: nothing was signalled");
    let said = format!(
        "{said}; next: `{PROGRAM} -n --package openclaw 18789` (shows whether it is your service); or `kill {pid}` \
         (ends it, if you no longer need it)\n"
    );
    assert!(run.stderr.ends_with(&said), "{run}");
    other.answers();
    // An option that a terminal names would end it, too.
    let run = portclear(&["--any-owner", "--dry-run", "--json", "18789"]);
    let port = &run.json()["ports"][0];
    assert_eq!((run.status, &port["status"]), (0, &"would-clear".into()), "{run}");
    assert_eq!(holder(&run, other.process())["rule"], "any-owner", "{run}");
    other.answers();
    drop(other);
    bystander.answers();
    drop(bystander);
    is_found(agent(), &["--package", "openclaw"], "its script lies in package openclaw");
}

/// A process has no line of the unified hierarchy until somebody mounts that for the first time.
fn b06_without_systemd_nobody_looks_after_it() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    for (lines, status) in [("2:cpu,cpuacct:/\n1:name=openrc:/sshd\n", 0), ("", 0), ("2\n", 4)] {
        let gateway = Fixture::gateway().inside(&namespace).start();
        let file = gateway.root().join("cgroup");
        fs::write(&file, lines).unwrap();
        namespace.sh(&format!("mount --bind {} /proc/{}/cgroup", file.display(), gateway.inner_pid()));
        let run = Portclear::new(&JSON).inside(&namespace).run();
        assert_eq!(run.status, status, "{lines:?}: {run}");
        if status == 0 {
            said(&run, gateway.inner_pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
            assert_eq!(run.process(gateway.inner_pid())["liveness"], "unsupervised", "{run}");
            gateway.has_ended();
        } else {
            said(&run, gateway.inner_pid(), ["holder", "unknown", "untouched"], &[]);
            lives(&run, &gateway);
            gateway.answers();
        }
    }
    bystander.answers();
}
