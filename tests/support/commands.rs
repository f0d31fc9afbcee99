//! What a running fixture does when a test tells it to.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::channel::{COMMAND, RUN};
use super::fixture::{Fixture, number};
use super::process::Proc;
use super::run::{PROGRAM, Run};
use super::wait::until;

impl Fixture {
    /// Forks without exec: a second process that shares the sockets and serves them. It ends like the first.
    pub(crate) fn fork(&self) -> Proc {
        Proc::of(self.outer(number(&self.order("fork"))))
    }

    /// Forks a child without the sockets that has executed nothing. It becomes the next server, of the same program
    /// and environment, when a byte is written to the file, and ends when that is closed before.
    pub(crate) fn fork_heir(&self, address: &str) -> (Proc, File) {
        let gate = self.layout.root().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        // For both ways, so that neither side waits here for the other.
        let writer = OpenOptions::new().read(true).write(true).open(&gate).unwrap();
        let pid = self.command(&json!({ "do": "heir", "at": address, "gate": gate }), COMMAND);
        (Proc::of(self.outer(number(&pid))), writer)
    }

    /// Forks and exits, so that init becomes the child's parent. From here on this value is the child.
    pub(crate) fn orphan(&mut self) {
        self.inner_pid = number(&self.order("orphan"));
        self.process.has_ended();
        self.process = Proc::of(self.outer(self.inner_pid));
        // Reaped, so that nothing but the orphan is left of it.
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Holds every socket by a second descriptor.
    pub(crate) fn dup(&self) {
        self.order("dup");
    }

    pub(crate) fn listen_also(&self, address: &str) {
        self.command(&json!({ "do": "listen", "at": address, "kind": "listen" }), COMMAND);
    }

    /// Connects from this address (port 0: any) to that one, and stays connected.
    pub(crate) fn connect(&self, from: &str, to: &str) {
        self.command(&json!({ "do": "connect", "source": from, "to": to }), COMMAND);
    }

    /// Gives up its sockets and lives on.
    pub(crate) fn close_sockets(&self) {
        self.order("close");
    }

    /// Its first thread ends; the others live and serve.
    pub(crate) fn leader_exits(&self) {
        self.order("leader_exits");
        until("the leader has exited", || self.process.state() == Some('Z'));
    }

    /// One thread takes a descriptor table of its own, and only that one has the sockets.
    pub(crate) fn own_table(&self) {
        self.order("own_table");
    }

    /// Uses a whole processor from here on. It still serves.
    pub(crate) fn spin(&self) {
        self.order("spin");
    }

    /// Becomes another program (absolute path) with exactly these variables; the sockets stay open.
    /// As another fixture's `exe` and `script` it serves on and takes commands.
    pub(crate) fn exec(&self, argv: &[&str], environment: &[(&str, &str)]) {
        let before = self.process.stat();
        let environment: Value = environment.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        self.command(&json!({ "do": "exec", "argv": argv, "env": environment }), COMMAND);
        until("another program", || {
            let now = self.process.stat();
            (now.startstack, now.arg_start) != (before.startstack, before.arg_start)
                && self.process.exe().as_deref() == Path::new(argv[0]).canonicalize().ok().as_deref()
        });
    }

    /// Sets the name that `comm` shows, whatever the bytes; the kernel keeps fifteen.
    pub(crate) fn set_comm(&self, name: &[u8]) {
        self.command(&json!({ "do": "comm", "name": name }), COMMAND);
    }

    /// Overwrites its arguments with a title padded with NULs, as node does.
    pub(crate) fn set_title(&self, title: &[u8]) {
        self.command(&json!({ "do": "title", "title": title }), COMMAND);
    }

    /// Sends its sockets into a unix socket where nobody receives them, and closes them: they stay open, and
    /// no descriptor anywhere is one of them.
    pub(crate) fn sockets_in_flight(&self) {
        self.order("flight");
    }

    /// PR_SET_DUMPABLE 0: /proc shows an ordinary user next to nothing of it.
    pub(crate) fn undumpable(&self) {
        self.order("undumpable");
    }

    /// Lets its "arguments" or "environment" seem to be so many bytes (PR_SET_MM_MAP).
    pub(crate) fn seems_vast(&self, what: &str, bytes: u64) {
        self.command(&json!({ "do": "vast", "what": what, "size": bytes }), COMMAND);
    }

    /// Runs the program under test as its child, with its environment and these variables.
    pub(crate) fn portclear(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        self.run(&[&[PROGRAM], arguments].concat(), environment, false)
    }

    /// The same, but no way leads up from there to this fixture: what was in between has ended.
    pub(crate) fn portclear_reparented(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        self.run(&[&[PROGRAM], arguments].concat(), environment, true)
    }

    /// Runs any program as its child. Meanwhile it neither serves nor acts on a signal.
    pub(crate) fn run(&self, argv: &[&str], environment: &[(&str, &str)], reparented: bool) -> Run {
        let environment: Value = environment.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let command = json!({ "do": "run", "argv": argv, "env": environment, "reparented": reparented });
        let reply = self.command(&command, RUN);
        let text = |key: &str| reply[key].as_str().unwrap().to_owned();
        Run {
            status: reply["status"].as_i64().unwrap().try_into().unwrap(),
            stdout: text("stdout"),
            stderr: text("stderr"),
            elapsed: Duration::from_secs_f64(reply["elapsed"].as_f64().unwrap()),
        }
    }
}
