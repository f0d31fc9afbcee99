//! Which options of the program would help a person after an answer.

use std::time::Duration;

use portclear::report::{
    Identity, Liveness, Outcome, PortReport, ProcessReport, Role, SweepReport, Verdict, WhyHeld, WhyNot, WhySurvived,
    WhyUnseen,
};

/// How long an OpenClaw gateway may drain, with some time to spare: its own unit has TimeoutStopSec=330.
pub(crate) const OPENCLAW_DRAIN: Duration = Duration::from_secs(330);

/// What helps with any other service.
const LONGER: (&str, &str) = ("a longer --grace", "a TimeoutStartSec that is longer still");

/// The advice that follows a port's sentence. It may be empty. `openclaw`: the call was about that service.
pub(crate) fn advice(port: &PortReport, openclaw: bool) -> String {
    what_to_do(port) + &longer(port.processes(), openclaw)
}

/// The same for a sweep.
pub(crate) fn advice_of_sweep(swept: &SweepReport, openclaw: bool) -> String {
    longer(&swept.processes, openclaw)
}

fn what_to_do(port: &PortReport) -> String {
    let is_unprivileged = port.asker.as_ref().is_some_and(|asker| asker.uid != 0);
    let advice = match port.status {
        Ok(Outcome::Held(WhyHeld::Elsewhere(_))) => "; --tree ends all of it",
        Ok(Outcome::Held(WhyHeld::Spared)) if port.holders.iter().any(is_foreign) => return about_foreign(port),
        Ok(Outcome::Unseen(WhyUnseen::NotPermitted(_) | WhyUnseen::Unread(_) | WhyUnseen::Hidden(_)))
            if is_unprivileged =>
        {
            return format!("; this would work: sudo portclear {}", port.spec);
        }
        Ok(Outcome::Cleared | Outcome::WouldClear | Outcome::Survived(WhySurvived::StillThere)) => remainder(port),
        _ => "",
    };
    advice.to_owned()
}

/// Whoever looks after a foreign holder is asked to stop it. Only for another is there an option.
fn about_foreign(port: &PortReport) -> String {
    let mut live = port
        .holders
        .iter()
        .filter(|holder| is_foreign(holder))
        .filter(|holder| matches!(holder.judgement.liveness, Liveness::Live(_)));
    let describe = "--marker, --exe or --package say what your service looks like";
    match live.next().map(ProcessReport::stops) {
        Some(Some(stops)) => format!("; {stops}"),
        Some(None) => format!("; {describe}"),
        None => format!("; --any-owner ends it all the same, {describe}"),
    }
}

fn is_foreign(holder: &ProcessReport) -> bool {
    holder.judgement.verdict == Verdict::Spared(WhyNot::Foreign)
}

/// The options that would end the remainder, too.
fn remainder(port: &PortReport) -> &'static str {
    let left_over = port.holders.iter().any(|holder| holder.judgement.liveness == Liveness::Leftover);
    match port.status {
        _ if port.remainder.processes == 0 => "",
        // The call had --tree, so it was tried.
        _ if port.members.iter().any(|member| member.role == Role::Offspring) => "",
        Ok(Outcome::WouldClear) => " (--tree ends that, too)",
        _ if left_over => " (--tree would have ended that, too; --sweep ends what carries the marker)",
        _ => " (--tree would have ended that, too)",
    }
}

/// How to wait longer, where SIGKILL cut a process off.
fn longer<'a>(processes: impl IntoIterator<Item = &'a ProcessReport>, openclaw: bool) -> String {
    let cut_off: Vec<&ProcessReport> = processes.into_iter().filter(|one| one.ending.was_cut_off()).collect();
    // Anything may be left over in the caller's own unit. Only an instance is known to be OpenClaw's.
    let is_gateway = |process: &&ProcessReport| matches!(process.judgement.identity, Identity::Instance(_));
    let waited = cut_off.iter().flat_map(|process| &process.ending.signals).map(|sent| sent.after).max();
    let Some(waited) = waited else { return String::new() };
    let known = openclaw && waited < OPENCLAW_DRAIN && cut_off.iter().any(is_gateway);
    let (grace, limit) = if known { ("--grace 330s", "TimeoutStartSec=332") } else { LONGER };
    // systemd ends a hook at the start limit of its unit.
    let hook = std::env::var_os("INVOCATION_ID").is_some();
    let limit = if hook { format!(", and the unit needs {limit}") } else { String::new() };
    format!("; {grace} waits longer{limit}")
}
