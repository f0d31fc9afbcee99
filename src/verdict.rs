//! What is to be done with a holder: identity × liveness × age. Pure.

use std::sync::Arc;

use crate::facts::{Ancestry, Facts, Holder, Image, ProcessId, Seen};
use crate::identity::{Identity, Resolved, identity};
use crate::liveness::{Caller, Liveness, Protection, liveness};
use crate::policy::Allow;

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
    /// It did not start before the caller, or before the instance that the caller was started by.
    Newer,
    /// Part of the holder's instance, and it listens on a port that the holder does not.
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
    pub(crate) allow: Allow,
    /// Listeners that a stale process held in this call, and its image. Who holds one of them in the same
    /// image was forked from it and is no newcomer, however young. After an exec it may be the successor
    /// that the instance handed its socket to.
    pub(crate) inherited: Vec<(u64, Image)>,
}

pub(crate) fn judge(holder: &Holder, context: &Context<'_>) -> Judgement {
    let identity = identity(&holder.facts, &holder.ancestry, &context.service);
    let liveness = match callers_instance(holder, context) {
        Some(pid) => Liveness::Protected(Protection::SameInstance(pid)),
        None => liveness(holder, &context.caller, context.protect),
    };
    let newer = context.caller.is_newer(&holder.facts) && !inherited(holder, context);
    let own_unit = holder.facts.unit().is_some_and(|unit| context.caller.owns(&unit));
    let situation = Situation { newer, own_unit, other_instance: other_instance(holder, context) };
    let (verdict, rule) = decide(&identity, &liveness, situation, context.allow);
    Judgement { identity, liveness, verdict, rule }
}

/// The instance that the caller descends from, where the holder is another process of it: a gateway's sidecar
/// must not end the gateway's worker.
fn callers_instance(holder: &Holder, context: &Context<'_>) -> Option<u32> {
    let callers = |facts: &&Facts| context.caller.ancestors.contains(&facts.id.pid);
    instances(&holder.ancestry.line, &context.service).find(callers).map(|facts| facts.id.pid)
}

/// When the server started that asks: the earliest start of the caller and of the instances it descends from.
/// A server may start a program of its own to ask, and is older than that; so may its rival, which would then
/// look older than the call.
pub(crate) fn asked_since(caller: ProcessId, line: &[Arc<Facts>], service: &Resolved<'_>) -> u64 {
    let starts = instances(line, service).map(|facts| facts.id.start_ticks);
    starts.fold(caller.start_ticks, u64::min)
}

/// The instances in a line of parents, nearest first.
fn instances<'a>(line: &'a [Arc<Facts>], service: &'a Resolved<'a>) -> impl Iterator<Item = &'a Facts> {
    let is_instance = |at: usize, facts: &Facts| {
        let above = Ancestry { line: line.get(at + 1..).unwrap_or_default().to_vec(), complete: true };
        matches!(identity(facts, &above, service), Identity::Instance(_))
    };
    line.iter().enumerate().filter(move |(at, facts)| is_instance(*at, facts)).map(|(_, facts)| &**facts)
}

fn inherited(holder: &Holder, context: &Context<'_>) -> bool {
    let fork =
        |(inode, image): &(u64, Image)| holder.inodes.contains(inode) && holder.facts.is_fork_of(image);
    context.inherited.iter().any(fork)
}

/// Whether the holder is an instance of another profile or state folder. Only a caller that carries the marker
/// is an instance of some profile itself.
pub(crate) fn other_instance(holder: &Holder, context: &Context<'_>) -> bool {
    match (&context.caller.instance, &holder.facts.environ) {
        (Some(callers), Seen::Value(environ)) => context.service.service.instance_of(environ) != *callers,
        _ => false,
    }
}

/// What a verdict depends on beside identity and liveness.
#[derive(Clone, Copy, Debug)]
struct Situation {
    newer: bool,
    own_unit: bool,
    other_instance: bool,
}

