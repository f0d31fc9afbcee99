//! Find the processes that have come to the trees of the targets since the call began.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Target;
use crate::judge::instance::{Family, Member};
use crate::judge::plan::Purpose;
use crate::judge::{Asked, Judged};
use crate::model::{Error, ProcessId};
use crate::read;

/// Late forks, as far as they were found by `until`, and those that the descriptors did not suffice for.
pub(super) fn forks(
    targets: &[Target], asked: &Asked<'_>, until: Instant,
) -> Result<(Vec<Target>, BTreeSet<(Purpose, ProcessId)>), Error> {
    let known: Vec<_> = targets.iter().map(|target| &*target.judged.process).collect();
    let new = read::newcomers(&known, asked.caller.since, until, &asked.policy.service)?;
    let relatives: Vec<Judged> = new.into_iter().map(|process| asked.judge(process.into())).collect();
    // Now, after all the others were read: an ended process is nobody's parent, and its pid may be another's.
    let alive = |target: &Target| target.pinned.pidfd().is_alive();
    let base: Vec<(&Judged, bool)> =
        targets.iter().map(|target| Ok((&target.judged, alive(target)?))).collect::<Result<_, Error>>()?;
    let members = Family { base, relatives: &relatives }.members(asked);
    let purpose = |member: &Member| targets.iter().find(|target| target.id() == member.of).map(|target| target.purpose);
    let members = members.into_iter().filter_map(|member| Some((purpose(&member)?, member.ended_with_its_instance())));
    let pins = read::pin(members, |(_, member)| member.judged.id())?;
    let new = pins.pinned.into_iter().map(|(pinned, (purpose, member))| Target::of_member(pinned, purpose, member));
    let missed = pins.rest.into_iter().map(|(purpose, member)| (purpose, member.judged.id()));
    Ok((new.collect(), missed.collect()))
}
