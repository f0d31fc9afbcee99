//! The words of the JSON document, and the exit status.

use crate::model::{Fate, Identity, Liveness, Manager, Outcome, PortReport, Report, Role, Unit, Verdict, Why, WhyNot};

impl Report {
    /// The program's exit status: the highest of the ports', and at least 1 if the sweep failed.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        let unswept = self.swept.as_ref().is_some_and(|swept| swept.status.is_err());
        self.ports.iter().map(PortReport::exit_status).fold(u8::from(unswept), u8::max)
    }
}

impl PortReport {
    /// The program's exit status for this port alone: 0 free, or it would be tried; 1 could not find out; 3 held, and
    /// left alone by a rule; 4 held by somebody who cannot be seen, read or signalled from here; 5 signalled, and still
    /// held; 6 cleared, and taken again.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        status(self).1
    }
}

/// The status, and the exit status that goes with it.
pub(super) const fn status(port: &PortReport) -> (&'static str, u8) {
    match &port.status {
        Err(_) => ("error", 1),
        Ok(Outcome::Free) => ("free", 0),
        Ok(Outcome::Cleared) => ("cleared", 0),
        Ok(Outcome::WouldClear) => ("would-clear", 0),
        Ok(Outcome::Held(_)) => ("held", 3),
        Ok(Outcome::Unseen(_)) => ("unseen", 4),
        Ok(Outcome::Survived(_)) => ("survived", 5),
        Ok(Outcome::Respawned) => ("respawned", 6),
    }
}

pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Holder => "holder",
        Role::Launcher => "launcher",
        Role::Worker => "worker",
        Role::Offspring => "offspring",
        Role::Leftover => "leftover",
    }
}

pub(super) const fn identity(identity: &Identity) -> &'static str {
    match identity {
        Identity::Instance(_) => "instance",
        Identity::Offspring(_) => "offspring",
        Identity::Foreign => "foreign",
        Identity::Unknown => "unknown",
    }
}

pub(super) const fn liveness(liveness: &Liveness) -> &'static str {
    match liveness {
        Liveness::Protected(_) => "protected",
        Liveness::Live(_) => "live",
        Liveness::Leftover => "leftover",
        Liveness::Unsupervised => "unsupervised",
        Liveness::Unknown => "unknown",
    }
}

/// The verdict, and the rule that gave it.
pub(super) const fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Stale(Why::Instance) => ("stale", "stale-instance"),
        Verdict::Stale(Why::Leftover) => ("stale", "stale-leftover"),
        Verdict::Stale(Why::OwnUnit) => ("stale", "own-unit"),
        Verdict::Stale(Why::AnyOwner) => ("stale", "any-owner"),
        Verdict::Stale(Why::Live) => ("stale", "end-live"),
        Verdict::Stale(Why::Offspring) => ("stale", "end-offspring"),
        Verdict::Stale(Why::Tree) => ("stale", "tree"),
        Verdict::Spared(WhyNot::Protected) => ("spare", "protected"),
        Verdict::Spared(WhyNot::Live) => ("spare", "live"),
        Verdict::Spared(WhyNot::Newer) => ("spare", "newer"),
        Verdict::Spared(WhyNot::Elsewhere) => ("spare", "elsewhere"),
        Verdict::Spared(WhyNot::OtherInstance) => ("spare", "other-instance"),
        Verdict::Spared(WhyNot::Offspring) => ("spare", "offspring"),
        Verdict::Spared(WhyNot::Foreign) => ("spare", "foreign"),
        Verdict::Spared(WhyNot::Unknown) => ("spare", "unknown"),
    }
}

pub(super) const fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Untouched => "untouched",
        Fate::Ended(_) => "ended",
        Fate::EndedByItself(_) => "ended-by-itself",
        Fate::Changed => "changed",
        Fate::Unread => "unread",
        Fate::NotPermitted => "not-permitted",
        Fate::Survived(_) => "survived",
    }
}

pub(super) fn manager(unit: &Unit) -> String {
    match unit.manager {
        Manager::System => "system".to_owned(),
        Manager::User(uid) => format!("user {uid}"),
        Manager::Nested => "nested".to_owned(),
    }
}
