//! What a fixture looks like before it starts.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use super::channel::{COMMAND, Channel};
use super::fixture::Fixture;
use super::layout::Layout;
use super::libc;
use super::pidns::PidNs;

/// What the service manager writes into the gateway's environment.
pub(crate) const MARKERS: [(&str, &str); 2] =
    [("OPENCLAW_SERVICE_MARKER", "openclaw"), ("OPENCLAW_SERVICE_KIND", "gateway")];

/// What a fixture does on SIGTERM (and INT, HUP, QUIT, USR1, USR2). It reports each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnTerm {
    /// With status 0.
    Exit,
    Ignore,
    /// Serves on for so many milliseconds, then ends with status 0; at a second signal at once, with status 1.
    Drain(u64),
    /// Starts its successor, by fork and exec, with the sockets, and ends once that has begun.
    HandOver,
    /// Forks and ends: the child, which has executed nothing, holds the sockets and ends at its own signal.
    LeaveFork,
    /// Passes it on to what was started below it, waits for that, and ends with 0 if all of it did.
    Forward,
}

/// Begun by [`Fixture::gateway`], [`Fixture::other`] or [`Fixture::silent`]; [`Builder::start`] starts it.
pub(crate) struct Builder {
    pub(super) config: Map<String, Value>,
    pub(super) runtime: Option<PathBuf>,
    pub(super) exe_name: Option<OsString>,
    pub(super) script: &'static str,
    package: Option<String>,
    environment: Vec<(OsString, OsString)>,
    arguments: Vec<OsString>,
    sockets: Vec<(String, &'static str)>,
    arg0: Option<OsString>,
    cwd: Option<PathBuf>,
    wrapper: Vec<OsString>,
    uid: Option<u32>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            config: Map::from_iter([("name".to_owned(), json!(name)), ("on_term".to_owned(), json!("exit"))]),
            runtime: None,
            exe_name: Some("node".into()),
            script: include_str!("fixture.py"),
            package: None,
            environment: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            arguments: Vec::new(),
            sockets: Vec::new(),
            arg0: None,
            cwd: None,
            wrapper: Vec::new(),
            uid: None,
        }
    }

    /// The file name of the executable: `node` unless said otherwise.
    pub(crate) fn exe_name(mut self, name: impl Into<OsString>) -> Self {
        self.exe_name = Some(name.into());
        self
    }

    pub(crate) fn package(mut self, name: &str) -> Self {
        self.package = Some(name.to_owned());
        self
    }

    pub(crate) fn no_package(mut self) -> Self {
        self.package = None;
        self
    }

    /// With both markers or with neither.
    pub(crate) fn marked(mut self, marked: bool) -> Self {
        self.environment.retain(|(key, _)| MARKERS.iter().all(|(marker, _)| key != marker));
        if marked {
            self.environment.extend(MARKERS.map(|(key, value)| (key.into(), value.into())));
        }
        self
    }

    /// Sets a variable, in place of an earlier value.
    pub(crate) fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let key = key.into();
        self.environment.retain(|(earlier, _)| *earlier != key);
        self.environment.push((key, value.into()));
        self
    }

    /// The arguments after the script, in place of `gateway --port N`.
    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(OsString::from).collect();
        self
    }

    /// `127.0.0.1:18789`, `0.0.0.0:…`, `[::1]:…`, `[::]:…` (dual-stack); as many as are wanted.
    pub(crate) fn listen(self, at: &str) -> Self {
        self.socket(at, "listen")
    }

    pub(crate) fn listen_v6only(self, at: &str) -> Self {
        self.socket(at, "v6only")
    }

    /// With SO_REUSEPORT: several of one user listen on the same address.
    pub(crate) fn listen_reuseport(self, at: &str) -> Self {
        self.socket(at, "reuseport")
    }

    /// As careless servers do: without SO_REUSEADDR, and so do its connections.
    pub(crate) fn listen_without_reuse(self, at: &str) -> Self {
        self.socket(at, "rigid")
    }

    /// Bound, never listening.
    pub(crate) fn bound(self, at: &str) -> Self {
        self.socket(at, "bound")
    }

    /// The same without SO_REUSEADDR.
    pub(crate) fn bound_exclusively(self, at: &str) -> Self {
        self.socket(at, "exclusive")
    }

    pub(crate) fn on_term(self, on_term: OnTerm) -> Self {
        let value = match on_term {
            OnTerm::Exit => json!("exit"),
            OnTerm::Ignore => json!("ignore"),
            OnTerm::Drain(ms) => json!(ms),
            OnTerm::HandOver => json!("hand-over"),
            OnTerm::LeaveFork => json!("leave-fork"),
            OnTerm::Forward => json!("forward"),
        };
        self.set("on_term", value)
    }

    /// Forks once it is bound, and both serve the same sockets. For [`super::Sd::install`].
    pub(crate) fn forks(self) -> Self {
        self.set("forks", json!("both"))
    }

    /// The same, but only the child keeps the sockets: a launcher and its worker.
    pub(crate) fn forks_listener(self) -> Self {
        self.set("forks", json!("listener"))
    }

    /// Starts a program of any kind, with its own environment: what an agent does. As often as wanted.
    pub(crate) fn spawns(mut self, argv: &[&str]) -> Self {
        let spawns = self.config.entry("spawns").or_insert_with(|| json!([]));
        spawns.as_array_mut().expect("a list").push(json!(argv));
        self
    }

    /// Starts again what was started below it and has ended.
    pub(crate) fn respawns(self) -> Self {
        self.set("respawns", json!(true))
    }

    pub(crate) fn arg0(mut self, bytes: &[u8]) -> Self {
        self.arg0 = Some(OsStr::from_bytes(bytes).to_owned());
        self
    }

    pub(crate) fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Needs root.
    pub(crate) fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    pub(crate) fn inside(mut self, namespace: &PidNs) -> Self {
        self.wrapper = namespace.entering();
        self
    }

    /// Behind any other wrapper program that executes or forks its arguments.
    pub(crate) fn behind(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
        self
    }

    /// Starts it, and returns when it serves and a clock tick has passed.
    #[track_caller]
    pub(crate) fn start(self) -> Fixture {
        let layout = self.layout(&std::env::temp_dir());
        let mut command = self.command(&layout, true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let channel = Channel::new(child.stdin.take().unwrap(), child.stdout.take().unwrap());
        self.ready(layout, channel, Some(child), None)
    }

    /// The same as a child of another fixture: a launcher's worker, an agent's program.
    #[track_caller]
    pub(crate) fn start_below(self, parent: &Fixture) -> Fixture {
        let layout = self.layout(&std::env::temp_dir());
        let command = self.command(&layout, false);
        let [input, output] = ["stdin", "stdout"].map(|name| layout.root().join(name));
        for path in [&input, &output] {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
            // The umask has no say: the parent may be another user's.
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }
        let text = |text: &OsStr| text.to_str().expect("plain text").to_owned();
        let argv: Vec<String> =
            std::iter::once(command.get_program()).chain(command.get_args()).map(text).collect();
        let environment: Map<String, Value> =
            command.get_envs().map(|(key, value)| (text(key), json!(value.map(text)))).collect();
        // Neither end waits here for the other: one is open for both ways, one does not block.
        let source = OpenOptions::new().read(true).write(true).open(&input);
        let sink = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&output);
        let (source, sink): (File, File) = (source.unwrap(), sink.unwrap());
        let spawn =
            json!({ "do": "spawn", "argv": argv, "env": environment, "stdin": input, "stdout": output });
        parent.command(&spawn, COMMAND);
        self.ready(layout, Channel::new(source, sink), None, Some(parent.pid()))
    }

    pub(super) fn layout(&self, parent: &Path) -> Layout {
        let python = || Path::new("/usr/bin/python3").canonicalize().expect("python3");
        let runtime = self.runtime.clone().unwrap_or_else(python);
        Layout::new(parent, &runtime, self.exe_name.as_deref(), self.package.as_deref(), self.script)
    }

    pub(super) fn command(&self, layout: &Layout, dies_with_parent: bool) -> Command {
        let mut wrapper = self.wrapper.clone();
        if let Some(uid) = self.uid {
            wrapper.extend(run_as(uid));
        }
        let mut argv = wrapper;
        argv.push(layout.exe.clone().into());
        argv.push(layout.script.clone().into());
        if self.arguments.is_empty() {
            let port = self.address().and_then(|at| at.rsplit(':').next());
            argv.extend(["gateway", "--port", port.unwrap_or("0")].map(OsString::from));
        } else {
            argv.extend(self.arguments.iter().cloned());
        }
        let mut config = self.config.clone();
        let sockets = self.sockets.iter();
        let sockets: Vec<Value> = sockets.map(|(at, kind)| json!({ "at": at, "kind": kind })).collect();
        config.insert("sockets".to_owned(), json!(sockets));
        config.insert("dies_with_parent".to_owned(), json!(dies_with_parent));
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear();
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.env("FIXTURE", Value::Object(config).to_string());
        if let Some(arg0) = &self.arg0 {
            assert!(Path::new(&argv[0]) == layout.exe, "arg0 would be the wrapper's");
            command.arg0(arg0);
        }
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
    }

    #[track_caller]
    fn ready(
        self,
        layout: Layout,
        mut channel: Channel,
        child: Option<Child>,
        parent: Option<u32>,
    ) -> Fixture {
        let ready = channel.reply(COMMAND).unwrap_or_else(|why| panic!("the fixture does not start: {why}"));
        let forks = !self.wrapper.is_empty();
        let address = self.address().unwrap_or_default();
        let pid = |inner| parent.map_or(inner, |parent| super::pidns::outer(parent, inner));
        Fixture::new(layout, channel, child, forks, &ready, pid, address)
    }

    fn address(&self) -> Option<&str> {
        self.sockets.first().map(|(at, _)| at.as_str())
    }

    pub(super) fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn socket(mut self, at: &str, kind: &'static str) -> Self {
        self.sockets.push((at.to_owned(), kind));
        self
    }
}

/// A wrapper that becomes another user and then the program, in the same process.
pub(super) fn run_as(uid: u32) -> Vec<OsString> {
    let user = [format!("--reuid={uid}"), format!("--regid={uid}")];
    let words = ["setpriv", &user[0], &user[1], "--clear-groups", "--"];
    words.map(OsString::from).to_vec()
}
