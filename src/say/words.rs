//! The words of the JSON document, and the exit status.

use crate::model::supervisors::NODE_WATCH;
use crate::model::{
    Fate, Identity, Liveness, Manager, Memory, Outcome, PortReport, Report, Role, Supervisor, SweepReport, Unit,
    Verdict, Why, WhyNot,
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

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stale(_) => "stale",
        Verdict::Spared(_) => "spared",
    }
}

/// The rule that gave the verdict.
pub(super) const fn rule(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stale(Why::Instance) => "stale-instance",
        Verdict::Stale(Why::Leftover) => "stale-leftover",
        Verdict::Stale(Why::OwnUnit) => "own-unit",
        Verdict::Stale(Why::AnyOwner) => "any-owner",
        Verdict::Stale(Why::Live) => "end-live",
        Verdict::Stale(Why::Offspring) => "end-offspring",
        Verdict::Stale(Why::Approved) => "approved",
        Verdict::Stale(Why::Tree) => "tree",
        Verdict::Spared(WhyNot::Protected) => "protected",
        Verdict::Spared(WhyNot::Live) => "live",
        Verdict::Spared(WhyNot::Newer(_)) => "newer",
        Verdict::Spared(WhyNot::Declined) => "declined",
        Verdict::Spared(WhyNot::Elsewhere) => "elsewhere",
        Verdict::Spared(WhyNot::OtherInstance) => "other-instance",
        Verdict::Spared(WhyNot::Offspring) => "offspring",
        Verdict::Spared(WhyNot::Foreign) => "foreign",
        Verdict::Spared(WhyNot::Unknown) => "unknown",
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

pub(super) fn supervisor(supervisor: &Supervisor) -> &'static str {
    match supervisor {
        Supervisor::Unit(_) => "unit",
        Supervisor::Container(_) => "container",
        Supervisor::Program(supervised) => program(supervised.by),
    }
}

/// A supervisor's name is what people call it. All words of the document are spelled alike.
fn program(name: &'static str) -> &'static str {
    if name == NODE_WATCH { "node-watch" } else { name }
}

/// The kind of manager, and for a user's manager the user.
pub(super) const fn manager(unit: &Unit) -> (&'static str, Option<u32>) {
    match unit.manager {
        Manager::System => ("system", None),
        Manager::User(uid) => ("user", Some(uid)),
        Manager::Nested => ("nested", None),
    }
}

/// A sweep that found something has done its work only when all of it is gone.
pub(super) fn sweep(report: &SweepReport, dry_run: bool) -> &'static str {
    match &report.status {
        Err(_) => "error",
        Ok(()) if report.processes.is_empty() && report.is_whole() => "nothing",
        Ok(()) if dry_run => "would-sweep",
        Ok(()) if report.is_whole() => "swept",
        Ok(()) => "incomplete",
    }
}

pub(super) const fn memory(memory: &Memory) -> &'static str {
    if memory.resident { "rss" } else { "pss" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::supervisors::SUPERVISORS;

    /// The words that a function of this file gives. Each of its matches is complete, so these are all.
    fn words(function: &str) -> BTreeSet<&'static str> {
        let (_, after) = include_str!("words.rs").split_once(&format!("fn {function}(")).unwrap();
        after.split("\n}\n").next().unwrap().split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn the_schema_has_each_word_and_no_other() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("../../docs/portclear.schema.json")).unwrap();
        let mut supervisors = words("supervisor");
        supervisors.extend(SUPERVISORS.iter().map(|row| program(row.name)));
        for (definition, field, words) in [
            ("port", "status", words("status")),
            ("process", "role", words("role")),
            ("process", "identity", words("identity")),
            ("process", "liveness", words("liveness")),
            ("process", "verdict", words("verdict")),
            ("process", "rule", words("rule")),
            ("process", "outcome", words("fate")),
            ("supervisor", "kind", supervisors),
            ("unit", "manager", words("manager")),
            ("sweep", "status", words("sweep")),
            ("memory", "kind", words("memory")),
        ] {
            let listed = schema["$defs"][definition]["properties"][field]["enum"].as_array().unwrap();
            assert_eq!(listed.iter().map(|word| word.as_str().unwrap()).collect::<BTreeSet<_>>(), words, "{field}");
            let is_plain =
                |word: &&str| word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
            assert!(words.iter().all(is_plain), "{words:?}");
        }
    }
}
