//! Which options of the program would help a person after an answer.

use portclear::report::{
    Liveness, Outcome, PortReport, ProcessReport, Role, Verdict, WhyHeld, WhyNot, WhySurvived, WhyUnseen,
};

/// The advice that follows a port's sentence. It may be empty.
pub(crate) fn advice(port: &PortReport) -> String {
    let is_foreign = |holder: &ProcessReport| holder.judgement.verdict == Verdict::Spared(WhyNot::Foreign);
    let is_unprivileged = port.asker.as_ref().is_some_and(|asker| asker.uid != 0);
    let advice = match port.status {
        Ok(Outcome::Held(WhyHeld::Elsewhere(_))) => "; --tree ends all of it",
        Ok(Outcome::Held(WhyHeld::Spared)) if port.holders.iter().any(is_foreign) => {
            let mut foreign = port.holders.iter().filter(|holder| is_foreign(holder));
            if let Some(stop) = foreign.find_map(ProcessReport::stop_command) {
                return format!("; `{stop}` stops it");
            }
            "; --any-owner ends it all the same, --marker, --exe or --package say what your service looks like"
        }
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
