//! Nothing is left of a test in systemd, nor of the systemd of a test run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(a_test_ends_what_it_started, Needs::Systemd), case!(nothing_is_left_of_a_test_run, Needs::Systemd)]
}

fn a_test_ends_what_it_started() {
    for manager in [Manager::System, Manager::User] {
        let sd = Sd::new(manager);
        let bystander = sd.bystander();
        let port = sd.port();
        let gateway = sd.install(sd.gateway(port).forks_listener().on_term(OnTerm::Ignore));
        let text = format!("[Service]\n{gateway}KillMode=process\nRestart=always\nTimeoutStopSec=1ms\n");
        let unit = sd.unit("gw.service", &text);
        unit.start();
        let child = sd.process(sd.until_answers(port));
        unit.stop();
        unit.remove();
        let file = sd.unit_folder().join(bystander.unit().name());
        assert!(file.exists());
        let other = sd.process(bystander.pid());
        drop(bystander);
        drop(unit);
        drop((gateway, sd));
        child.has_ended();
        other.has_ended();
        assert!(!file.exists());
    }
}

/// When this program is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killed {
    Never,
    Booted,
    Booting,
}

fn nothing_is_left_of_a_test_run() {
    for when in [Killed::Never, Killed::Booted, Killed::Booting] {
        let folder = tempfile::Builder::new().prefix("portclear-whole-").tempdir().unwrap();
        let mut run = test_run(folder.path());
        let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
        if when == Killed::Booting {
            until("the beginning of a boot", || {
                name_of(folder.path()).is_some_and(|name| folder.path().join(name).join("box").exists())
            });
        } else {
            lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("booted systemd "))).unwrap().unwrap();
        }
        let name = name_of(folder.path()).unwrap();
        assert!(when != Killed::Booted || !traces(&name).is_empty());
        if when != Killed::Never {
            run.kill().unwrap();
        }
        let status = run.wait().unwrap();
        assert_eq!(status.signal().is_some(), when != Killed::Never, "{when:?}: {status}");
        if when != Killed::Never {
            until("the end of the keeper", || name_of(folder.path()).is_none());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{when:?}");
        // The keeper goes last, and removes the folder before it goes.
        until("no trace", || traces(&name).is_empty());
    }
}

/// Another run of this program, with one test in it.
fn test_run(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "harness::systemd::a_gateway_drains_system"]).env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn name_of(folder: &Path) -> Option<String> {
    let mut names = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
    names.find_map(|name| name.to_str().filter(|name| name.starts_with("portclear-systemd-")).map(str::to_owned))
}

/// Processes that belong to it or know its name, its mounts, and its cgroup.
fn traces(name: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for process in procfs::process::all_processes().unwrap().flatten() {
        for file in ["cmdline", "cgroup", "mountinfo"] {
            let text = fs::read(format!("/proc/{}/{file}", process.pid)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(name) {
                traces.push(format!("{}/{file}", process.pid));
            }
        }
    }
    let look = r#"mount -t cgroup2 none /mnt && find /mnt -name "$0""#;
    let find = Command::new("unshare").args(["--mount", "sh", "-c", look, name]).output().unwrap();
    assert!(find.status.success(), "{find:?}");
    traces.extend(String::from_utf8_lossy(&find.stdout).lines().map(str::to_owned));
    traces
}
