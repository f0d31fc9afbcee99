//! Find late forks: processes that have come to the trees of the targets since the call began.

use std::collections::BTreeSet;
use std::time::Instant;

use super::target::Target;
use crate::judge::instance::{Family, Member};
use crate::judge::plan::Purpose;
use crate::judge::{Asked, Judged};
use crate::model::{Error, ProcessId};
use crate::read::{self, Pins};

/// Late forks, and those for which there were too few descriptors.
pub(super) struct Forks {
    pub(super) targets: Vec<Target>,
    pub(super) missed: BTreeSet<(Purpose, ProcessId)>,
}

/// Late forks. The search stops at `until`.
pub(super) fn forks(targets: &[Target], asked: &Asked<'_>, until: Instant) -> Result<Forks, Error> {
    let known: Vec<_> = targets.iter().map(|target| &*target.judged.process).collect();
    let new = read::newcomers(&known, asked.caller.since, until, &asked.policy.service)?;
    let relatives: Vec<Judged> = new.into_iter().map(|process| asked.judge(process.into())).collect();
    // After the relatives were read: an ended process is nobody's parent, and its pid may have been reused.
    let alive = |target: &Target| target.pinned.pidfd().is_alive();
    // A target that lives on has its own children.
    let base = targets.iter().filter(|target| !target.lives_on());
    let base = base.map(|target| Ok((&target.judged, alive(target)?)));
    let family = Family { base: base.collect::<Result<_, Error>>()?, relatives: &relatives };
    let purpose = |of| targets.iter().find(|target| target.id() == of).map(|target| target.purpose);
    let of_purpose = |member: Member| Some((purpose(member.of)?, member.ended_with_its_instance()));
    let members = family.members(asked).into_iter().filter_map(of_purpose);
    let mut pins = Pins::default();
    let held = pins.pin(members, |(_, member)| member.judged.id())?;
    let missed = held.unpinned.iter().map(|(purpose, member)| (*purpose, member.judged.id())).collect();
    let mut targets = Vec::new();
    for (purpose, member) in held.pinned {
        targets.push(Target::of_member(pins.get(member.judged.id())?.clone(), purpose, member));
    }
    Ok(Forks { targets, missed })
}
