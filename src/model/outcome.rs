//! The outcome for one port, and its reason.

use super::ProcessId;

/// The outcome for one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Outcome {
    /// It was free: a bind proved it.
    Free,
    /// Its holders were ended, and a bind proved that it is free.
    Cleared,
    /// Its holders are stale. The call only looked, as asked.
    WouldClear,
    /// It is held, and a rule leaves it alone.
    Held(WhyHeld),
    /// It is held by somebody who cannot be seen, read or signalled from here.
    Unseen(WhyUnseen),
    /// Its stale holders were signalled, and somebody still holds it.
    Survived(WhySurvived),
    /// It was cleared, and somebody took it again.
    Respawned,
}

/// Why a held port was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyHeld {
    /// A rule spares one of the holders. The judgement of that holder names the rule.
    Spared,
    /// This member of a holder's instance serves another port.
    Elsewhere(ProcessId),
    /// A process executed a program after it was signalled, and holds the port.
    Changed,
}

/// Why a holder cannot be seen, read or signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyUnseen {
    /// Nobody listens, but a bind is refused.
    NobodyListens,
    /// The holders kept changing while they were looked at.
    Unsettled,
    /// This process may not be signalled from here.
    NotPermitted(ProcessId),
    /// The facts that would decide about this holder may not be read.
    Unread(ProcessId),
    /// No visible process holds the listener, which this user opened.
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
    /// The observer stopped the wait ([`clear_observed`](crate::clear_observed)).
    Stopped,
}
