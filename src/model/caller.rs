//! Who asks.

use std::ffi::OsString;
use std::sync::Arc;

use super::{Facts, ProcessId, Unit};

/// The process that asks. It is never ended, nor its ancestors, nor its descendants.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) id: ProcessId,
    /// When the server started that asks, in clock ticks since boot: the caller itself, or the oldest instance that it
    /// descends from. A process that is older than the call may still be newer than that server.
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
    /// The unit it runs in.
    pub(crate) unit: Option<Unit>,
    /// The container it runs in, as its cgroup says.
    pub(crate) container: Option<OsString>,
    /// It belongs to the unit's current run, by its own INVOCATION_ID: it is a hook or a process of the service. An
    /// ended run's processes there are then its own. A job of cron or a session of sshd is in the unit's cgroup too,
    /// and the unit's other jobs are none of its business.
    pub(crate) of_current_run: bool,
    /// The values of the instance keys, where it carries the service's marker.
    pub(crate) instance: Option<Vec<Option<OsString>>>,
    /// The service's own process, by the pid that the caller inherited.
    pub(crate) service_pid: Option<u32>,
}

impl Caller {
    /// Whether an ended run's processes in the unit are the caller's own.
    pub(crate) fn owns(&self, unit: &Unit) -> bool {
        self.of_current_run && self.unit.as_ref() == Some(unit)
    }

    /// An instance that did not start before the server that asks is newer than it, not stale. Ticks are too
    /// coarse to order two starts within one: a tie is not older.
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
