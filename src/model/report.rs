//! What was found and done. Plain data; `say` has the sentences.

use std::time::Duration;

use super::{Blind, Error, Facts, Judgement, Listener, Marker, Outcome, PortSpec, Process, ProcessId, Signal, Unit};

/// What was found and done, port by port, in the order of the call.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Report {
    /// The call only looked, as asked ([`inspect`](crate::inspect)): it signalled nobody.
    pub dry_run: bool,
    /// One for each port.
    pub ports: Vec<PortReport>,
    /// The processes that ended runs of the service left behind, if the policy sweeps. Without a sweep: a rival that an
    /// ended run left in the caller's own unit, if the call tried to end it.
    pub swept: Option<SweepReport>,
    /// A living instance that uses the caller's state folder, and serves none of the ports. The service refuses to start
    /// beside it.
    pub rival: Option<Rival>,
    /// Time from the call to the report.
    pub elapsed: Duration,
}

/// An instance that uses the caller's state folder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rival {
    /// The process.
    pub process: ProcessReport,
    /// The port that its lock names.
    pub port: u16,
}

impl Report {
    /// A bind proved each of the ports free.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.ports.iter().all(PortReport::is_free)
    }
}

/// What was found and done about one port.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortReport {
    /// The port that was asked for.
    pub spec: PortSpec,
    /// The outcome, or why it could not be found out.
    pub status: Result<Outcome, Error>,
    /// All listeners that were seen in the way.
    pub listeners: Vec<Listener>,
    /// Their holders, each once.
    pub holders: Vec<ProcessReport>,
    /// Processes that were ended with the holders, or would be, and hold no listener themselves.
    pub members: Vec<ProcessReport>,
    /// Processes that the ended instances started, and that are still there.
    pub remainder: Memory,
    /// Sockets of the port that do not listen. They are counted only if nothing listens.
    pub connections: Connections,
    /// How many processes have descriptors that may not be read.
    pub unreadable: usize,
    /// How long the port was watched after it was cleared. Zero: nobody seemed to be there who starts its holder again.
    pub watched: Duration,
    /// The observer stopped the wait for a process of this port, or the watch of the port
    /// ([`clear_observed`](crate::clear_observed)).
    pub stopped: bool,
    /// An ancestor of an ended process that was still there then. It may start the process again.
    pub starter: Option<Box<Facts>>,
    /// The other listeners of these processes. A person who is asked should know them, so they are read only where a
    /// call looks with [`Policy::only`](crate::Policy::only), and the port would be cleared.
    pub elsewhere: Vec<(ProcessId, Listener)>,
    /// Who asked. `None`: the bind alone gave the answer.
    pub asker: Option<Asker>,
    /// Time from the call to the answer.
    pub elapsed: Duration,
}

impl PortReport {
    pub(crate) fn new(spec: PortSpec, status: Result<Outcome, Error>) -> Self {
        Self {
            spec,
            status,
            listeners: Vec::new(),
            holders: Vec::new(),
            members: Vec::new(),
            remainder: Memory::default(),
            connections: Connections::default(),
            unreadable: 0,
            watched: Duration::ZERO,
            stopped: false,
            starter: None,
            elsewhere: Vec::new(),
            asker: None,
            elapsed: Duration::ZERO,
        }
    }

    /// A bind proved that the port is free.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self.status, Ok(Outcome::Free | Outcome::Cleared))
    }

    /// The holders, and the processes that belong to them.
    pub fn processes(&self) -> impl Iterator<Item = &ProcessReport> {
        self.holders.iter().chain(&self.members)
    }
}

/// The caller, as far as it explains an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asker {
    /// The effective user.
    pub uid: u32,
    /// The unit that the call was made in.
    pub unit: Option<Unit>,
    /// What kept the caller from seeing other processes.
    pub blind: Option<Blind>,
}

/// Sockets that occupy a port without listening on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Connected, or closing.
    pub connected: usize,
    /// In TIME_WAIT. They belong to the kernel alone, for a minute at most.
    pub time_wait: usize,
}

