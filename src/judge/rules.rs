//! The verdict: identity × liveness × age. Pure.

use crate::model::{Ends, Identity, Liveness, NewerThan, Protection, Verdict, Why, WhyNot};

/// What a verdict depends on beside identity and liveness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) newer: Option<NewerThan>,
    pub(crate) own_unit: bool,
    pub(crate) other_instance: bool,
}

pub(crate) fn decide(identity: &Identity, liveness: &Liveness, at: Situation, also: Ends) -> Verdict {
    use Identity as I;
    use Liveness as L;
    use Verdict::{Spared, Stale};
    match (identity, liveness) {
        (_, L::Protected(Protection::CallersAncestryUnreadable | Protection::AncestryUnreadable)) => {
            Spared(WhyNot::Unknown)
        }
        (_, L::Protected(_)) => Spared(WhyNot::Protected),
        // systemd itself calls it left over from the unit, so its identity does not matter.
        (_, L::Leftover) if at.own_unit && at.newer.is_none() => Stale(Why::OwnUnit),
        (I::Foreign, L::Live(_) | L::Leftover | L::Unsupervised) if !also.any_owner => Spared(WhyNot::Foreign),
        (I::Foreign, L::Live(_) | L::Leftover | L::Unsupervised) if at.newer.is_none() => Stale(Why::AnyOwner),
        (I::Instance(_), L::Live(_)) if also.live && at.newer.is_none() && !at.other_instance => Stale(Why::Live),
        (_, L::Live(_)) => Spared(WhyNot::Live),
        (I::Unknown, _) | (_, L::Unknown) => Spared(WhyNot::Unknown),
        (_, L::Leftover | L::Unsupervised) if let Some(than) = at.newer => Spared(WhyNot::Newer(than)),
        (I::Foreign, L::Leftover | L::Unsupervised) => Spared(WhyNot::Foreign),
        (I::Instance(_) | I::Offspring(_), L::Leftover) => Stale(Why::Leftover),
        (I::Instance(_), L::Unsupervised) if at.other_instance => Spared(WhyNot::OtherInstance),
        (I::Instance(_), L::Unsupervised) => Stale(Why::Instance),
        (I::Offspring(_), L::Unsupervised) if also.offspring => Stale(Why::Offspring),
        (I::Offspring(_), L::Unsupervised) => Spared(WhyNot::Offspring),
    }
}

/// The verdict on a process that a person has approved. No approval ends a protected process, or one whose evidence may
/// not be read.
pub(crate) const fn approve(identity: &Identity, verdict: Verdict) -> Verdict {
    match (identity, verdict) {
        (_, Verdict::Spared(WhyNot::Protected | WhyNot::Unknown | WhyNot::Elsewhere))
        | (Identity::Unknown, Verdict::Spared(_)) => verdict,
        _ => Verdict::Stale(Why::Approved),
    }
}

