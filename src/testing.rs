//! Test data for the tables of the pure files, and a child process for the others.

pub(crate) mod listed;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Ancestry, Caller, Cgroup, Environ, Exe, ExecMark, Facts, FileId, Manager, Process, ProcessId, Record, Script, Seen,
    Service, Unit,
};

pub(crate) fn file(inode: u64) -> FileId {
    FileId { device: 1, inode }
}

/// A readable process that is nothing in particular: /usr/bin/other, no variables.
pub(crate) fn facts(pid: u32, start_ticks: u64) -> Facts {
    Facts {
        id: ProcessId { pid, start_ticks },
        age: Duration::from_secs(60),
        started: None,
        ppid: 1,
        comm: "other".into(),
        state: 'S',
        rss: 0,
        uid: Seen::Value(1000),
        nested: Seen::Value(false),
        exe: Seen::Value(Exe { path: PathBuf::from("/usr/bin/other"), replaced: false, file: file(1) }),
        argv: Seen::Value(Vec::new()),
        environ: Seen::Value(Environ::default()),
        run: None,
        cgroup: Seen::Value(Cgroup::new("/")),
        script: Script::NotARuntime,
        lock: None,
        pid_file: None,
        record: Record::None,
        signalable: true,
        mark: ExecMark::default(),
        only_forked: false,
        session: pid,
        group: pid,
        terminal: false,
        charge: None,
    }
}

pub(crate) fn ancestors(pids: &[u32], complete: bool) -> Ancestry {
    Ancestry { line: pids.iter().map(|pid| facts(*pid, 10).into()).collect(), complete }
}

pub(crate) fn process(facts: Facts, ancestry: Ancestry) -> Process {
    Process { facts, inodes: vec![1], ports: Vec::new(), ancestry }
}

/// The service of a judgement.
pub(crate) fn service() -> Arc<Service> {
    Arc::new(Service::openclaw())
}

/// A process that waits. When the value is dropped, its input closes and it ends.
pub(crate) fn child() -> Child {
    Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
}

/// PID 500: a hook of its own unit's current run.
pub(crate) fn caller() -> Caller {
    Caller {
        id: ProcessId { pid: 500, start_ticks: 5_000 },
        since: 5_000,
        uid: 1000,
        ancestors: vec![400, 300, 1],
        parents: Vec::new(),
        ancestry_complete: true,
        blind: None,
        init_is_hidden: false,
        unit: Some(Unit { name: "own.service".into(), manager: Manager::System }),
        container: None,
        of_current_run: true,
        instance: None,
        state_dir: None,
        service_pid: Some(800),
    }
}
