//! The judgement of a holder, by what was read of it and by who asks. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::facts::{Ancestry, Facts, Holder, Image, ProcessId, Seen};
use crate::identity::{Evidence, Identity, Resolved, identity};
use crate::liveness::{Caller, Liveness, liveness};
use crate::policy::Allow;
use crate::protection::Protection;
use crate::rules::{Rule, Situation, Verdict, decide};

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
    /// What was signalled in this call, and has executed something since: its own successor, in its own place.
    pub(crate) changed: BTreeSet<ProcessId>,
}

impl Context<'_> {
    /// Whether it is not older than the caller, or has become another since it was signalled.
    pub(crate) fn is_newer(&self, facts: &Facts) -> bool {
        self.caller.is_newer(facts) || self.changed.contains(&facts.id)
    }
}

pub(crate) fn judge(holder: &Holder, context: &Context<'_>) -> Judgement {
    let identity = identity(&holder.facts, &holder.ancestry, &context.service);
    let liveness = match callers_instance(holder, context) {
        Some(pid) => Liveness::Protected(Protection::SameInstance(pid)),
        None => {
            let told = matches!(&identity, Identity::Instance(Evidence::Executable | Evidence::Package(_)));
            liveness(holder, &context.caller, context.protect, told)
        }
    };
    let newer = context.is_newer(&holder.facts) && !inherited(holder, context);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Exe;
    use crate::testing::{ancestors, facts, holder};

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
                container: None,
                of_current_run: false,
                instance: None,
                service_pid: None,
            },
            protect: &[],
            allow: Allow { any_owner: true, ..Allow::default() },
            inherited: vec![(7, Image { stack: 7, environ_end: 0x7ffc_0000_0000 })],
            changed: BTreeSet::new(),
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
