//! The examples run as the documentation tells. Each server that starts ends the one before it, while a client asks
//! on.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(gateway_rs_takes_over_twenty_times_in_a_row),
        case!(gateway_mjs_takes_over_twenty_times_in_a_row, Needs::Node),
        case!(both_explain_who_holds_the_port, Needs::Node),
        case!(an_older_server_does_not_end_a_newer_one_by_the_program, Needs::Node),
        case!(of_node_servers_that_start_at_once_the_youngest_serves, Needs::Node),
        case!(without_the_program_node_says_so, Needs::Node),
    ]
}

/// `cargo test` builds it beside the tests.
fn gateway() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/gateway");
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    path
}

#[derive(Clone, Copy)]
enum Example {
    Rust,
    Node,
}

impl Example {
    #[track_caller]
    fn start(self) -> Server {
        self.start_with(PROGRAM)
    }

    #[track_caller]
    fn start_with(self, program: &str) -> Server {
        match self {
            Self::Rust => Server::start(&[gateway().to_str().unwrap(), GATEWAY], &[]),
            Self::Node => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gateway.mjs");
                Server::start(&["node", script.to_str().unwrap(), "18789"], &[("PORTCLEAR", program)])
            }
        }
    }
}

#[track_caller]
fn serves(server: &mut Server) {
    let line = server.line().unwrap_or_else(|| panic!("it does not serve: {:?}", server.ended()));
    assert_eq!(line, format!("pid {} listens on {GATEWAY}", server.pid()));
}

fn gateway_rs_takes_over_twenty_times_in_a_row() {
    restarts(Example::Rust);
}

fn gateway_mjs_takes_over_twenty_times_in_a_row() {
    restarts(Example::Node);
}

fn restarts(example: Example) {
    let bystander = Bystander::start();
    let mut last = example.start();
    serves(&mut last);
    let at_first = left(last.pid());
    let client = Client::start();
    for restart in 1..=20 {
        tick_after(last.start_ticks());
        let mut next = example.start();
        serves(&mut next);
        let (status, errors) = last.ended();
        assert_eq!((status.code(), &errors[..]), (Some(0), ""), "restart {restart}");
        assert_eq!(get().unwrap(), next.pid().to_string());
        last = next;
    }
    let answered = client.finish();
    assert!(answered >= 20, "{answered} answers");
    // The client's connections are gone, so the survivor has as many descriptors as the first server, and no child.
    until("as many descriptors as the first had, and no child", || left(last.pid()) == at_first);
    assert_eq!(at_first.1, [0; 0]);
    bystander.answers();
}

/// Open descriptors and children. A zombie counts as a child.
fn left(pid: u32) -> (usize, Vec<u32>) {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let all = procfs::process::all_processes().unwrap().flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    let children = stats.filter(|stat| u32::try_from(stat.ppid) == Ok(pid));
    (descriptors, children.filter_map(|stat| stat.pid.try_into().ok()).collect())
}

/// Sends a request, and gives the body of the answer.
fn get() -> Result<String, String> {
    let address: SocketAddr = GATEWAY.parse().unwrap();
    let unanswered = |error: std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => String::new(),
        _ => error.to_string(),
    };
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(unanswered)?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").map_err(unanswered)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| {
        // In the middle of an answer it is no mere reset.
        if answer.is_empty() { unanswered(error) } else { format!("{error} after {answer}") }
    })?;
    match answer.split_once("\r\n\r\n") {
        // The server closed before the first byte of an answer, as in a reset.
        None if answer.is_empty() => Err(String::new()),
        Some((head, body)) if head.starts_with("HTTP/1.1 200") && body.contains('\n') => {
            // node sends chunks. The pid is the longest of the numbers.
            let lines = body.lines().map(str::trim).filter(|line| line.len() > 1);
            Ok(lines.max_by_key(|line| line.len()).unwrap_or_default().to_owned())
        }
        _ => Err(format!("no whole answer: {answer}")),
    }
}

/// Asks all the time, in the test's network.
struct Client {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Client {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let (mut answered, mut failed) = (0, Vec::new());
            while !seen.load(Ordering::Relaxed) {
                match get() {
                    Ok(_) => answered += 1,
                    Err(error) if error.is_empty() => {}
                    Err(error) => failed.push(error),
                }
            }
            (answered, failed)
        });
        Self { over, thread }
    }

    /// The number of answers. No request failed, but for connections that were refused or reset.
    #[track_caller]
    fn finish(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        let (answered, failed) = self.thread.join().unwrap();
        assert_eq!(failed, [""; 0], "{answered} were answered");
        answered
    }
}

