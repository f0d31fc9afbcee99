//! The process that asks, and what it may see.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Facts, ProcessId, Unit};

/// The process that asks. Neither it nor its ancestors nor its descendants are ever ended.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) id: ProcessId,
    /// The start of the asking server, in clock ticks since boot: the caller itself, or the oldest instance that it
    /// descends from. A process may be older than the call, and still newer than that server.
    pub(crate) since: u64,
    pub(crate) uid: u32,
    /// The pids of its ancestors, nearest first.
    pub(crate) ancestors: Vec<u32>,
    /// The facts of those ancestors that could be read.
    pub(crate) parents: Vec<Arc<Facts>>,
    /// The ancestors are known up to PID 1, or to the edge of the pid namespace.
    pub(crate) ancestry_complete: bool,
    /// What keeps it from seeing other processes.
    pub(crate) blind: Option<Blind>,
    /// PID 1 cannot be seen, and it is not systemd. It may be the init of a container, and look after its oldest child.
    pub(crate) init_is_hidden: bool,
    /// The unit it runs in.
    pub(crate) unit: Option<Unit>,
    /// The container it runs in, as its cgroup says.
    pub(crate) container: Option<OsString>,
    /// Its own INVOCATION_ID names the current run of its unit: it is a hook or a process of the service. It then owns
    /// the processes that ended runs left in the unit. A cron job or an sshd session is in the cgroup of its unit, too,
    /// but owns no other process there.
    pub(crate) of_current_run: bool,
    /// The values of the instance keys, where it carries the service's marker.
    pub(crate) instance: Option<Vec<Option<OsString>>>,
    /// The state folder that it would use.
    pub(crate) state_dir: Option<PathBuf>,
    /// The pid of the service's own process, as the caller's environment names it.
    pub(crate) service_pid: Option<u32>,
}

impl Caller {
    /// Whether the caller owns the processes that ended runs left in the unit.
    pub(crate) fn owns(&self, unit: &Unit) -> bool {
        self.of_current_run && self.unit.as_ref() == Some(unit)
    }

    /// Whether this is the caller, or one of its ancestors.
    pub(crate) fn is_above_or_self(&self, pid: u32) -> bool {
        pid == self.id.pid || self.ancestors.contains(&pid)
    }

    /// Whether the process did not start before the asking server: it is newer, not stale. Two starts in the same tick
    /// have no order, so such a process counts as newer.
    pub(crate) const fn is_newer(&self, facts: &Facts) -> bool {
        facts.id.start_ticks >= self.since
    }
}

/// What keeps a caller from seeing other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blind {
    /// It is in a user namespace of its own: `PrivateUsers=`, or a container.
    UserNamespace,
    /// /proc hides the processes of other users: `ProtectProc=`, or hidepid.
    HiddenProc,
}
