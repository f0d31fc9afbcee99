//! Runs the program under test, with a deadline.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::channel::RUN;
use super::layout::copy;
use super::pidns::PidNs;
use super::process::{Proc, only_child};
use super::schema;
use super::start::run_as;
use super::tracer::{GATE, Traced};
use super::witness;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_portclear");

/// The arguments of most runs.
pub(crate) const JSON: [&str; 2] = ["--json", "18789"];

pub(crate) const TREE: [&str; 3] = ["--json", "18789", "--tree"];

/// How a run ended.
pub(crate) struct Run {
    /// Where a signal ended it: 128 and the number.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

/// Runs `portclear ARGUMENTS…` in the test's network.
#[track_caller]
pub(crate) fn portclear(arguments: &[&str]) -> Run {
    Portclear::new(arguments).run()
}

/// Runs `portclear --json 18789 MORE…`.
#[track_caller]
pub(crate) fn portclear_json(more: &[&str]) -> Run {
    portclear(&[&JSON, more].concat())
}

/// A run that needs more than arguments: variables, a user, a namespace, a tracer.
pub(crate) struct Portclear {
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) wrapper: Vec<OsString>,
    pub(super) prefix: Vec<OsString>,
    pub(super) output: [Option<Stdio>; 2],
    pub(super) uid: Option<u32>,
}

impl Portclear {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(OsString::from).collect(),
            // It gets nothing of the test run's environment, which may itself be a unit's.
            environment: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            wrapper: Vec::new(),
            prefix: Vec::new(),
            output: [None, None],
            uid: None,
        }
    }

    /// Adds an argument that may be no UTF-8.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts through a program that becomes its arguments in the same process: `prlimit …`, `sh -c 'exec "$0" …'`.
    pub(crate) fn through(mut self, prefix: &[&str]) -> Self {
        self.prefix = prefix.iter().map(OsString::from).collect();
        self
    }

    /// Writes elsewhere: [`Run::stdout`] stays empty.
    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.output[0] = Some(to.into());
        self
    }

    /// Writes elsewhere: [`Run::stderr`] stays empty.
    pub(crate) fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.output[1] = Some(to.into());
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Leaves no variable, not even PATH, except for those that follow.
    pub(crate) fn without_environment(mut self) -> Self {
        self.environment.clear();
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

    #[track_caller]
    pub(crate) fn run(self) -> Run {
        self.spawn().finish()
    }

    /// Starts it. The test does something meanwhile.
    #[track_caller]
    pub(crate) fn spawn(self) -> Running {
        witness::of_call(&self);
        if self.wrapper.is_empty() {
            return self.start(PROGRAM.as_ref(), &[], Stdio::null());
        }
        let mut running = self.spawn_gated(PROGRAM.as_ref());
        running.open_gate();
        running
    }

    /// Starts it with this as its standard input.
    #[track_caller]
    pub(super) fn spawn_reading(self, stdin: Stdio) -> Running {
        self.start(PROGRAM.as_ref(), &[], stdin)
    }

    /// Starts it under a tracer that can stop it between two system calls.
    #[track_caller]
    pub(crate) fn traced(self) -> Traced {
        Traced::start(self)
    }

    /// Starts a shell that becomes the program in the same process when the gate opens. Before that, there is time to
    /// find the process below a wrapper, and to seize it.
    pub(super) fn spawn_gated(self, program: &Path) -> Running {
        self.start(program, &GATE, Stdio::piped())
    }

    fn start(self, program: &Path, gate: &[&str], stdin: Stdio) -> Running {
        // Another user may have no access to the folder where the program was built.
        let folder = self.uid.map(|_| {
            let all = Permissions::from_mode(0o755);
            tempfile::Builder::new().permissions(all).tempdir().unwrap()
        });
        let program = match &folder {
            Some(folder) => copy(program, &folder.path().join("portclear")),
            None => program.to_owned(),
        };
        let forks = !self.wrapper.is_empty();
        let mut argv = self.wrapper;
        argv.extend(self.uid.map(run_as).into_iter().flatten());
        argv.extend(gate.iter().map(OsString::from));
        argv.extend(self.prefix);
        argv.push(program.into());
        argv.extend(self.arguments);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(self.environment).stdin(stdin);
        Running::start(command, forks, folder, self.output)
    }
}

/// The drop ends it.
pub(crate) struct Running {
    process: Proc,
    child: Child,
    output: [File; 2],
    start: Instant,
    _folder: Option<TempDir>,
}

impl Running {
    /// `forks`: the command is a wrapper, and its only child is the process in question.
    #[track_caller]
    pub(crate) fn start(
        mut command: Command, forks: bool, folder: Option<TempDir>, elsewhere: [Option<Stdio>; 2],
    ) -> Self {
        // The output goes to files: a pipe that nobody empties would make the program wait.
        let output = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        let [stdout, stderr] = output.each_ref().map(|file| Stdio::from(file.try_clone().unwrap()));
        let [elsewhere_out, elsewhere_err] = elsewhere;
        command.stdout(elsewhere_out.unwrap_or(stdout)).stderr(elsewhere_err.unwrap_or(stderr));
        let start = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = if forks { only_child(child.id()) } else { child.id() };
        Self { process: Proc::at_once(pid), child, output, start, _folder: folder }
    }

    /// portclear itself, not a wrapper.
    pub(crate) fn process(&self) -> &Proc {
        &self.process
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Run {
        assert!(self.process.ends_within(RUN), "it has not ended in {RUN:?}");
        let elapsed = self.start.elapsed();
        let status = self.child.wait().unwrap();
        let [stdout, stderr] = self.output.each_mut().map(|file| {
            let mut text = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut text).unwrap();
            String::from_utf8(text).expect("portclear writes UTF-8")
        });
        Run { status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap()), stdout, stderr, elapsed }
    }

    pub(super) fn open_gate(&mut self) {
        self.start = Instant::now();
        let mut gate = self.child.stdin.take().expect("a closed gate");
        gate.write_all(b"\n").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.signal(super::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.status, 0, "{self}");
    }

    /// Results, and then refusals and errors. With one port it is one of the two.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The document that `--json` writes. It is as docs/portclear.schema.json says.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        schema::document(&self.stdout).unwrap_or_else(|fault| panic!("{fault}: {self}"))
    }

    /// What another program of the tests wrote as JSON.
    #[track_caller]
    pub(crate) fn printed(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// What the document says of a process, by the pid that portclear sees: a holder, or what belongs to one.
    #[track_caller]
    pub(crate) fn process(&self, pid: u32) -> Value {
        let found = self.processes().into_iter().find(|process| process["pid"] == pid);
        found.unwrap_or_else(|| panic!("no process {pid}: {self}"))
    }

    /// All processes in the document: holders, what belongs to them, and what was swept.
    pub(crate) fn processes(&self) -> Vec<Value> {
        let json = self.json();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut all: Vec<Value> = list(&json["ports"])
            .iter()
            .flat_map(|port| [list(&port["holders"]), list(&port["members"])].concat())
            .collect();
        all.extend(list(&json["swept"]["processes"]));
        all
    }

    /// The signals that a process was sent, as the document says.
    #[track_caller]
    pub(crate) fn sent(&self, pid: u32) -> Vec<String> {
        let process = self.process(pid);
        let signals = process["signals"].as_array().expect("signals").iter();
        signals.map(|sent| sent["signal"].as_str().expect("a name").to_owned()).collect()
    }
}

/// The message of an assertion.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr, elapsed } = self;
        write!(f, "status {status} after {elapsed:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}
