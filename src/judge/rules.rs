//! The verdict: identity × liveness × age. Pure.

use crate::identity::Identity;
use crate::liveness::Liveness;
use crate::policy::Allow;
use crate::protection::Protection;

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
    /// What an ended run of the caller's own unit left behind, whatever it executes.
    OwnUnit,
    /// Not the service's, and the policy ends any owner.
    AnyOwner,
    /// An instance that its supervisor runs now, and the policy ends live ones.
    EndLive,
    /// Offspring that nobody looks after, and the policy ends offspring.
    EndOffspring,
    /// Part of an instance that is ended: forked from it, or started by it where the policy ends its tree.
    Tree,
    /// The caller, its ancestors and descendants, PID 1, and what the policy names.
    Protected,
    /// Its supervisor runs it now.
    Live,
    /// It did not start before the caller, or before the instance that the caller was started by; or it was signalled
    /// in this call and has executed something since.
    Newer,
    /// Part of the holder's instance, and it listens on a port that is not to be cleared.
    Elsewhere,
    /// An instance of another profile or state folder than the caller's.
    OtherInstance,
    /// An instance started it; it is none itself.
    Offspring,
    /// Nothing of the service's.
    Foreign,
    /// What would tell may not be read.
    Unknown,
}

/// What a verdict depends on beside identity and liveness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) newer: bool,
    pub(crate) own_unit: bool,
    pub(crate) other_instance: bool,
}

pub(crate) fn decide(
    identity: &Identity,
    liveness: &Liveness,
    at: Situation,
    allow: Allow,
) -> (Verdict, Rule) {
    use Identity as I;
    use Liveness as L;
    let spare = |rule| (Verdict::Spare, rule);
    let stale = |rule| (Verdict::Stale, rule);
    match (identity, liveness) {
        (_, L::Protected(Protection::CallersAncestryUnreadable | Protection::AncestryUnreadable)) => {
            spare(Rule::Unknown)
        }
        (_, L::Protected(_)) => spare(Rule::Protected),
        // systemd itself calls it left over from the unit; what it is need not be known.
        (_, L::Leftover) if at.own_unit && !at.newer => stale(Rule::OwnUnit),
        (I::Foreign, L::Live(_) | L::Leftover | L::Unsupervised) if !allow.any_owner => spare(Rule::Foreign),
        (I::Foreign, L::Live(_) | L::Leftover | L::Unsupervised) if !at.newer => stale(Rule::AnyOwner),
        (I::Instance(_), L::Live(_)) if allow.live && !at.newer => stale(Rule::EndLive),
        (_, L::Live(_)) => spare(Rule::Live),
        (I::Unknown, _) | (_, L::Unknown) => spare(Rule::Unknown),
        (_, L::Leftover | L::Unsupervised) if at.newer => spare(Rule::Newer),
        (I::Foreign, L::Leftover | L::Unsupervised) => spare(Rule::Foreign),
        (I::Instance(_) | I::Offspring(_), L::Leftover) => stale(Rule::StaleLeftover),
        (I::Instance(_), L::Unsupervised) if at.other_instance => spare(Rule::OtherInstance),
        (I::Instance(_), L::Unsupervised) => stale(Rule::StaleInstance),
        (I::Offspring(_), L::Unsupervised) if allow.offspring => stale(Rule::EndOffspring),
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
        let plain = (Situation { newer: false, own_unit: false, other_instance: false }, Allow::default());
        let (at, allow) = plain;
        let all = Allow { any_owner: true, live: true, offspring: true };
        let newer = Situation { newer: true, own_unit: true, other_instance: true };
        // the situation, what the policy allows → the table
        type Table = [[Rule; 6]; 4];
        let tables: [(&str, Situation, Allow, Table); 7] = [
            (
                "plain",
                at,
                allow,
                [
                    [Protected, Live, StaleLeftover, StaleInstance, Unknown, Unknown],
                    [Protected, Live, StaleLeftover, Offspring, Unknown, Unknown],
                    [Protected, Foreign, Foreign, Foreign, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                "newer",
                newer,
                allow,
                [
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Foreign, Foreign, Foreign, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                "own unit",
                Situation { own_unit: true, ..at },
                allow,
                [
                    [Protected, Live, OwnUnit, StaleInstance, Unknown, Unknown],
                    [Protected, Live, OwnUnit, Offspring, Unknown, Unknown],
                    [Protected, Foreign, OwnUnit, Foreign, Unknown, Unknown],
                    [Protected, Live, OwnUnit, Unknown, Unknown, Unknown],
                ],
            ),
            (
                "other instance",
                Situation { other_instance: true, ..at },
                allow,
                [
                    [Protected, Live, StaleLeftover, OtherInstance, Unknown, Unknown],
                    [Protected, Live, StaleLeftover, Offspring, Unknown, Unknown],
                    [Protected, Foreign, Foreign, Foreign, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                "any owner",
                at,
                Allow { any_owner: true, ..allow },
                [
                    [Protected, Live, StaleLeftover, StaleInstance, Unknown, Unknown],
                    [Protected, Live, StaleLeftover, Offspring, Unknown, Unknown],
                    [Protected, AnyOwner, AnyOwner, AnyOwner, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                "live and offspring",
                at,
                Allow { live: true, offspring: true, ..allow },
                [
                    [Protected, EndLive, StaleLeftover, StaleInstance, Unknown, Unknown],
                    [Protected, Live, StaleLeftover, EndOffspring, Unknown, Unknown],
                    [Protected, Foreign, Foreign, Foreign, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
            (
                "newer, and all allowed",
                newer,
                all,
                [
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Newer, Newer, Unknown, Unknown],
                    [Protected, Live, Unknown, Unknown, Unknown, Unknown],
                ],
            ),
        ];
        for (name, at, allow, table) in tables {
            for ((row, identity), rules) in rows.iter().zip(table) {
                for ((column, liveness), rule) in columns.iter().zip(rules) {
                    let stale = matches!(
                        rule,
                        StaleInstance | StaleLeftover | OwnUnit | AnyOwner | EndLive | EndOffspring
                    );
                    let verdict = if stale { Verdict::Stale } else { Verdict::Spare };
                    let decided = decide(identity, liveness, at, allow);
                    assert_eq!(decided, (verdict, rule), "{row} × {column}, {name}");
                }
            }
        }
    }
}
