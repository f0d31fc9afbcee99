//! All or nothing, per port: a partial kill does harm and frees nothing. Pure.

use crate::facts::Holder;
use crate::port::Listener;
use crate::rules::{Rule, Verdict};
use crate::verdict::Judgement;

/// A holder with its judgement, as one decision sees it.
pub(crate) type Judged = (Holder, Judgement);

/// What to do about one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// End all holders.
    Clear,
    /// End nothing: a holder is left alone by a rule that more rights would not change.
    Held,
    /// End nothing: somebody holds the port who cannot be seen, read or signalled from here.
    Unseen,
}

pub(crate) fn plan(listeners: &[Listener], holders: &[Judged]) -> Plan {
    let by_rule =
        |(_, judgement): &Judged| judgement.verdict == Verdict::Spare && judgement.rule != Rule::Unknown;
    if holders.iter().any(by_rule) {
        return Plan::Held;
    }
    let out_of_reach =
        |(holder, judgement): &Judged| judgement.rule == Rule::Unknown || !holder.facts.signalable;
    let has_holder =
        |listener: &Listener| holders.iter().any(|(holder, _)| holder.inodes.contains(&listener.inode));
    if listeners.is_empty() || holders.iter().any(out_of_reach) || !listeners.iter().all(has_holder) {
        return Plan::Unseen;
    }
    Plan::Clear
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Evidence, Identity};
    use crate::liveness::Liveness;
    use crate::testing::{ancestors, facts, holder};

    fn judged(inodes: &[u64], rule: Rule, signalable: bool) -> Judged {
        let stale = matches!(rule, Rule::StaleInstance | Rule::StaleLeftover | Rule::AnyOwner);
        let mut holder = holder(facts(7, 10), ancestors(&[1], true));
        holder.inodes = inodes.to_vec();
        holder.facts.signalable = signalable;
        let verdict = if stale { Verdict::Stale } else { Verdict::Spare };
        let identity = Identity::Instance(Evidence::Executable);
        (holder, Judgement { identity, liveness: Liveness::Unsupervised, verdict, rule })
    }

    #[test]
    fn one_spared_or_unseen_holder_spares_them_all() {
        use Rule::{AnyOwner, Foreign, Live, StaleInstance, Unknown};
        let stale = |inode| judged(&[inode], StaleInstance, true);
        // listeners' inodes, holders → plan
        let table = [
            (vec![1], vec![stale(1)], Plan::Clear),
            (vec![1, 2], vec![stale(1), stale(2)], Plan::Clear),
            (vec![1, 2], vec![judged(&[1, 2], AnyOwner, true)], Plan::Clear),
            (vec![1], vec![stale(1), judged(&[1], Foreign, true)], Plan::Held),
            (vec![1, 2], vec![stale(1), judged(&[2], Live, true)], Plan::Held),
            (vec![1, 2], vec![stale(1)], Plan::Unseen),
            (vec![1], vec![], Plan::Unseen),
            (vec![], vec![], Plan::Unseen),
            (vec![1], vec![stale(1), judged(&[1], Unknown, true)], Plan::Unseen),
            (vec![1], vec![stale(1), judged(&[1], StaleInstance, false)], Plan::Unseen),
            (vec![1], vec![judged(&[1], Unknown, true), judged(&[1], Foreign, true)], Plan::Held),
            (vec![1, 2], vec![judged(&[1], Foreign, false)], Plan::Held),
        ];
        for (inodes, holders, expected) in table {
            let listeners: Vec<Listener> = inodes
                .iter()
                .map(|inode| Listener {
                    local: "127.0.0.1:80".parse().unwrap(),
                    inode: *inode,
                    uid: 0,
                    v6only: None,
                })
                .collect();
            assert_eq!(plan(&listeners, &holders), expected, "{inodes:?} {holders:?}");
        }
    }
}
