//! A path may be too long for the kernel to tell. That costs only the answer that needs it.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::layout::copy;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(an_open_file_too_deep_to_be_told_is_nobodys_business),
        case!(an_executable_too_deep_to_be_told_costs_no_other_port_its_answer),
    ]
}

/// A program in a folder so deep that /proc cannot tell its path.
fn deep(folder: &Path, then: &str, stdin: impl Into<Stdio>) -> Child {
    let down = "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(25):\n    os.mkdir('d' * 200)\n    \
                os.chdir('d' * 200)\n";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-Ic", &format!("{down}{then}")]).arg(folder).env_clear();
    command.stdin(stdin).stdout(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn is_too_long(link: &str) {
    until("a path that cannot be told", || {
        fs::read_link(link).is_err_and(|error| error.raw_os_error() == Some(libc::ENAMETOOLONG))
    });
}

fn an_open_file_too_deep_to_be_told_is_nobodys_business() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let folder = tempfile::tempdir().unwrap();
    let mut child = deep(folder.path(), "file = open('f', 'w')\nos.dup2(file.fileno(), 9)\ninput()", Stdio::piped());
    let process = Proc::of(child.id());
    is_too_long(&format!("/proc/{}/fd/9", process.pid()));
    let run = portclear(&["18789"]);
    assert!(process.is_alive());
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    process.kill();
    child.wait().unwrap();
    bystander.answers();
}

fn an_executable_too_deep_to_be_told_costs_no_other_port_its_answer() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new("/bin/sleep"), &folder.path().join("node"));
    let listener = TcpListener::bind("127.0.0.1:1002").unwrap();
    let then = "os.link(f'{sys.argv[1]}/node', 'node')\nos.execv('./node', ['node', '1000'])";
    let mut child = deep(folder.path(), then, OwnedFd::from(listener));
    let holder = Proc::of(child.id());
    is_too_long(&format!("/proc/{}/exe", holder.pid()));
    let run = portclear(&["1002", "18789", "--json"]);
    assert!(holder.is_alive());
    assert_eq!(run.status, 4, "{run}");
    let ports = &run.json()["ports"];
    assert_eq!((&ports[0]["status"], &ports[1]["status"]), (&"unseen".into(), &"cleared".into()), "{run}");
    assert_eq!(ports[0]["holders"][0]["exe"], Value::Null, "{run}");
    gateway.has_ended();
    holder.kill();
    child.wait().unwrap();
    bystander.answers();
}
