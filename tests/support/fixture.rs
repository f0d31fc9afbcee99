//! A running instance, or what looks like one, and the commands it takes.

use std::cell::{Ref, RefCell};
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use serde_json::{Value, json};

use super::builder::Builder;
use super::channel::{COMMAND, Channel, RUN};
use super::layout::Layout;
use super::net;
use super::process::{Proc, only_child};
use super::run::{PROGRAM, Run};
use super::wait::until;

/// Ended when dropped, with all that it forked.
pub(crate) struct Fixture {
    channel: RefCell<Channel>,
    process: Proc,
    /// Its own pid as it sees it: another one inside a pid namespace.
    inner_pid: u32,
    workers: Vec<Proc>,
    child: RefCell<Option<Child>>,
    address: String,
    layout: Layout,
}

impl Fixture {
    /// An instance: `<tmp>/bin/node <tmp>/openclaw/dist/index.js gateway --port 18789` with both markers and
    /// package "openclaw", listening on 127.0.0.1:18789.
    pub(crate) fn gateway() -> Builder {
        Self::gateway_on("127.0.0.1:18789")
    }

    pub(crate) fn gateway_on(address: &str) -> Builder {
        Self::silent().listen(address)
    }

    /// The same without a socket. Add some with [`Builder::listen`] and its like.
    pub(crate) fn silent() -> Builder {
        Builder::new("gateway").package("openclaw").marked(true)
    }

    /// Nothing of the service's, though node runs it: package "other", no marker.
    pub(crate) fn other(address: &str) -> Builder {
        Builder::new("other").package("other").listen(address)
    }

    pub(super) fn new(
        layout: Layout,
        channel: Channel,
        child: Option<Child>,
        forks: bool,
        ready: &Value,
        outer: impl Fn(u32) -> u32,
        address: &str,
    ) -> Self {
        let inner_pid = number(&ready["pid"]);
        let pid = match &child {
            Some(child) if forks => only_child(child.id()),
            _ => outer(inner_pid),
        };
        let workers = ready["workers"].as_array().into_iter().flatten();
        Self {
            channel: RefCell::new(channel),
            process: Proc::of(pid),
            inner_pid,
            workers: workers.map(|pid| Proc::of(number(pid))).collect(),
            child: RefCell::new(child),
            address: address.to_owned(),
            layout,
        }
    }

    /// As the test and the host see it.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// As it sees itself, and portclear inside the same [`super::PidNs`].
    pub(crate) fn inner_pid(&self) -> u32 {
        self.inner_pid
    }

    pub(crate) fn process(&self) -> &Proc {
        &self.process
    }

    /// Workers of a real node.
    pub(crate) fn workers(&self) -> &[Proc] {
        &self.workers
    }

    /// The folder that holds `bin` and `openclaw`.
    pub(crate) fn root(&self) -> &Path {
        self.layout.root()
    }

    pub(crate) fn exe(&self) -> &Path {
        &self.layout.exe
    }

    pub(crate) fn script(&self) -> &Path {
        &self.layout.script
    }

    /// Its first address answers a real connection, and it is this process that does.
    #[track_caller]
    pub(crate) fn answers(&self) {
        self.answers_on(&self.address);
    }

    #[track_caller]
    pub(crate) fn answers_on(&self, address: &str) {
        let line = net::ask(address).unwrap_or_else(|error| panic!("{address} does not answer: {error}"));
        let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
        assert_eq!(pid, Some(self.inner_pid), "somebody else answers on {address}: {line}");
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Waits for its end. It stays a zombie until [`Fixture::status`] or the drop: nobody else reaps it.
    #[track_caller]
    pub(crate) fn has_ended(&self) {
        self.process.has_ended();
    }

    /// Waits for its end and reaps it.
    #[track_caller]
    pub(crate) fn status(&self) -> ExitStatus {
        self.has_ended();
        let mut child = self.child.borrow_mut();
        child.as_mut().expect("a child of the test").wait().unwrap()
    }

    /// The signals it has got, by name without SIG ("TERM"), in order. SIGKILL, STOP and CONT leave no trace.
    pub(crate) fn signals(&self) -> Vec<String> {
        if self.is_alive() {
            self.command(&json!({ "do": "signals" }), COMMAND);
        }
        self.signals_of(self.inner_pid)
    }

    /// Of a forked child, by the pid the fixture gave. Complete once the child has ended.
    pub(crate) fn signals_of(&self, pid: u32) -> Vec<String> {
        let mut channel = self.channel.borrow_mut();
        let all = channel.signals().iter();
        all.filter(|(to, _)| *to == pid).map(|(_, name)| name.clone()).collect()
    }

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
        super::witness::of_child(self, arguments, environment);
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

    #[track_caller]
    pub(super) fn command(&self, command: &Value, within: Duration) -> Value {
        self.channel.borrow_mut().ask(command, within)
    }

    #[track_caller]
    fn order(&self, word: &str) -> Value {
        self.command(&json!({ "do": word }), COMMAND)
    }

    fn outer(&self, inner: u32) -> u32 {
        super::pidns::outer(self.process.pid(), inner)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Forked children see this, and end.
        self.channel.borrow_mut().close();
        let mut child = self.child.take();
        // A wrapper first, which would only report the end of the other.
        if let Some(child) = &mut child {
            let _ = child.kill();
        }
        self.process.signal(super::Signal::SIGKILL);
        // What cannot even be killed must not hold up the other tests.
        if self.process.ends_within(super::DEADLINE) {
            let _ = child.map(|mut child| child.wait());
        }
    }
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|pid| pid.try_into().ok()).unwrap_or_else(|| panic!("no pid: {value}"))
}
