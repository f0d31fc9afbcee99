//! Which options of the program would help a person after an answer.

use portclear::report::{Liveness, Outcome, PortReport, Role, Verdict, WhyHeld, WhyNot, WhySurvived, WhyUnseen};

/// The advice that follows a port's sentence. It may be empty.
pub(crate) fn advice(port: &PortReport) -> String {
    match &port.status {
        Ok(Outcome::Held(WhyHeld::Elsewhere(_))) => "; --tree ends all of it".to_owned(),
        Ok(Outcome::Held(WhyHeld::Spared)) => {
            let foreign = Verdict::Spared(WhyNot::Foreign);
            if port.holders.iter().any(|holder| holder.judgement.verdict == foreign) {
                "; --any-owner ends it all the same, --marker, --exe or --package say what your service looks like"
                    .to_owned()
            } else {
                String::new()
            }
        }
        Ok(Outcome::Unseen(WhyUnseen::NotPermitted(_) | WhyUnseen::Unread(_) | WhyUnseen::Hidden(_))) => {
            match port.asker.as_ref() {
                Some(asker) if asker.uid != 0 => format!("; this would work: sudo portclear {}", port.spec),
                _ => String::new(),
            }
        }
        Ok(Outcome::Cleared | Outcome::WouldClear | Outcome::Survived(WhySurvived::StillThere))
            if port.remainder.processes > 0 =>
        {
            remainder(port).to_owned()
        }
        _ => String::new(),
    }
}

/// The options that would end the remainder, too.
fn remainder(port: &PortReport) -> &'static str {
    let left_over = port.holders.iter().any(|holder| holder.judgement.liveness == Liveness::Leftover);
    match port.status {
        // The call had --tree, so it was tried.
        _ if port.members.iter().any(|member| member.role == Role::Offspring) => "",
        Ok(Outcome::WouldClear) => " (--tree ends that, too)",
        _ if left_over => " (--tree would have ended that, too; --sweep ends what carries the marker)",
        _ => " (--tree would have ended that, too)",
    }
}
