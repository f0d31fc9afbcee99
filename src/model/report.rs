//! What was found and done. Plain data; the sentences are in `explain`.

use std::time::Duration;

use crate::error::Error;
use crate::facts::{Blind, Holder, Unit};
use crate::policy::Signal;
use crate::port::{Listener, PortSpec};
use crate::service::Marker;
use crate::tree::Role;
use crate::verdict::Judgement;

/// What was found and done, port by port, in the order they were asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Report {
    /// One for each port.
    pub ports: Vec<PortReport>,
    /// What ended runs of the service had left behind, where the policy sweeps.
    pub swept: Option<SweepReport>,
}

/// What ended runs of the service had left behind, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SweepReport {
    /// Whether it could be found out.
    pub status: Result<(), Error>,
    /// Each process once; those that stand in a port's report are not here.
    pub processes: Vec<ProcessReport>,
    /// What they had in memory before the first signal.
    pub memory: Memory,
    /// What they had started and is still there.
    pub remainder: Memory,
}

impl SweepReport {
    /// Whether all of it has ended, or would.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_over = |process: &ProcessReport| {
            matches!(process.ending.fate, Fate::Untouched | Fate::Ended | Fate::EndedByItself)
        };
        self.status.is_ok() && self.remainder.processes == 0 && self.processes.iter().all(is_over)
    }
}

impl Default for SweepReport {
    fn default() -> Self {
        let (memory, remainder) = (Memory::default(), Memory::default());
        Self { status: Ok(()), processes: Vec::new(), memory, remainder }
    }
}

/// What processes have in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Of so many processes.
    pub processes: usize,
    /// Bytes. Each process's share of what it shares with others (Pss, proc_pid_smaps(5)); where that may not be
    /// read, all that it has resident (Rss), which counts what is shared once for each process.
    pub bytes: u64,
    /// For at least one of them it is the Rss.
    pub resident: bool,
}

/// What was found and done about one port.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortReport {
    /// What was asked for.
    pub spec: PortSpec,
    /// How it ended, or why that could not be found out.
    pub status: Result<Outcome, Error>,
    /// The listeners that stood in the way, of all that were seen.
    pub listeners: Vec<Listener>,
    /// Their holders, each once.
    pub holders: Vec<ProcessReport>,
    /// What was ended with the holders, or would be, and holds no listener itself.
    pub members: Vec<ProcessReport>,
    /// What the ended instances started and is still there.
    pub remainder: Memory,
    /// At the last look somebody still listened.
    pub listening: bool,
    /// Sockets of the port that do not listen, where nothing listened.
    pub connections: Connections,
    /// How many processes there were whose descriptors may not be read.
    pub unreadable: usize,
    /// The holders kept changing while they were looked at.
    pub unsettled: bool,
    /// What kept the caller from seeing other processes.
    pub blinds: Option<Blind>,
    /// The unit that the call was made in.
    pub asked_from: Option<Unit>,
    /// The effective user who asked; unknown where nothing but the bind was needed.
    pub asked_by: Option<u32>,
    /// From the call to the answer.
    pub elapsed: Duration,
}

/// Sockets that keep a port without listening on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Connected, or closing.
    pub connected: usize,
    /// In TIME_WAIT: the kernel's alone, for a minute at most.
    pub time_wait: usize,
}

/// How it ended for one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Outcome {
    /// It was free: a bind proved it.
    Free,
    /// Its holders were ended and a bind proved that it is free.
    Cleared,
    /// Its holders are stale, and nothing was done about it, as asked.
    WouldClear,
    /// It is held, and left alone by a rule.
    Held,
    /// It is held by somebody who cannot be seen, read or signalled from here.
    Unseen,
    /// Its holders are stale, were signalled, and at least one is still there.
    Survived,
    /// It was cleared, and taken again.
    Respawned,
}

/// A process, what was decided about it, and what came of that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessReport {
    /// What it is to the port.
    pub role: Role,
    /// The process.
    pub holder: Holder,
    /// The name of its user, where /etc/passwd has one.
    pub user: Option<String>,
    /// Those of the service's marker variables that it was started with.
    pub markers: Vec<Marker>,
    /// What was decided.
    pub judgement: Judgement,
    /// What came of it.
    pub ending: Ending,
}

/// What came of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// What became of it.
    pub fate: Fate,
    /// The signals it was sent, and when, counted from the first signal of the call.
    pub signals: Vec<(Signal, Duration)>,
    /// When its end was seen, counted alike.
    pub ended_after: Option<Duration>,
}

impl Ending {
    pub(crate) const fn new(fate: Fate) -> Self {
        Self { fate, signals: Vec::new(), ended_after: None }
    }
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It was not touched.
    Untouched,
    /// It has ended.
    Ended,
    /// It ended before a signal reached it.
    EndedByItself,
    /// It became another program before SIGKILL, and was spared from there on.
    Changed,
    /// Its facts could not be read again, so it was spared from there on.
    Unread,
    /// The kernel refused the signal.
    NotPermitted,
    /// It is still there; the letter is its state (proc_pid_stat(5), field 3).
    Survived(char),
}

/// What is waited for, while it is waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The pids that have not ended yet.
    pub pids: Vec<u32>,
    /// Since the first signal.
    pub elapsed: Duration,
    /// Until `then` follows.
    pub left: Duration,
    /// The signal that follows; `None`: the wait ends.
    pub then: Option<Signal>,
}
