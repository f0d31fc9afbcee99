//! What is to be done with a holder: identity × liveness × age. Pure.

use crate::facts::Holder;
use crate::identity::{Identity, Resolved, identity};
use crate::liveness::{Caller, Liveness, Protection, liveness};

/// What was decided about a holder. There is no third answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Nobody's current server: it may be ended.
    Stale,
    /// It is left alone.
    Spare,
}

/// The rule that gave a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// An instance that nobody looks after.
    StaleInstance,
    /// What is left of an ended run.
    StaleLeftover,
    /// Not the service's, and the policy ends any owner.
    AnyOwner,
    /// The caller, its ancestors and descendants, PID 1, and what the policy names.
    Protected,
    /// Its supervisor runs it now.
    Live,
    /// It did not start before the caller.
    Newer,
    /// An instance started it; it is none itself.
    Offspring,
    /// Nothing of the service's.
    Foreign,
    /// What would tell may not be read.
    Unknown,
}

/// A verdict with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// What the process is to the service.
    pub identity: Identity,
    /// Whose it is now.
    pub liveness: Liveness,
    /// What is to be done.
    pub verdict: Verdict,
    /// By which rule.
    pub rule: Rule,
}

/// Everything a judgement depends on beside the holder.
pub(crate) struct Context<'a> {
    pub(crate) service: Resolved<'a>,
    pub(crate) caller: Caller,
    pub(crate) protect: &'a [u32],
    pub(crate) any_owner: bool,
    /// Listeners that a stale instance held in this call. Nobody can hold one of them who did not get it
    /// from that instance, so a fork of it is no newcomer, however young.
    pub(crate) inherited: Vec<u64>,
}

pub(crate) fn judge(holder: &Holder, context: &Context<'_>) -> Judgement {
    let identity = identity(&holder.facts, &holder.ancestry, &context.service);
    let liveness = liveness(holder, &context.caller, context.protect);
    let inherited = holder.inodes.iter().any(|inode| context.inherited.contains(inode));
    let newer = context.caller.is_newer(&holder.facts) && !inherited;
    let (verdict, rule) = decide(&identity, &liveness, newer, context.any_owner);
    Judgement { identity, liveness, verdict, rule }
}

fn decide(identity: &Identity, liveness: &Liveness, newer: bool, any_owner: bool) -> (Verdict, Rule) {
    use Identity as I;
    use Liveness as L;
    let spare = |rule| (Verdict::Spare, rule);
    match (identity, liveness) {
        (_, L::Protected(Protection::CallersAncestryUnreadable | Protection::AncestryUnreadable)) => {
            spare(Rule::Unknown)
        }
        (_, L::Protected(_)) => spare(Rule::Protected),
        (I::Foreign, L::Live(_) | L::Leftover | L::Unsupervised) if any_owner && !newer => {
            (Verdict::Stale, Rule::AnyOwner)
        }
        (I::Foreign, L::Live(_) | L::Leftover | L::Unsupervised) if !any_owner => spare(Rule::Foreign),
        (_, L::Live(_)) => spare(Rule::Live),
        (I::Unknown, _) | (_, L::Unknown) => spare(Rule::Unknown),
        (_, L::Leftover | L::Unsupervised) if newer => spare(Rule::Newer),
        (I::Foreign, L::Leftover | L::Unsupervised) => spare(Rule::Foreign),
        (I::Instance(_), L::Unsupervised) => (Verdict::Stale, Rule::StaleInstance),
        (I::Instance(_) | I::Offspring(_), L::Leftover) => (Verdict::Stale, Rule::StaleLeftover),
        (I::Offspring(_), L::Unsupervised) => spare(Rule::Offspring),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Evidence, Trace};
    use crate::liveness::Supervisor;

    /// The verdict table, cell by cell: rows identity, columns liveness. The letter is what the rule is
    /// called here; capitals are stale.
    #[test]
    fn every_cell_of_the_verdict_table() {
        let rows = [
            ("instance", Identity::Instance(Evidence::Executable)),
            ("offspring", Identity::Offspring(Trace::OtherExecutable)),
            ("foreign", Identity::Foreign),
            ("unknown", Identity::Unknown),
        ];
        let columns = [
            ("protected", Liveness::Protected(Protection::Ancestor)),
            ("live", Liveness::Live(Supervisor::Container(None))),
            ("leftover", Liveness::Leftover),
            ("unsupervised", Liveness::Unsupervised),
            ("unknown", Liveness::Unknown),
            ("unread", Liveness::Protected(Protection::CallersAncestryUnreadable)),
        ];
        use Rule::*;
        // newer, any owner → the table
        let tables: [(bool, bool, [[Rule; 6]; 4]); 4] = [
            (
                false,
                false,
                [
                    [Protected, Live, StaleLeftover, StaleInstance, Unknown, Unknown],
                    [Protected, Live, StaleLeftover, Offspring, Unknown, Unknown],
                    [Protected, Foreign, Foreign, Foreign, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                true,
                false,
                [
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Foreign, Foreign, Foreign, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                false,
                true,
                [
                    [Protected, Live, StaleLeftover, StaleInstance, Unknown, Unknown],
                    [Protected, Live, StaleLeftover, Offspring, Unknown, Unknown],
                    [Protected, AnyOwner, AnyOwner, AnyOwner, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                true,
                true,
                [
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
        ];
        for (newer, any_owner, table) in tables {
            for ((row, identity), rules) in rows.iter().zip(table) {
                for ((column, liveness), rule) in columns.iter().zip(rules) {
                    let stale = matches!(rule, StaleInstance | StaleLeftover | AnyOwner);
                    let verdict = if stale { Verdict::Stale } else { Verdict::Spare };
                    assert_eq!(
                        decide(identity, liveness, newer, any_owner),
                        (verdict, rule),
                        "{row} × {column}, newer {newer}, any owner {any_owner}"
                    );
                }
            }
        }
    }
}