/// A process, the decision about it, and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessReport {
    /// What it is to the port.
    pub role: Role,
    /// The process.
    pub process: Process,
    /// The name of its user, where /etc/passwd has one.
    pub user: Option<String>,
    /// The service's marker variables that it was started with.
    pub markers: Vec<Marker>,
    /// What was decided.
    pub judgement: Judgement,
    /// What became of it.
    pub ending: Ending,
}

/// What a process is to the port, or to the instance that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It holds a listener of the port.
    Holder,
    /// It is a process of the holder's instance, above the holder.
    Launcher,
    /// It is a process of the holder's instance, below the holder.
    Worker,
    /// The instance started it.
    Offspring,
    /// An ended run left it behind.
    Leftover,
    /// It uses the caller's state folder. A sweep ends it if it is stale.
    Rival,
}

/// What a process was sent, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// What became of it.
    pub fate: Fate,
    /// The signals it was sent.
    pub signals: Vec<Sent>,
}

impl Ending {
    pub(crate) const fn new(fate: Fate) -> Self {
        Self { fate, signals: Vec::new() }
    }

    /// When its end was seen, counted from the first signal of the call.
    #[must_use]
    pub const fn ended_after(&self) -> Option<Duration> {
        match self.fate {
            Fate::Ended(after) | Fate::EndedByItself(after) => Some(after),
            _ => None,
        }
    }

    /// SIGKILL followed before it had ended by the signal that asked it: it may have been draining.
    #[must_use]
    pub fn was_cut_off(&self) -> bool {
        let mut signals = self.signals.iter().map(|sent| sent.signal);
        signals.next().is_some_and(|first| first != Signal::KILL) && signals.any(|signal| signal == Signal::KILL)
    }
}

/// A signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The signal.
    pub signal: Signal,
    /// When, counted from the first signal of the call.
    pub after: Duration,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It was not touched.
    Untouched,
    /// It was signalled and has ended. The time is from the first signal of the call until its end was seen.
    Ended(Duration),
    /// It ended before a signal reached it. The time is as for [`Ended`](Self::Ended).
    EndedByItself(Duration),
    /// It executed another program, or moved to another cgroup, before its next signal. Then it was spared.
    Changed,
    /// Its facts could not be read again before its next signal. Then it was spared.
    Unread,
    /// The kernel refused the signal.
    NotPermitted,
    /// It is still there. The letter is its state (proc_pid_stat(5), field 3).
    Survived(char),
}

/// The processes that ended runs of the service left behind, and what became of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SweepReport {
    /// Whether all of them could be found and tried.
    pub status: Result<(), Error>,
    /// Each process once. Processes that stand in a port's report are not here.
    pub processes: Vec<ProcessReport>,
    /// Their memory before the first signal.
    pub memory: Memory,
    /// Processes that they had started, and that are still there.
    pub remainder: Memory,
    /// The observer stopped the wait for them ([`clear_observed`](crate::clear_observed)).
    pub stopped: bool,
}

impl SweepReport {
    /// Whether all of them have ended, or in a dry run would end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_over = |process: &ProcessReport| {
            matches!(process.ending.fate, Fate::Untouched | Fate::Ended(_) | Fate::EndedByItself(_))
        };
        self.status.is_ok() && self.remainder.processes == 0 && self.processes.iter().all(is_over)
    }
}

impl Default for SweepReport {
    fn default() -> Self {
        let (memory, remainder) = (Memory::default(), Memory::default());
        Self { status: Ok(()), processes: Vec::new(), memory, remainder, stopped: false }
    }
}

/// The memory of some processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// How many processes were counted.
    pub processes: usize,
    /// Bytes. A process counts with its proportional share (Pss, proc_pid_smaps(5)). If that may not be read, it counts
    /// with its whole resident memory (Rss).
    pub bytes: u64,
    /// At least one of them counts with its Rss.
    pub resident: bool,
}
