//! A running fixture: an instance, or what looks like one.

use std::cell::RefCell;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use serde_json::{Value, json};

use super::builder::Builder;
use super::channel::{COMMAND, Channel};
use super::layout::Layout;
use super::net;
use super::process::{Proc, only_child};

/// The drop ends it, with all that it forked.
pub(crate) struct Fixture {
    channel: RefCell<Channel>,
    pub(super) process: Proc,
    /// Its own pid, as it sees it. Inside a pid namespace this is another one.
    pub(super) inner_pid: u32,
    workers: Vec<Proc>,
    pub(super) child: RefCell<Option<Child>>,
    address: String,
    pub(super) layout: Layout,
}

impl Fixture {
    /// An instance: `<tmp>/bin/node <tmp>/openclaw/dist/index.js gateway --port 18789`. It has both markers and the
    /// package "openclaw", and listens on 127.0.0.1:18789.
    pub(crate) fn gateway() -> Builder {
        Self::gateway_on("127.0.0.1:18789")
    }

    pub(crate) fn gateway_on(address: &str) -> Builder {
        Self::silent().listen(address)
    }

    /// The same without a socket. [`Builder::listen`] and its like add some.
    pub(crate) fn silent() -> Builder {
        Builder::new("gateway").package("openclaw").marked(true)
    }

    /// An MCP server as a gateway starts it: it has the markers, another package, and no socket.
    pub(crate) fn mcp() -> Builder {
        Self::silent().package("mcp")
    }

    /// A process that is none of the service's, though node runs it: package "other", no marker.
    pub(crate) fn other(address: &str) -> Builder {
        Builder::new("other").package("other").listen(address)
    }

    pub(super) fn new(
        layout: Layout, channel: Channel, child: Option<Child>, forks: bool, ready: &Value, outer: impl Fn(u32) -> u32,
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

    /// The pid that the test and the host see.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The pid that it sees itself. portclear inside the same [`super::PidNs`] sees it, too.
    pub(crate) fn inner_pid(&self) -> u32 {
        self.inner_pid
    }

    pub(crate) fn process(&self) -> &Proc {
        &self.process
    }

    /// The workers of a real node.
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

    /// Its first address answers a real connection, and this process is the one that answers.
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

    /// Waits for its end. It stays a zombie until [`Fixture::status`] or the drop, because nobody else reaps it.
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

    /// The signals that it got, in order, by name without SIG ("TERM"). SIGKILL, STOP and CONT leave no trace.
    pub(crate) fn signals(&self) -> Vec<String> {
        if self.is_alive() {
            self.command(&json!({ "do": "signals" }), COMMAND);
        }
        self.signals_of(self.inner_pid)
    }

    /// The signals that a forked child got, by the pid that the fixture gave. Complete once the child has ended.
    pub(crate) fn signals_of(&self, pid: u32) -> Vec<String> {
        let mut channel = self.channel.borrow_mut();
        let all = channel.signals().iter();
        all.filter(|(to, _)| *to == pid).map(|(_, name)| name.clone()).collect()
    }

    #[track_caller]
    pub(super) fn command(&self, command: &Value, within: Duration) -> Value {
        self.channel.borrow_mut().ask(command, within)
    }

    #[track_caller]
    pub(super) fn order(&self, word: &str) -> Value {
        self.command(&json!({ "do": word }), COMMAND)
    }

    pub(super) fn outer(&self, inner: u32) -> u32 {
        super::pidns::outer(self.process.pid(), inner)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Forked children see the end of the pipe, and end.
        self.channel.borrow_mut().close();
        let mut child = self.child.take();
        // The wrapper first: it would only report the end of the other.
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

pub(super) fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|pid| pid.try_into().ok()).unwrap_or_else(|| panic!("no pid: {value}"))
}
