//! This very program as a server that embeds the library. It runs from a copy: the test run itself is an ancestor of
//! every server, and would be an instance of the same executable.

use std::io::{BufRead, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::SignalFd;
use portclear::{BindError, Policy, Service};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::same_answers::left_behind;
use crate::support::*;

/// What the server is to do, as a document.
const SERVER: &str = "PORTCLEAR_TESTS_BIND";

/// A copy of this program, in a folder of its own.
pub(crate) struct Program {
    folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Program {
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("portclear-").tempdir().unwrap();
        let path = folder.path().join(name);
        support_copy(&path);
        Self { folder, path }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts another file at the same path, as an upgrade does.
    pub(crate) fn replace(&self) {
        let new = self.folder().join("new");
        support_copy(&new);
        std::fs::rename(new, &self.path).unwrap();
    }

    /// Starts it with its task.
    #[track_caller]
    pub(crate) fn start(&self, task: &Value) -> Server {
        start(&self.path, task)
    }

    /// Starts it on an address, and waits until it serves and a clock tick has passed.
    #[track_caller]
    pub(crate) fn serve(&self, address: &str) -> Server {
        let mut server = self.start(&serve(address));
        let said = said(&mut server);
        assert_eq!(said["serves"], server.pid(), "{said}");
        let start = server.start_ticks();
        tick_after(start);
        server
    }
}

fn support_copy(to: &Path) {
    crate::support::layout::copy(&std::env::current_exe().unwrap(), to);
}

#[track_caller]
pub(crate) fn start(path: &Path, task: &Value) -> Server {
    Server::start(&[path.to_str().unwrap()], &[(SERVER, &task.to_string())])
}

/// Starts it for one tenant. Each tenant has a server of its own, of the same program.
#[track_caller]
pub(crate) fn start_for(program: &Program, tenant: &str, address: &str) -> Server {
    let task = json!({ "bind": address, "instance_key": "MY_APP_TENANT" }).to_string();
    Server::start(&[program.path.to_str().unwrap()], &[(SERVER, &task), ("MY_APP_TENANT", tenant)])
}

/// The task to bind an address and serve there.
pub(crate) fn serve(address: &str) -> Value {
    json!({ "bind": address })
}

/// The next line of a server.
#[track_caller]
pub(crate) fn said(server: &mut Server) -> Value {
    let line = server.line().unwrap_or_else(|| panic!("nothing but: {}", server.ended().1));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Runs the server, if this program was started as one. `None`: this is the test run. Nothing may come before it.
pub(crate) fn server() -> Option<ExitCode> {
    let task: Value = serde_json::from_str(&std::env::var(SERVER).ok()?).unwrap();
    // No thread exists yet. From here on the signal is read, together with its sender.
    let mut asked = SigSet::empty();
    asked.add(Signal::SIGTERM);
    asked.thread_block().unwrap();
    let signals = SignalFd::new(&asked).unwrap();
    if task["gated"] == true {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).unwrap();
    }
    if let Some(address) = task["std"].as_str() {
        drop(TcpListener::bind(address).unwrap());
        return Some(ExitCode::SUCCESS);
    }
    if task["traced"] == true {
        let policy = Policy::new(Service::new("x"));
        drop(portclear::bind(task["bind"].as_str().unwrap(), &policy).unwrap());
        return Some(ExitCode::SUCCESS);
    }
    let service = match Service::of_current_exe() {
        Ok(service) => service,
        Err(error) => {
            say(&json!({ "unsupported": error.kind() == std::io::ErrorKind::Unsupported, "why": error.to_string() }));
            return Some(ExitCode::FAILURE);
        }
    };
    let service = match task["instance_key"].as_str() {
        Some(key) => service.instance_key(key),
        None => service,
    };
    let grace = Duration::from_millis(task["grace_ms"].as_u64().unwrap_or(5_000));
    let policy = if task["no_kill"] == true {
        Policy::new(service).grace(grace).no_kill()
    } else {
        Policy::new(service).grace(grace)
    };
    let before = left_behind();
    let mut times = 0;
    let result = loop {
        let addresses: Vec<&str> = match &task["bind"] {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let [address] = addresses[..] else {
            let all: Vec<std::net::SocketAddr> = addresses.iter().map(|one| one.parse().unwrap()).collect();
            break portclear::bind(&all[..], &policy);
        };
        let result = portclear::bind(address, &policy);
        times += 1;
        if times >= task["times"].as_u64().unwrap_or(1) {
            break result;
        }
    };
    let after = left_behind();
    match result {
        Ok(listener) => {
            let local = listener.local_addr().unwrap().to_string();
            say(&json!({ "serves": std::process::id(), "local": local, "before": before, "after": after }));
            answer(&listener, &signals, task["ignores"] == true);
            Some(ExitCode::SUCCESS)
        }
        Err(error) => {
            let mut told = told(&error);
            told["before"] = before;
            told["after"] = after;
            say(&told);
            Some(ExitCode::FAILURE)
        }
    }
}

fn say(line: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

fn told(error: &BindError) -> Value {
    let holders = error.report().map(|report| {
        let pids = report.holders.iter().map(|holder| {
            json!([holder.process.id().pid, holder.ending.signals.len(), format!("{:?}", holder.judgement.verdict),])
        });
        pids.collect::<Vec<_>>()
    });
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let io = std::io::Error::from(error.clone());
    json!({
        "refused": error.to_string(),
        "kind": format!("{:?}", error.kind()),
        "cause": cause,
        "io": [format!("{:?}", io.kind()), io.to_string()],
        "holders": holders,
        "status": error.report().map(|report| format!("{:?}", report.status)),
    })
}

/// Introduces itself to each client. At SIGTERM it says who sent that and ends, unless it ignores the signal.
fn answer(listener: &TcpListener, signals: &SignalFd, ignores: bool) {
    let stdin = std::io::stdin();
    loop {
        let fds = [listener.as_fd(), signals.as_fd(), stdin.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut fds, PollTimeout::NONE).unwrap();
        let [connection, signal, input] = fds.map(|fd| fd.any().unwrap());
        if signal && ignores {
            signals.read_signal().unwrap();
        } else if signal {
            let info = signals.read_signal().unwrap().unwrap();
            say(&json!({ "asked_by": info.ssi_pid }));
            return;
        }
        if input {
            return;
        }
        if connection {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = writeln!(stream, "{} bind", std::process::id());
        }
    }
}
