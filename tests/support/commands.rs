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
    /// Forks without exec. The second process shares the sockets and serves them, and ends like the first.
    pub(crate) fn fork(&self) -> Proc {
        Proc::of(self.outer(number(&self.order("fork"))))
    }

    /// Forks a child without the sockets, which has executed nothing. A byte to the file makes it the next server,
    /// with the same program and environment. The end of the file ends it before that.
    pub(crate) fn fork_heir(&self, address: &str) -> (Proc, File) {
        let gate = self.layout.root().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        // It is open both ways, so neither side waits here for the other.
        let writer = OpenOptions::new().read(true).write(true).open(&gate).unwrap();
        let pid = self.command(&json!({ "do": "heir", "at": address, "gate": gate }), COMMAND);
        (Proc::of(self.outer(number(&pid))), writer)
    }

    /// Forks and exits, so that init adopts the child. This value is the child from here on.
    pub(crate) fn orphan(&mut self) {
        self.inner_pid = number(&self.order("orphan"));
        self.process.has_ended();
        self.process = Proc::of(self.outer(self.inner_pid));
        // It is reaped, so that only the orphan is left.
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Opens every socket a second time.
    pub(crate) fn dup(&self) {
        self.order("dup");
    }

    pub(crate) fn listen_also(&self, address: &str) {
        self.command(&json!({ "do": "listen", "at": address, "kind": "listen" }), COMMAND);
    }

    /// Opens a file for "write", "read" or "both", and keeps it open.
    pub(crate) fn open(&self, path: &Path, how: &str) {
        self.command(&json!({ "do": "open", "path": path, "how": how }), COMMAND);
    }

    /// Connects from this address (port 0: any) to that one, and stays connected.
    pub(crate) fn connect(&self, from: &str, to: &str) {
        self.command(&json!({ "do": "connect", "source": from, "to": to }), COMMAND);
    }

    /// Closes its sockets and lives on.
    pub(crate) fn close_sockets(&self) {
        self.order("close");
    }

    /// Its first thread ends. The others live and serve.
    pub(crate) fn leader_exits(&self) {
        self.order("leader_exits");
        until("the leader has exited", || self.process.state() == Some('Z'));
    }

    /// One thread takes a descriptor table of its own. Only this table keeps the sockets.
    pub(crate) fn own_table(&self) {
        self.order("own_table");
    }

    /// Uses a whole processor from here on, and still serves.
    pub(crate) fn spin(&self) {
        self.order("spin");
    }

    /// Becomes another program (absolute path) with exactly these variables. The sockets stay open. If the program is
    /// another fixture's `exe` and `script`, it serves on and takes commands.
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

    /// Sets the name that `comm` shows, to any bytes. The kernel keeps fifteen.
    pub(crate) fn set_comm(&self, name: &[u8]) {
        self.command(&json!({ "do": "comm", "name": name }), COMMAND);
    }

    /// Overwrites its arguments with a title padded with NULs, as node does.
    pub(crate) fn set_title(&self, title: &[u8]) {
        self.command(&json!({ "do": "title", "title": title }), COMMAND);
    }

    /// Sends its sockets into a unix socket where nobody receives them, and closes them. They stay open, and no
    /// descriptor anywhere refers to them.
    pub(crate) fn sockets_in_flight(&self) {
        self.order("flight");
    }

    /// PR_SET_DUMPABLE 0: /proc shows an ordinary user almost nothing of it.
    pub(crate) fn undumpable(&self) {
        self.order("undumpable");
    }

    /// Makes its "arguments" or "environment" seem to be so many bytes (PR_SET_MM_MAP).
    pub(crate) fn seems_vast(&self, what: &str, bytes: u64) {
        self.command(&json!({ "do": "vast", "what": what, "size": bytes }), COMMAND);
    }

    /// Runs the program under test as its child, with its environment and with these variables.
    pub(crate) fn portclear(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        super::witness::of_child(self, arguments, environment);
        self.run(&[&[PROGRAM], arguments].concat(), environment, false)
    }

    /// Runs any program as its child. Until that ends, the fixture neither serves nor acts on a signal. `reparented`: the
    /// process between them has ended, so the fixture is no ancestor of the program.
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
