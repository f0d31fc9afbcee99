//! How it ended for one port, and why.

use super::ProcessId;

/// How it ended for one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Outcome {
    /// It was free: a bind proved it.
    Free,
    /// Its holders were ended, and a bind proved that it is free.
    Cleared,
    /// Its holders are stale, and nothing was done about it, as asked.
    WouldClear,
    /// It is held, and left alone by a rule.
    Held(WhyHeld),
    /// It is held by somebody who cannot be seen, read or signalled from here.
    Unseen(WhyUnseen),
    /// Its holders are stale and were signalled, and somebody still holds it.
    Survived(WhySurvived),
    /// It was cleared, and taken again.
    Respawned,
}

/// Why a held port was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyHeld {
    /// A rule spares one of the holders: its judgement says which.
    Spared,
    /// This member of a holder's instance serves another port.
    Elsewhere(ProcessId),
    /// A signalled process has executed something since, and holds the port.
    Changed,
}

/// What could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyUnseen {
    /// Nobody listens, and a bind is refused all the same.
    NobodyListens,
    /// The holders kept changing while they were looked at.
    Unsettled,
    /// This process may not be signalled from here.
    NotPermitted(ProcessId),
    /// The facts that would tell about this holder may not be read.
    Unread(ProcessId),
    /// No process that can be seen holds the listener of this user.
    Hidden(u32),
}

/// Why a port is still held after the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhySurvived {
    /// At least one of the signalled processes has not ended.
    StillThere,
    /// Each ended process left another holder behind.
    Unsettled,
}