fn decide(identity: &Identity, liveness: &Liveness, at: Situation, allow: Allow) -> (Verdict, Rule) {
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
    use crate::facts::Exe;
    use crate::identity::{Evidence, Trace};
    use crate::liveness::Supervisor;
    use crate::testing::{ancestors, facts, holder};

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

    fn context(service: &crate::Service) -> Context<'_> {
        let id = ProcessId { pid: 500, start_ticks: 5_000 };
        Context {
            service: Resolved { service, executables: vec![("/opt/gw".into(), Some((9, 9)))] },
            caller: Caller {
                id,
                since: id.start_ticks,
                uid: 0,
                ancestors: vec![400, 1],
                ancestry_complete: true,
                blinds: None,
                unit: None,
                of_current_run: false,
                instance: None,
                service_pid: None,
            },
            protect: &[],
            allow: Allow { any_owner: true, ..Allow::default() },
            inherited: vec![(7, Image { stack: 7, environ_end: 0x7ffc_0000_0000 })],
        }
    }

    #[test]
    fn a_worker_of_the_callers_own_instance_is_protected() {
        let service = crate::Service::new("gw").executable("/opt/gw");
        let context = context(&service);
        let gateway = |pid| {
            let mut facts = facts(pid, 10);
            facts.exe = Seen::Value(Exe { path: "/opt/gw".into(), replaced: false, file: (9, 9) });
            facts
        };
        let below =
            |parent: Facts| holder(gateway(600), Ancestry { line: vec![parent.into()], complete: true });
        // Its parent is an instance and the caller's ancestor; the one and not the other; neither.
        let own = judge(&below(gateway(400)), &context);
        assert_eq!(own.liveness, Liveness::Protected(Protection::SameInstance(400)));
        assert_eq!((own.verdict, own.rule), (Verdict::Spare, Rule::Protected));
        assert_eq!(judge(&below(facts(400, 10)), &context).rule, Rule::StaleInstance);
        assert_eq!(judge(&below(gateway(401)), &context).rule, Rule::StaleInstance);
    }

    #[test]
    fn who_asks_is_as_old_as_the_oldest_instance_it_descends_from() {
        let service = crate::Service::new("gw").executable("/opt/gw");
        let context = context(&service);
        let process = |start, exe: &str| {
            let mut facts = facts(400, start);
            let file = if exe == "/opt/gw" { (9, 9) } else { (1, 1) };
            facts.exe = Seen::Value(Exe { path: exe.into(), replaced: false, file });
            facts
        };
        let (gw, sh) = (|start| process(start, "/opt/gw"), |start| process(start, "/bin/sh"));
        let unreadable = |start| Facts { exe: Seen::Denied, ..gw(start) };
        // The parents, nearest first, of a caller that started at 5000 → since when it asks
        let table = [
            (vec![], 5_000),
            (vec![sh(4_000), sh(10)], 5_000),
            (vec![unreadable(4_000)], 5_000),
            (vec![gw(4_000), sh(10)], 4_000),
            (vec![sh(4_500), gw(4_000), sh(10)], 4_000),
            (vec![gw(4_000), sh(3_500), gw(3_000)], 3_000),
            (vec![gw(5_000)], 5_000),
        ];
        for (line, since) in table {
            let arcs: Vec<Arc<Facts>> = line.iter().cloned().map(Arc::new).collect();
            assert_eq!(asked_since(context.caller.id, &arcs, &context.service), since, "{line:?}");
        }
    }

    #[test]
    fn a_fork_of_what_was_ended_is_no_newcomer_and_an_exec_is() {
        let service = crate::Service::new("gw").executable("/opt/gw");
        let context = context(&service);
        let young = |inode, stack: u64, forked| {
            let mut holder = holder(facts(600, 6_000), ancestors(&[1], true));
            holder.inodes = vec![inode];
            holder.facts.image = Image { stack, environ_end: 0x7ffc_0000_0000 };
            holder.facts.only_forked = forked;
            judge(&holder, &context).rule
        };
        assert_eq!(young(7, 7, true), Rule::AnyOwner);
        assert_eq!(young(7, 7, false), Rule::Newer);
        assert_eq!(young(7, 8, true), Rule::Newer);
        assert_eq!(young(8, 7, true), Rule::Newer);
    }
}