/// The verdict on a process that a person has not approved.
pub(crate) const fn decline(verdict: Verdict) -> Verdict {
    if verdict.is_stale() { Verdict::Spared(WhyNot::Declined) } else { verdict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Evidence, Supervisor, Trace};

    const END_INSTANCE: Verdict = Verdict::Stale(Why::Instance);
    const END_LEFTOVER: Verdict = Verdict::Stale(Why::Leftover);
    const END_OWN_UNIT: Verdict = Verdict::Stale(Why::OwnUnit);
    const END_ANY_OWNER: Verdict = Verdict::Stale(Why::AnyOwner);
    const END_LIVE: Verdict = Verdict::Stale(Why::Live);
    const END_OFFSPRING: Verdict = Verdict::Stale(Why::Offspring);
    const END_APPROVED: Verdict = Verdict::Stale(Why::Approved);
    const DECLINED: Verdict = Verdict::Spared(WhyNot::Declined);
    const PROTECTED: Verdict = Verdict::Spared(WhyNot::Protected);
    const LIVE: Verdict = Verdict::Spared(WhyNot::Live);
    const NEWER: Verdict = Verdict::Spared(WhyNot::Newer(NewerThan::Caller));
    const OTHER_INSTANCE: Verdict = Verdict::Spared(WhyNot::OtherInstance);
    const OFFSPRING: Verdict = Verdict::Spared(WhyNot::Offspring);
    const FOREIGN: Verdict = Verdict::Spared(WhyNot::Foreign);
    const UNKNOWN: Verdict = Verdict::Spared(WhyNot::Unknown);

    fn rows() -> [(&'static str, Identity); 4] {
        [
            ("instance", Identity::Instance(Evidence::Executable)),
            ("offspring", Identity::Offspring(Trace::OtherExecutable)),
            ("foreign", Identity::Foreign),
            ("unknown", Identity::Unknown),
        ]
    }

    fn columns() -> [(&'static str, Liveness); 5] {
        [
            ("protected", Liveness::Protected(Protection::Ancestor)),
            ("live", Liveness::Live(Supervisor::Container(None))),
            ("left over", Liveness::Leftover),
            ("unsupervised", Liveness::Unsupervised),
            ("unknown", Liveness::Unknown),
        ]
    }

    /// The verdict table, cell by cell: rows identity, columns liveness.
    #[test]
    fn every_cell_of_the_verdict_table() {
        let rows = rows();
        let [a, b, c, d, e] = columns();
        let columns = [a, b, c, d, e, ("unread", Liveness::Protected(Protection::CallersAncestryUnreadable))];
        let plain = (Situation { newer: None, own_unit: false, other_instance: false }, Ends::default());
        let (at, allow) = plain;
        let all = Ends { any_owner: true, live: true, offspring: true, ..allow };
        let newer = Situation { newer: Some(NewerThan::Caller), own_unit: true, other_instance: true };
        // the situation, what the policy allows → the table
        type Table = [[Verdict; 6]; 4];
        let tables: [(&str, Situation, Ends, Table); 8] = [
            (
                "plain",
                at,
                allow,
                [
                    [PROTECTED, LIVE, END_LEFTOVER, END_INSTANCE, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_LEFTOVER, OFFSPRING, UNKNOWN, UNKNOWN],
                    [PROTECTED, FOREIGN, FOREIGN, FOREIGN, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "newer",
                newer,
                allow,
                [
                    [PROTECTED, LIVE, NEWER, NEWER, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, NEWER, NEWER, UNKNOWN, UNKNOWN],
                    [PROTECTED, FOREIGN, FOREIGN, FOREIGN, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "own unit",
                Situation { own_unit: true, ..at },
                allow,
                [
                    [PROTECTED, LIVE, END_OWN_UNIT, END_INSTANCE, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_OWN_UNIT, OFFSPRING, UNKNOWN, UNKNOWN],
                    [PROTECTED, FOREIGN, END_OWN_UNIT, FOREIGN, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_OWN_UNIT, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "other instance",
                Situation { other_instance: true, ..at },
                allow,
                [
                    [PROTECTED, LIVE, END_LEFTOVER, OTHER_INSTANCE, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_LEFTOVER, OFFSPRING, UNKNOWN, UNKNOWN],
                    [PROTECTED, FOREIGN, FOREIGN, FOREIGN, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "any owner",
                at,
                Ends { any_owner: true, ..allow },
                [
                    [PROTECTED, LIVE, END_LEFTOVER, END_INSTANCE, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_LEFTOVER, OFFSPRING, UNKNOWN, UNKNOWN],
                    [PROTECTED, END_ANY_OWNER, END_ANY_OWNER, END_ANY_OWNER, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "live and offspring",
                at,
                Ends { live: true, offspring: true, ..allow },
                [
                    [PROTECTED, END_LIVE, END_LEFTOVER, END_INSTANCE, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_LEFTOVER, END_OFFSPRING, UNKNOWN, UNKNOWN],
                    [PROTECTED, FOREIGN, FOREIGN, FOREIGN, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "live ones of another instance",
                Situation { other_instance: true, ..at },
                Ends { live: true, ..allow },
                [
                    [PROTECTED, LIVE, END_LEFTOVER, OTHER_INSTANCE, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, END_LEFTOVER, OFFSPRING, UNKNOWN, UNKNOWN],
                    [PROTECTED, FOREIGN, FOREIGN, FOREIGN, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
            (
                "newer, and all allowed",
                newer,
                all,
                [
                    [PROTECTED, LIVE, NEWER, NEWER, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, NEWER, NEWER, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, NEWER, NEWER, UNKNOWN, UNKNOWN],
                    [PROTECTED, LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
                ],
            ),
        ];
        for (name, at, allow, table) in tables {
            for ((row, identity), rules) in rows.iter().zip(table) {
                for ((column, liveness), expected) in columns.iter().zip(rules) {
                    let decided = decide(identity, liveness, at, allow);
                    assert_eq!(decided, expected, "{row} × {column}, {name}");
                    let read = expected != UNKNOWN && (expected.is_stale() || *row != "unknown");
                    let approved = if read && expected != PROTECTED { END_APPROVED } else { expected };
                    assert_eq!(approve(identity, decided), approved, "{row} × {column}, {name}, approved");
                    let declined = if expected.is_stale() { DECLINED } else { expected };
                    assert_eq!(decline(decided), declined, "{row} × {column}, {name}, declined");
                }
            }
        }
    }
    /// A cell says which verdict a process gets without an option, which option or situation makes it stale or spared,
    /// and in brackets the exit status of a process whose facts may not be read.
    #[test]
    fn the_page_shows_this_table() {
        let page = include_str!("../../docs/decisions.md");
        let rows = rows();
        let columns = columns();
        let names = columns.each_ref().map(|(name, _)| *name).join(" | ");
        assert!(page.contains(&format!("\n| | {names} |\n|")), "{names}");
        let plain = Situation { newer: None, own_unit: false, other_instance: false };
        let none = Ends::default();
        for (row, identity) in &rows {
            let line = page.lines().find_map(|line| line.strip_prefix(&format!("| {row} | "))).unwrap();
            for (cell, (column, liveness)) in line.trim_end_matches(" |").split(" | ").zip(&columns) {
                let verdict = |at, ends| decide(identity, liveness, at, ends);
                let is_stale = |at, ends| verdict(at, ends).is_stale();
                let own = is_stale(Situation { own_unit: true, ..plain }, none);
                let other = is_stale(Situation { other_instance: true, ..plain }, none);
                let stale = is_stale(plain, none);
                assert_eq!(cell.starts_with("**stale**"), stale, "{row} × {column}: {cell}");
                let claims = [
                    ("`--live`", is_stale(plain, Ends { live: true, ..none }) != stale),
                    ("`--offspring`", is_stale(plain, Ends { offspring: true, ..none }) != stale),
                    ("`--any-owner`", is_stale(plain, Ends { any_owner: true, ..none }) != stale),
                    ("in the caller's own unit: **stale**", own != stale),
                    ("of another profile: spared", other != stale),
                    ("(4)", verdict(plain, none) == Verdict::Spared(WhyNot::Unknown)),
                ];
                for (words, holds) in claims {
                    assert_eq!(cell.contains(words), holds, "{row} × {column}: {words}: {cell}");
                }
            }
        }
    }
}
