//! The supervisors beside systemd: how each is recognised, and how it is told to stop a process. One row for each.

use std::ffi::OsStr;

use super::Facts;
use super::runtime::is_version_of;

/// How one supervisor is recognised, by a parent and its child.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The file name of the parent's executable is one of these: the supervisor's own, or the runtime of its script.
    pub(crate) executables: &'static [&'static str],
    /// One of these holds for the parent's arguments. Empty: the executable alone shows the supervisor.
    pub(crate) shown_by: &'static [ShownBy],
    /// All of these hold for the child, as far as they are asked ([`Tie`]).
    pub(crate) ties: &'static [Tie],
    /// The supervisor may hold the ports of its processes itself. Then it is protected.
    pub(crate) holds_ports: bool,
    /// The child's variables that the two templates below name.
    pub(crate) variables: &'static [&'static str],
    /// The name by which the supervisor knows the child. `{KEY}` is a variable of the child, `{child}` its pid, `{pid}`
    /// the parent's pid, `{folder}` the parent's folder, and `{base}` the last part of its path. `{reach}` is what
    /// leads supervisorctl to its supervisord.
    pub(crate) entry: &'static str,
    /// The command that stops the child for good, for a shell. Empty: there is none.
    pub(crate) stop: &'static str,
}

/// How a supervisor's arguments show it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShownBy {
    /// It runs the script with this end of its path.
    Script(&'static str),
    /// The same, with this subcommand.
    Subcommand(&'static str, &'static str),
    /// It runs this module (`python -m`).
    Module(&'static str),
    /// Its runtime has this option.
    Option(&'static str),
    /// Its title begins so.
    Title(&'static str),
}

/// What ties a child to its supervisor. A supervisor that is PID 1 also inherits orphans, and an orphan keeps the
/// variables of a supervised process. So neither the parent nor a variable is enough there. Any other parent has
/// started each of its children itself: of it only a note is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tie {
    /// The child has this variable.
    Variable(&'static str),
    /// The child leads its session.
    OwnSession,
    /// The child leads its process group, in the session of its parent.
    OwnGroup,
    /// The supervisor's own note names the child.
    Note(Note),
}

/// Where a supervisor notes the pid of its child, below its own folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// runit: `supervise/pid`, a number in text (runsv(8)).
    Runit,
    /// s6: `supervise/status`, the bytes 24 to 31, the highest first (35 bytes in 2.11, and more in later versions).
    S6,
    /// daemontools: `supervise/status`, the bytes 12 to 15 of 18, the lowest first.
    Daemontools,
    /// The init of a container takes no notes, so the kernel's list of its children stands for one. The oldest of them is
    /// the main process: with it the container ends.
    OldestChild,
}

/// The init of a container. It stops with its container alone.
pub(crate) const CONTAINER_INIT: &str = "container-init";

/// Node starts its script again when a file changes.
pub(crate) const NODE_WATCH: &str = "node --watch";

const NODE: &[&str] = &["node", "nodejs", "bun"];
const PYTHON: &[&str] = &["python", "pypy"];

/// For what a row does not need.
const ROW: Row = Row {
    name: "",
    executables: NODE,
    shown_by: &[],
    ties: &[],
    holds_ports: false,
    variables: &[],
    entry: "",
    stop: "",
};

pub(crate) const SUPERVISORS: &[Row] = &[
    Row {
        name: "pm2",
        shown_by: &[
            ShownBy::Title("PM2 v"),
            ShownBy::Script("pm2"),
            ShownBy::Script("pm2-runtime"),
            ShownBy::Script("pm2-docker"),
        ],
        ties: &[Tie::Variable("pm_id"), Tie::OwnSession],
        holds_ports: true,
        variables: &["pm_id", "name", "PM2_HOME"],
        entry: "{name}",
        stop: "PM2_HOME={PM2_HOME} pm2 stop {pm_id}",
        ..ROW
    },
    Row {
        name: "supervisord",
        executables: PYTHON,
        shown_by: &[
            ShownBy::Script("supervisord"),
            ShownBy::Script("supervisord.py"),
            ShownBy::Module("supervisor.supervisord"),
        ],
        ties: &[Tie::Variable("SUPERVISOR_PROCESS_NAME"), Tie::OwnGroup],
        variables: &["SUPERVISOR_GROUP_NAME", "SUPERVISOR_PROCESS_NAME", "SUPERVISOR_SERVER_URL"],
        entry: "{SUPERVISOR_GROUP_NAME}:{SUPERVISOR_PROCESS_NAME}",
        stop: "supervisorctl {reach}stop {SUPERVISOR_GROUP_NAME}:{SUPERVISOR_PROCESS_NAME}",
        ..ROW
    },
    Row {
        name: "runit",
        executables: &["runsv"],
        ties: &[Tie::Note(Note::Runit)],
        entry: "{base}",
        stop: "sv down {folder}",
        ..ROW
    },
    Row {
        name: "s6",
        executables: &["s6-supervise"],
        ties: &[Tie::Note(Note::S6)],
        entry: "{base}",
        stop: "s6-svc -d {folder}",
        ..ROW
    },
    Row {
        name: "daemontools",
        executables: &["supervise"],
        ties: &[Tie::Note(Note::Daemontools)],
        entry: "{base}",
        stop: "svc -d {folder}",
        ..ROW
    },
    Row {
        name: "openrc",
        executables: &["supervise-daemon"],
        ties: &[Tie::Variable("RC_SVCNAME"), Tie::OwnSession],
        variables: &["RC_SVCNAME"],
        entry: "{RC_SVCNAME}",
        stop: "rc-service {RC_SVCNAME} stop",
        ..ROW
    },
    Row {
        name: "circus",
        executables: PYTHON,
        // The module setproctitle gives it a title.
        shown_by: &[
            ShownBy::Title("circusd"),
            ShownBy::Script("circusd"),
            ShownBy::Script("circusd.py"),
            ShownBy::Module("circus.circusd"),
        ],
        ties: &[Tie::OwnSession],
        stop: "circusctl stop NAME",
        ..ROW
    },
    Row {
        name: "forever",
        shown_by: &[ShownBy::Script("forever/bin/monitor"), ShownBy::Script("forever")],
        stop: "forever stop {child}",
        ..ROW
    },
    Row {
        name: NODE_WATCH,
        shown_by: &[ShownBy::Option("--watch"), ShownBy::Option("--watch-path")],
        ties: &[Tie::Variable("WATCH_REPORT_DEPENDENCIES")],
        stop: "kill {pid}",
        ..ROW
    },
    Row {
        name: "nodemon",
        shown_by: &[ShownBy::Script("nodemon"), ShownBy::Script("nodemon.js")],
        // SIGTERM ends nodemon alone where a shell stands between (`--exec`).
        stop: "kill -INT {pid}",
        ..ROW
    },
    Row {
        name: "tsx",
        shown_by: &[ShownBy::Subcommand("tsx", "watch"), ShownBy::Subcommand("tsx/dist/cli.mjs", "watch")],
        stop: "kill {pid}",
        ..ROW
    },
    Row {
        name: CONTAINER_INIT,
        executables: &["tini", "tini-static", "docker-init", "podman-init", "dumb-init", "catatonit"],
        ties: &[Tie::Note(Note::OldestChild)],
        ..ROW
    },
];

impl Row {
    /// The process executes what this row names, as far as that may be read.
    pub(crate) fn is_executed_by(&self, facts: &Facts) -> bool {
        self.executables.iter().any(|name| is_version_of(facts.program(), name))
    }

    pub(crate) fn note(&self) -> Option<Note> {
        self.ties.iter().find_map(|tie| match tie {
            Tie::Note(note) => Some(*note),
            Tie::Variable(_) | Tie::OwnSession | Tie::OwnGroup => None,
        })
    }
}

/// The variables by which supervisors are recognised, and those that name an entry.
pub(crate) fn variables<'a>() -> impl Iterator<Item = &'a OsStr> {
    let of_tie = |tie: &Tie| match tie {
        Tie::Variable(key) => Some(*key),
        Tie::OwnSession | Tie::OwnGroup | Tie::Note(_) => None,
    };
    let of_row = move |row: &'static Row| row.ties.iter().filter_map(of_tie).chain(row.variables.iter().copied());
    SUPERVISORS.iter().flat_map(of_row).map(OsStr::new)
}
