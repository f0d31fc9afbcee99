//! A running gateway of the real OpenClaw.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::super::lock::{Held, locks_of};
use super::super::process::{Proc, only_child};
use super::super::server::Server;
use super::super::wait::DEADLINE;
use super::START;

/// The drop ends it.
pub(crate) struct Gateway {
    server: Server,
    /// The gateway itself, where a launcher started it.
    launched: Option<Proc>,
    ready: &'static str,
}

impl Gateway {
    #[track_caller]
    pub(super) fn new(server: Server, ready: &'static str, launched: bool) -> Self {
        let mut gateway = Self { server, launched: None, ready };
        if launched {
            gateway.launched = Some(Proc::of(only_child(gateway.server.pid())));
        }
        gateway.until_ready();
        gateway
    }

    /// Waits until it says that all of it has started, for the first time or again.
    #[track_caller]
    pub(crate) fn until_ready(&mut self) {
        self.until_says(self.ready);
    }

    #[track_caller]
    pub(crate) fn until_says(&mut self, what: &str) {
        let mut said = Vec::new();
        while let Some(line) = self.server.line_within(START) {
            if line.contains(what) {
                return;
            }
            said.push(line);
        }
        panic!("it does not say {what:?}: {said:#?} {:?}", self.server.ended());
    }

    /// The gateway itself.
    pub(crate) fn process(&self) -> &Proc {
        self.launched.as_ref().unwrap_or_else(|| self.server.process())
    }

    /// What the test has started: a launcher, or the gateway itself.
    pub(crate) fn started(&self) -> &Proc {
        self.server.process()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// All that it has started and that lives. The drop of these ends nothing.
    pub(crate) fn below(&self) -> Vec<Proc> {
        below(self.pid())
    }

    /// The locks that it has open.
    pub(crate) fn locks(&self) -> Vec<Held> {
        locks_of(self.pid())
    }

    /// It answers, and lives.
    #[track_caller]
    pub(crate) fn serves(&self, port: u16) {
        let answer = get(port, "/healthz").expect("an answer");
        assert!(answer.contains(r#""status":"live""#), "{answer}");
        assert!(self.process().is_alive());
    }
}

/// What a gateway answers.
pub(super) fn get(port: u16, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn below(pid: u32) -> Vec<Proc> {
    let all = procfs::process::all_processes().expect("/proc").flatten();
    let children = all.filter_map(|process| process.stat().ok()).filter(|stat| u32::try_from(stat.ppid) == Ok(pid));
    let children: Vec<u32> = children.filter_map(|stat| stat.pid.try_into().ok()).collect();
    let mut found = Vec::new();
    for pid in children {
        // It starts programs that end at once.
        let Ok(process) = Proc::try_of(pid) else { continue };
        process.keep();
        found.push(process);
        found.extend(below(pid));
    }
    found
}
