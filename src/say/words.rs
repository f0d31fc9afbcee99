//! The words of the JSON document, and the exit status.

use crate::model::{
    Fate, Identity, Liveness, Manager, Outcome, PortReport, Report, Role, Supervisor, Unit, Verdict, Why, WhyNot,
};

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
        match &self.status {
            Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear) => 0,
            Err(_) => 1,
            Ok(Outcome::Held(_)) => 3,
            Ok(Outcome::Unseen(_)) => 4,
            Ok(Outcome::Survived(_)) => 5,
            Ok(Outcome::Respawned) => 6,
        }
    }
}

pub(super) const fn status(port: &PortReport) -> &'static str {
    match &port.status {
        Err(_) => "error",
        Ok(Outcome::Free) => "free",
        Ok(Outcome::Cleared) => "cleared",
        Ok(Outcome::WouldClear) => "would-clear",
        Ok(Outcome::Held(_)) => "held",
        Ok(Outcome::Unseen(_)) => "unseen",
        Ok(Outcome::Survived(_)) => "survived",
        Ok(Outcome::Respawned) => "respawned",
    }
}

pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Holder => "holder",
        Role::Launcher => "launcher",
        Role::Worker => "worker",
        Role::Offspring => "offspring",
        Role::Leftover => "leftover",
        Role::Rival => "rival",
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
        Verdict::Stale(why) => (
            "stale",
            match why {
                Why::Instance => "stale-instance",
                Why::Leftover => "stale-leftover",
                Why::OwnUnit => "own-unit",
                Why::AnyOwner => "any-owner",
                Why::Live => "end-live",
                Why::Offspring => "end-offspring",
                Why::Tree => "tree",
            },
        ),
        Verdict::Spared(why) => (
            "spare",
            match why {
                WhyNot::Protected => "protected",
                WhyNot::Live => "live",
                WhyNot::Newer => "newer",
                WhyNot::Elsewhere => "elsewhere",
                WhyNot::OtherInstance => "other-instance",
                WhyNot::Offspring => "offspring",
                WhyNot::Foreign => "foreign",
                WhyNot::Unknown => "unknown",
            },
        ),
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

pub(super) const fn supervisor(supervisor: &Supervisor) -> &'static str {
    match supervisor {
        Supervisor::Unit(_) => "unit",
        Supervisor::Container(_) => "container",
        Supervisor::Program(supervised) => supervised.by,
    }
}

pub(super) fn manager(unit: &Unit) -> String {
    match unit.manager {
        Manager::System => "system".to_owned(),
        Manager::User(uid) => format!("user {uid}"),
        Manager::Nested => "nested".to_owned(),
    }
}
