//! Decide whether two processes belong to one instance. Pure; `instance` has the tests.

use super::Judged;
use crate::model::{Evidence, Facts, Identity, Liveness, Record, Script, Seen, Service};

/// What the ties depend on beside the two processes.
pub(crate) struct Ties<'a> {
    pub(crate) service: &'a Service,
    /// When the call began, in clock ticks.
    pub(crate) since: u64,
}

impl Ties<'_> {
    /// Parent and child are parts of the same instance.
    fn same_instance(&self, one: &Judged, other: &Judged) -> bool {
        let ends = |judged: &Judged| judged.judgement.identity.is_instance() && judged.judgement.verdict.is_stale();
        let (a, b) = (&one.process.facts, &other.process.facts);
        ends(one) && ends(other) && a.run == b.run && a.shares_cgroup(b) && self.same_keys(a, b)
    }

    /// The child of an instance is another part of it. A process that hides its script may be any program that the
    /// runtime runs: npm gives itself a title, for example. Such a child is a part only if it has executed nothing.
    pub(crate) fn is_worker(&self, child: &Judged, parent: &Judged) -> bool {
        self.same_instance(child, parent) && (is_script_known(child) || is_child_fork(child, parent))
    }

    /// The parent of an instance is another part of it, and not some supervisor that uses the same runtime.
    pub(crate) fn is_launcher(&self, parent: &Judged, child: &Judged) -> bool {
        self.same_instance(parent, child) && (is_script_known(parent) || is_child_fork(child, parent))
            || self.is_launcher_of_a_lock(parent, child)
    }

    /// A launcher whose title hides its script, and that has no lock: the gateway that it started has it. Any other
    /// title acquits it.
    fn is_launcher_of_a_lock(&self, parent: &Judged, child: &Judged) -> bool {
        let (a, b) = (&parent.process.facts, &child.process.facts);
        let has_lock = matches!(child.judgement.identity, Identity::Instance(Evidence::Lock(_)));
        let is_titled = a.script == Script::Hidden && a.lock.is_none() && self.service.is_titled(a);
        let alike = a.file().is_some() && a.file() == b.file() && a.session == b.session && a.uid == b.uid;
        let may_end = may_be_ended(parent) && !matches!(parent.judgement.liveness, Liveness::Live(_));
        child.judgement.verdict.is_stale()
            && has_lock
            && is_titled
            && alike
            && may_end
            && a.run == b.run
            && a.shares_cgroup(b)
    }

    /// The child of a member belongs to its tree.
    pub(crate) fn is_offspring(&self, child: &Judged, parent: &Judged) -> bool {
        let (facts, of) = (&child.process.facts, &parent.process.facts);
        let instance = child.judgement.identity.is_instance();
        // A process that the instance executed since the call began may be its successor.
        let successor = instance && self.is_late(facts) && !is_forked_from(facts, of);
        may_be_ended(child)
            && facts.shares_cgroup(of)
            && !successor
            && (!instance || self.same_keys(facts, of))
            && (!is_of_current_run(facts) || matches!(parent.judgement.liveness, Liveness::Live(_)))
    }

    /// A process that has lost its parent belongs to `base` by the marker and the run.
    pub(crate) fn is_orphan(&self, orphan: &Judged, base: &Judged) -> bool {
        let (facts, of) = (&orphan.process.facts, &base.process.facts);
        let is_marked = |facts: &Facts| facts.environ.value().is_some_and(|environ| self.service.is_marked(environ));
        let offspring = matches!(orphan.judgement.identity, Identity::Offspring(_));
        let alike = match (&orphan.judgement.liveness, &base.judgement.liveness) {
            (Liveness::Leftover, Liveness::Leftover) => offspring || orphan.judgement.verdict.is_stale(),
            // The policy ends a live instance: its offspring goes with it.
            (Liveness::Live(theirs), Liveness::Live(own)) => theirs == own && offspring,
            (Liveness::Unsupervised, Liveness::Unsupervised) => offspring && !self.is_late(facts),
            _ => false,
        };
        alike
            && may_be_ended(orphan)
            && is_marked(facts)
            && is_marked(of)
            && facts.shares_run(of)
            && facts.shares_cgroup(of)
            && self.same_keys(facts, of)
    }

    /// The process was forked from `base` since the call began.
    pub(crate) fn is_late_fork(&self, process: &Judged, base: &Judged) -> bool {
        let (facts, of) = (&process.process.facts, &base.process.facts);
        self.is_late(facts)
            && is_forked_from(facts, of)
            && facts.shares_cgroup(of)
            && may_be_ended(process)
            && !is_of_current_run(facts)
    }

    const fn is_late(&self, facts: &Facts) -> bool {
        facts.id.start_ticks >= self.since
    }

    fn same_keys(&self, one: &Facts, other: &Facts) -> bool {
        let keys = |facts: &Facts| facts.environ.value().map(|environ| self.service.instance_of(environ));
        keys(one).is_some() && keys(one) == keys(other)
    }
}

/// Its executable or script shows what it is.
fn is_script_known(judged: &Judged) -> bool {
    let in_a_package = matches!(judged.process.facts.script, Script::At { package: Some(_), .. });
    judged.judgement.identity.is_by_own_lineage() || in_a_package
}

/// For a child the kernel's flag is enough. It works without address randomisation, too.
fn is_child_fork(child: &Judged, parent: &Judged) -> bool {
    let (child, parent) = (&child.process.facts, &parent.process.facts);
    child.only_forked && child.file() == parent.file()
}

/// Both have the same exec mark: neither has executed anything since the fork ([`crate::model::ExecMark`]).
fn is_forked_from(facts: &Facts, of: &Facts) -> bool {
    facts.file().is_some() && facts.file() == of.file() && facts.is_fork_of(&of.mark)
}

/// It is not protected, its identity is known, and no container runs it.
fn may_be_ended(judged: &Judged) -> bool {
    !matches!(judged.judgement.liveness, Liveness::Protected(_))
        && judged.judgement.identity != Identity::Unknown
        && judged.process.facts.nested == Seen::Value(false)
}

fn is_of_current_run(facts: &Facts) -> bool {
    matches!(&facts.record, Record::Current { run, .. } if facts.run.as_ref() == Some(run))
}
