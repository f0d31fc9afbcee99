//! How a fixture starts: by the test, or as a child of another fixture.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use super::builder::Builder;
use super::channel::{COMMAND, Channel};
use super::fixture::Fixture;
use super::layout::Layout;
use super::libc;

impl Builder {
    /// Starts it. Returns when it serves and a clock tick has passed.
    #[track_caller]
    pub(crate) fn start(self) -> Fixture {
        let layout = self.layout(&std::env::temp_dir());
        let mut command = self.command(&layout, true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let channel = Channel::new(child.stdin.take().unwrap(), child.stdout.take().unwrap());
        self.ready(layout, channel, Some(child), None)
    }

    /// The same, as a child of another fixture: a launcher's worker, or an agent's program.
    #[track_caller]
    pub(crate) fn start_below(self, parent: &Fixture) -> Fixture {
        let layout = self.layout(&std::env::temp_dir());
        let command = self.command(&layout, false);
        let [input, output] = ["stdin", "stdout"].map(|name| layout.root().join(name));
        for path in [&input, &output] {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
            // The parent may be another user's, so the umask must have no say.
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }
        let text = |text: &OsStr| text.to_str().expect("plain text").to_owned();
        let argv: Vec<String> = std::iter::once(command.get_program()).chain(command.get_args()).map(text).collect();
        let environment: Map<String, Value> =
            command.get_envs().map(|(key, value)| (text(key), json!(value.map(text)))).collect();
        // Neither end waits here for the other: the one is open both ways, the other does not block.
        let source = OpenOptions::new().read(true).write(true).open(&input);
        let sink = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&output);
        let (source, sink): (File, File) = (source.unwrap(), sink.unwrap());
        let spawn = json!({ "do": "spawn", "argv": argv, "env": environment, "stdin": input, "stdout": output });
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
    fn ready(self, layout: Layout, mut channel: Channel, child: Option<Child>, parent: Option<u32>) -> Fixture {
        let ready = channel.reply(COMMAND).unwrap_or_else(|why| panic!("the fixture does not start: {why}"));
        let forks = !self.wrapper.is_empty();
        let address = self.address().unwrap_or_default();
        let pid = |inner| parent.map_or(inner, |parent| super::pidns::outer(parent, inner));
        Fixture::new(layout, channel, child, forks, &ready, pid, address)
    }
}

/// A wrapper that becomes another user, and then the program in the same process.
pub(super) fn run_as(uid: u32) -> Vec<OsString> {
    let user = [format!("--reuid={uid}"), format!("--regid={uid}")];
    let words = ["setpriv", &user[0], &user[1], "--clear-groups", "--"];
    words.map(OsString::from).to_vec()
}
