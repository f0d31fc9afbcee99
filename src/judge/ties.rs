//! What ties two processes to one instance. Pure; `tree` has the tests.

use crate::facts::{Entry, Facts, Record, Seen};
use crate::identity::{Evidence, Identity, marked};
use crate::liveness::Liveness;
use crate::plan::Judged;
use crate::rules::Verdict;
use crate::service::Service;
use crate::verdict::Judgement;

/// What ties two processes together.
pub(crate) struct Ties<'a> {
    pub(crate) service: &'a Service,
    /// When the call began, in clock ticks.
    pub(crate) since: u64,
}

impl Ties<'_> {
    /// Whether two processes, parent and child, are one instance.
    pub(crate) fn same_instance(&self, one: &Judged, other: &Judged) -> bool {
        let instance = |(_, judgement): &Judged| matches!(judgement.identity, Identity::Instance(_));
        let (a, b) = (&one.0.facts, &other.0.facts);
        instance(one)
            && instance(other)
            && one.1.verdict == Verdict::Stale
            && other.1.verdict == Verdict::Stale
            && a.run() == b.run()
            && same_place(a, b)
            && self.same_keys(a, b)
    }

    /// Whether a child of an instance is another part of it. What hides its script may be anything that the runtime
    /// runs, as npm is, which gives itself a title: such a one is a part only where it has executed nothing of its own.
    pub(crate) fn is_worker(&self, child: &Judged, parent: &Judged) -> bool {
        self.same_instance(child, parent) && (is_told(child) || is_child_fork(child, parent))
    }

    /// Whether the parent of an instance is another part of it, and not a supervisor of many that the runtime runs, too.
    pub(crate) fn is_launcher(&self, parent: &Judged, child: &Judged) -> bool {
        self.same_instance(parent, child) && (is_told(parent) || is_child_fork(child, parent))
    }

    /// Whether a child of a member is ended with its tree.
    pub(crate) fn belongs(&self, (holder, judgement): &Judged, parent: &Judged) -> bool {
        let (facts, of) = (&holder.facts, &parent.0.facts);
        let instance = matches!(judgement.identity, Identity::Instance(_));
        // What the instance executed since the call began may be its successor.
        let successor = instance && self.is_late(facts) && !forked_from(facts, of);
        may_be_ended(judgement, facts)
            && same_place(facts, of)
            && !successor
            && (!instance || self.same_keys(facts, of))
            && (!of_current_run(facts) || matches!(parent.1.liveness, Liveness::Live(_)))
    }

    /// Whether a process that has lost its parent is of the same service and run as one that is to be ended.
    pub(crate) fn is_orphan(&self, (holder, judgement): &Judged, (base, why): &Judged) -> bool {
        let (facts, of) = (&holder.facts, &base.facts);
        let marked =
            |facts: &Facts| facts.environ.value().is_some_and(|environ| marked(environ, self.service));
        let offspring = matches!(judgement.identity, Identity::Offspring(_));
        let alike = match (&judgement.liveness, &why.liveness) {
            (Liveness::Leftover, Liveness::Leftover) => offspring || judgement.verdict == Verdict::Stale,
            // The instance's own run, which was to be ended although it lives.
            (Liveness::Live(theirs), Liveness::Live(own)) => theirs == own && offspring,
            (Liveness::Unsupervised, Liveness::Unsupervised) => offspring && !self.is_late(facts),
            _ => false,
        };
        alike
            && may_be_ended(judgement, facts)
            && marked(facts)
            && marked(of)
            && of_one_run(facts, of)
            && same_place(facts, of)
            && self.same_keys(facts, of)
    }

    /// Whether the process was forked, since the call began, from one that is to be ended.
    pub(crate) fn is_late_fork(&self, (holder, judgement): &Judged, (base, _): &Judged) -> bool {
        let facts = &holder.facts;
        self.is_late(facts)
            && forked_from(facts, &base.facts)
            && same_place(facts, &base.facts)
            && may_be_ended(judgement, facts)
            && !of_current_run(facts)
    }

    fn is_late(&self, facts: &Facts) -> bool {
        facts.id.start_ticks >= self.since
    }

    fn same_keys(&self, one: &Facts, other: &Facts) -> bool {
        let keys = |facts: &Facts| facts.environ.value().map(|environ| self.service.instance_of(environ));
        keys(one).is_some() && keys(one) == keys(other)
    }
}

/// Whether its executable or script tells what it is.
fn is_told((holder, judgement): &Judged) -> bool {
    match (&judgement.identity, &holder.facts.entry) {
        (Identity::Instance(Evidence::Executable | Evidence::Package(_)), _) => true,
        (_, Entry::Script { package, .. }) => package.is_some(),
        _ => false,
    }
}

/// Of a child the kernel's word is enough, also where nothing is put at random.
fn is_child_fork((child, _): &Judged, (parent, _): &Judged) -> bool {
    child.facts.only_forked && file(&child.facts) == file(&parent.facts)
}

/// Whether it executes the very same image: nothing was executed between the two (`Image`).
fn forked_from(facts: &Facts, of: &Facts) -> bool {
    file(facts).is_some() && file(facts) == file(of) && facts.is_fork_of(&of.image)
}

fn file(facts: &Facts) -> Option<(u64, u64)> {
    facts.exe.value().map(|exe| exe.file)
}

/// Not what may not be judged, and not what is to live in any case.
fn may_be_ended(judgement: &Judgement, facts: &Facts) -> bool {
    !matches!(judgement.liveness, Liveness::Protected(_))
        && judgement.identity != Identity::Unknown
        && facts.nested == Seen::Value(false)
}

fn of_current_run(facts: &Facts) -> bool {
    matches!(&facts.record, Record::Current { run, .. } if facts.run() == Some(run))
}

/// Whether both were started in one run of a unit.
pub(crate) fn of_one_run(one: &Facts, other: &Facts) -> bool {
    one.run().is_some() && one.run() == other.run()
}

fn same_place(one: &Facts, other: &Facts) -> bool {
    one.cgroup.value().is_some() && one.cgroup == other.cgroup
}
