//! The eight steps: probe, listeners, holders, facts, judge, plan, end, prove. A further round handles only what the
//! one before left behind.

use crate::answer::{Answer, Answers, Observed};
use crate::end::{self, Mode};
use crate::judge::Asked;
use crate::judge::plan::{self, Group};
use crate::model::{Error, Policy, PortReport, PortSpec, Report};
use crate::read::{self, Lines, Look, Processes};

/// A process that forks while it is ended leaves a child with the same socket. A process that changes while it is
/// judged is read again. Neither goes on for ever.
const ROUNDS: usize = 5;

/// What follows when each port has its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The report is the result. The last look at the ports is the last step.
    Report,
    /// The caller binds. Meanwhile somebody else might take the port, so nobody is watched, and only a failure is counted and named.
    Bind,
}

pub(crate) fn run(specs: &[PortSpec], policy: &Policy, mode: Mode<'_>) -> Report {
    let dry_run = matches!(mode, Mode::Look);
    work(specs, policy, mode, Then::Report).report(dry_run)
}

/// For a caller that binds next.
pub(crate) fn before_a_bind(spec: PortSpec, policy: &Policy) -> Option<PortReport> {
    work(&[spec], policy, Mode::Act(None), Then::Bind).report(false).ports.pop()
}

fn work<'a>(specs: &[PortSpec], policy: &'a Policy, mode: Mode<'_>, then: Then) -> Answers<'a> {
    // 1 probe. A free port, the usual case, costs this bind, and a look for the lock of the state folder.
    let mut answers = Answers::probe(specs, policy);
    let may_have_a_rival = then == Then::Report && read::rival(&policy.service).is_some();
    if (!answers.are_complete() || may_have_a_rival)
        && let Err(error) = rounds(&mut answers, policy, mode, then)
    {
        answers.fail(&error);
    }
    answers
}

// Several calls lead here. A copy for each would make the program larger.
#[inline(never)]
fn rounds(answers: &mut Answers<'_>, policy: &Policy, mut mode: Mode<'_>, then: Then) -> Result<(), Error> {
    let mut lines = Lines::default();
    let caller = read::caller(&policy.service, &mut lines)?;
    let mut asked = Asked::new(policy, read::executables(&policy.service), caller);
    let mut clock = None;
    for _ in 0..ROUNDS {
        // 2 listeners, 3 holders, 4 facts
        let Look { world, mut pins } = read::look(&answers.open_ports(), &policy.service, std::mem::take(&mut lines))?;
        // 5 judge, 6 plan
        let apply = |answer: &mut Answer| answer.apply(plan::port(answer.spec(), &world, &asked), &world, &asked);
        let mut groups: Vec<Group> = answers.open().filter_map(apply).collect();
        // Before the first signal: afterwards children have another parent.
        let mut processes = Processes::default();
        for group in &mut groups {
            end::gather(group, &pins, &mut processes, &asked)?;
        }
        plan::all_or_nothing(&mut groups);
        for group in groups.iter_mut().filter(|group| group.refused.is_none()) {
            if mode.acts() {
                group.keep_approved(&asked);
            }
            end::pin_members(group, &mut pins)?;
        }
        let sweep = || end::sweep(&answers.holders(), &mut pins, &mut processes, &asked);
        let may_sweep = answers.may_sweep(&groups, mode.acts() && then == Then::Report);
        let swept = may_sweep.then(sweep).flatten().map(|swept| {
            groups.push(swept.found);
            swept.status
        });
        let targets = end::targets(&groups, &pins)?;
        answers.expect(&groups, swept, &targets);
        // 7 end; nothing in a dry run
        let done = end::all(targets, &asked, &mut clock, &mut mode);
        answers.record(&done);
        done.result?;
        for target in &done.targets {
            asked.remember(&target.judged.process, target.has_changed());
        }
        // 8 prove
        answers.prove(matches!(mode, Mode::Look));
        if done.stopped {
            answers.stop();
            return Ok(());
        }
        let observed = Observed::new(mode.observer(), clock.as_ref());
        if answers.are_complete() && (then == Then::Bind || answers.are_final(&asked, observed)?) {
            return Ok(());
        }
    }
    answers.give_up();
    Ok(())
}
