//! Real supervisors, each in a pid namespace of its own.

mod home;
mod programs;
pub(crate) mod scenes;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Output};

use procfs::process::{Process, all_processes};

pub(crate) use home::{Home, Server};
pub(crate) use programs::{folder, installed};

use super::net::{GATEWAY, SECOND, ask};
use super::pidns::{PidNs, outer};
use super::process::Proc;
use super::run::{Portclear, Run};
use super::wait::until;
use home::shell;

/// One way to run one supervisor.
pub(crate) struct Kind {
    /// What the document calls it.
    pub(crate) name: &'static str,
    /// A part of the supervisor's own command line, and of no other one.
    pub(crate) shown: &'static str,
    /// Writes what it needs into its home, and gives the line of a shell that starts it.
    pub(crate) start: fn(&Home) -> String,
    /// What it calls the server.
    pub(crate) entry: fn(&Supervisor) -> Option<String>,
    /// The command that stops the server for good.
    pub(crate) stop: fn(&Supervisor) -> String,
    pub(crate) returns: Returns,
}

/// What comes after somebody else has ended the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    /// The supervisor starts it again within a moment.
    AtOnce,
    /// It does so after more than a second, or when a file changes, or never.
    Later,
    /// Nothing: the supervisor is ended as well, because it is what its arguments say, a launcher of the same server.
    Nothing,
}

/// A running supervisor, and a server below it that answers. The drop ends all of it.
pub(crate) struct Supervisor {
    space: PidNs,
    home: Home,
    shown: &'static str,
}

impl Supervisor {
    /// PID 1 is another process, which reaps.
    #[track_caller]
    pub(crate) fn start(kind: &Kind, server: Server) -> Self {
        let home = Home::new(server);
        let line = line(kind, &home);
        let supervisor = Self { space: PidNs::new(), home, shown: kind.shown };
        // It must not be a child of the test, and not have its session.
        supervisor.shell(&format!("setsid sh -c {} &", shell([line])));
        supervisor.until_answers(server)
    }

    /// The supervisor is PID 1. Its line must be `exec …`.
    #[track_caller]
    pub(crate) fn as_init(kind: &Kind, server: Server) -> Self {
        let home = Home::new(server);
        let space = PidNs::of_program(&["sh", "-c", &line(kind, &home)], &variables(&home));
        Self { space, home, shown: kind.shown }.until_answers(server)
    }

    fn until_answers(self, server: Server) -> Self {
        let address = if server == Server::Innocent { SECOND } else { GATEWAY };
        until("the supervised server", || ask(address).is_ok());
        // Whoever runs portclear now is younger than the server by a tick.
        Proc::of(self.outer(answering(address))).keep();
        self
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The supervisor's own pid in the namespace.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        let all = self.processes();
        let mut own = all.iter().filter(|(_, argv)| argv.contains(self.shown));
        *own.next().unwrap_or_else(|| panic!("no {} in {all:?}", self.shown)).0
    }

    /// Its only child.
    #[track_caller]
    pub(crate) fn child(&self) -> u32 {
        let above = self.outer(self.pid());
        let is_below = |pid: &u32| Process::new(self.outer(*pid) as i32).and_then(|process| process.stat());
        let is_below = |pid: &u32| is_below(pid).is_ok_and(|stat| u32::try_from(stat.ppid) == Ok(above));
        self.processes().into_keys().find(is_below).expect("a child")
    }

    /// Ends the supervisor at once.
    #[track_caller]
    pub(crate) fn kill(&self) {
        Proc::of(self.outer(self.pid())).kill();
    }

    /// The pid that the test sees.
    pub(crate) fn outer(&self, inner: u32) -> u32 {
        outer(self.space.init_pid(), inner)
    }

    /// The pid that all in the namespace see.
    #[track_caller]
    pub(crate) fn inner(&self, outer: u32) -> u32 {
        let all = self.processes();
        let mut inside = all.keys().filter(|pid| self.outer(**pid) == outer);
        *inside.next().unwrap_or_else(|| panic!("process {outer} is not in {all:?}"))
    }

    /// Runs portclear in the namespace.
    #[track_caller]
    pub(crate) fn portclear(&self, arguments: &[&str]) -> Run {
        Portclear::new(arguments).inside(&self.space).run()
    }

    /// The same as another user. Needs root.
    #[track_caller]
    pub(crate) fn portclear_of(&self, uid: u32, arguments: &[&str]) -> Run {
        Portclear::new(arguments).inside(&self.space).uid(uid).run()
    }

    /// Runs a line in a shell in the namespace, far away from home. It succeeds.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str) {
        let output = self.output(line);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{line}: {}: {text:?}", output.status);
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        let entering = self.space.entering();
        let [program, arguments @ ..] = &entering[..] else { unreachable!("a wrapper has a first word") };
        let mut command = Command::new(program);
        command.args(arguments).args(["sh", "-c", line]).env_clear();
        command.envs(variables(&self.home)).output().expect("nsenter")
    }

    /// A gateway on [`SECOND`] that PID 1 has inherited, with all variables of the supervised one. `through` is a
    /// program that becomes its arguments, or nothing. Gives its pid.
    #[track_caller]
    pub(crate) fn orphan(&self, through: &str) -> u32 {
        let like = self.outer(answering(GATEWAY));
        let variables = fs::read_to_string(format!("/proc/{like}/environ")).unwrap();
        // node takes these away from its children.
        let variables = variables.split_terminator('\0').filter(|variable| !variable.starts_with("NODE_CHANNEL_"));
        let (command, _files) = self.home.second();
        let line = format!("env -i {} {through} {} >/dev/null 2>&1 </dev/null &", shell(variables), shell(&command));
        self.shell(&line);
        until("the orphan", || ask(SECOND).is_ok());
        let orphan = answering(SECOND);
        let process = Proc::of(self.outer(orphan));
        process.keep();
        until("PID 1 as a parent", || process.parent() == self.space.init_pid());
        orphan
    }

    /// The processes in the namespace: pid and command line.
    fn processes(&self) -> BTreeMap<u32, String> {
        let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = space(self.space.init_pid());
        let all = all_processes().expect("/proc").flatten();
        let inside = all.filter(|process| process.pid.try_into().is_ok_and(|pid| space(pid) == own));
        let line = |process: Process| {
            let pid = process.status().ok()?.nspid?.last().copied()?;
            Some((pid.try_into().ok()?, process.cmdline().ok()?.join(" ")))
        };
        inside.filter_map(line).collect()
    }
}

/// A panic shows what the supervisor has written.
impl Drop for Supervisor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log"));
            eprintln!("--- {}\n{}---", self.shown, log.unwrap_or_default());
        }
    }
}

/// The pid of the server that answers here, as it sees it itself.
#[track_caller]
pub(crate) fn answering(address: &str) -> u32 {
    let line = ask(address).unwrap_or_else(|error| panic!("{address} does not answer: {error}"));
    line.split(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no pid: {line}"))
}

/// Runs at home, and writes into a log there.
fn line(kind: &Kind, home: &Home) -> String {
    let folder = home.path().display();
    format!("cd {folder}; exec >log 2>&1 </dev/null; {}", (kind.start)(home))
}

fn variables(home: &Home) -> [(String, String); 3] {
    let text = |path: &OsStr| path.to_str().expect("plain text").to_owned();
    let own = text(home.path().as_os_str());
    let path = text(&programs::path());
    // tsx has a socket in TMPDIR by the name of its pid, which others have in other namespaces.
    [("HOME".to_owned(), own.clone()), ("TMPDIR".to_owned(), own), ("PATH".to_owned(), path)]
}