fn both_explain_who_holds_the_port() {
    let bystander = Bystander::start();
    let foreign = Fixture::other(GATEWAY).start();
    for example in [Example::Rust, Example::Node] {
        let mut server = example.start();
        assert_eq!(server.line(), None);
        let (status, errors) = server.ended();
        assert_eq!(status.code(), Some(1), "{errors}");
        let pid = format!("pid {}", foreign.pid());
        let says = errors.starts_with("gateway: ") && errors.contains(&pid);
        assert!(says && errors.contains("18789: held, and left alone: nothing was signalled"), "{errors}");
        assert!(errors.contains(": it runs node index.js; "), "{errors}");
    }
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    bystander.answers();
}

/// A wrapper that starts the program when its gate opens.
struct Gate {
    folder: tempfile::TempDir,
}

impl Gate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, script) = (folder.path().join("gate"), folder.path().join("portclear"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text =
            format!("#!/bin/sh\n: > {0}.reached\nread -r line < {0}\n{PROGRAM} \"$@\"\nexit $?\n", fifo.display());
        fs::write(folder.path().join("text"), text).unwrap();
        // A process of its own writes it: see support::layout::copy.
        crate::support::layout::copy(&folder.path().join("text"), &script);
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn program(&self) -> String {
        self.folder.path().join("portclear").to_str().unwrap().to_owned()
    }

    fn is_reached(&self) {
        until("the gate is reached", || self.folder.path().join("gate.reached").exists());
    }

    fn open(&self) {
        writeln!(File::options().write(true).open(self.folder.path().join("gate")).unwrap()).unwrap();
    }
}

fn an_older_server_does_not_end_a_newer_one_by_the_program() {
    let bystander = Bystander::start();
    let mut stale = Example::Node.start();
    serves(&mut stale);
    tick_after(stale.start_ticks());
    // The older of two servers has found the port taken. Its program has not started yet.
    let gate = Gate::new();
    let mut older = Example::Node.start_with(&gate.program());
    gate.is_reached();
    tick_after(older.start_ticks());
    let mut newer = Example::Node.start();
    serves(&mut newer);
    stale.ended();
    tick_after(newer.start_ticks());
    gate.open();
    // The newer server is older than the program, but newer than the server that asks by it.
    assert_eq!(older.line(), None);
    let (status, errors) = older.ended();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(
        errors.contains(&format!("(pid {}): it started after the server that made this call", newer.pid())),
        "{errors}"
    );
    assert_eq!(get().unwrap(), newer.pid().to_string());
    // The other way round it is a restart.
    let gate = Gate::new();
    let mut next = Example::Node.start_with(&gate.program());
    gate.is_reached();
    gate.open();
    serves(&mut next);
    assert_eq!(newer.ended().0.code(), Some(0));
    assert_eq!(get().unwrap(), next.pid().to_string());
    bystander.answers();
}

fn of_node_servers_that_start_at_once_the_youngest_serves() {
    let bystander = Bystander::start();
    let mut last = Example::Node.start();
    serves(&mut last);
    for round in 0..10 {
        tick_after(last.start_ticks());
        let mut servers = vec![last];
        servers.extend((0..2).map(|_| Example::Node.start()));
        until("one is left", || servers.iter().filter(|server| server.process().is_alive()).count() <= 1);
        let alive = servers.iter().position(|server| server.process().is_alive());
        let alive = alive.unwrap_or_else(|| panic!("round {round} ends with none"));
        last = servers.remove(alive);
        serves(&mut last);
        let youngest = servers.iter().map(Server::start_ticks).max();
        assert!(youngest <= Some(last.start_ticks()), "round {round}: an older one has won");
        for (at, server) in servers.iter_mut().enumerate() {
            // The line of the last round's server was read in that round.
            let served = at == 0 || server.line().is_some();
            let (status, errors) = server.ended();
            // A newer server ended it, or it was refused and told who holds the port.
            assert_eq!(status.code(), Some(i32::from(!served)), "round {round}: {errors}");
            assert_eq!(errors.contains(&format!("pid {}", last.pid())), !served, "round {round}: {errors}");
        }
        assert_eq!(get().unwrap(), last.pid().to_string());
    }
    bystander.answers();
}

fn without_the_program_node_says_so() {
    let foreign = Fixture::other(GATEWAY).start();
    let mut server = Example::Node.start_with("/no/such/program");
    assert_eq!(server.line(), None);
    let (status, errors) = server.ended();
    assert_eq!(status.code(), Some(1));
    assert!(errors.starts_with("gateway: cannot run /no/such/program: "), "{errors}");
    foreign.answers();
    assert_eq!(foreign.signals(), [""; 0]);
    // The server reads the document, whose words docs/json.md lists.
    let run = portclear(&["--json", "--package", "portclear-example-gateway", GATEWAY]);
    assert_eq!(run.json()["ports"][0]["exit"], Value::from(3));
}
