//! What was swept, in a sentence. It names no option of the program.

use std::collections::BTreeSet;

use super::sentence::{also, cause, count, cut_off, has_ended, processes, remaining, still_running};
use crate::model::{Fate, ProcessReport, SweepReport};

impl SweepReport {
    /// What was swept, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Err(error) = &self.status {
            return format!("could not find out what ended runs left behind: {}", cause(error));
        }
        if self.processes.is_empty() && self.is_whole() {
            return "nothing is left over".to_owned();
        }
        let is_untouched = |process: &ProcessReport| process.ending.fate == Fate::Untouched;
        let all = self.processes.len();
        // Only a dry run leaves each of them alone. A sweep may spare the children of a server that executed itself.
        let is_dry_run = all > 0 && self.processes.iter().all(is_untouched);
        let (swept, done) = match count(&self.processes, has_ended) {
            _ if is_dry_run => (all, "would be ended"),
            0 if all == 1 => (1, "is still running"),
            0 if all > 1 => (all, "are still running"),
            swept => (swept, "ended"),
        };
        let others = also(all - swept, "still there");
        let runs: BTreeSet<_> =
            self.processes.iter().filter_map(|process| process.process.facts.run.as_ref()).collect();
        let runs = match runs.len() {
            0 => String::new(),
            1 => " of an ended run".to_owned(),
            runs => format!(" of {runs} ended runs"),
        };
        let remaining = remaining(
            &self.remainder,
            "they",
            if is_dry_run { " may live on" } else { still_running(&self.remainder) },
        );
        let cut_off = cut_off(&self.processes);
        let stopped = self.cut_short();
        format!("{}{runs} {done}{cut_off}{others}, with {}{stopped}{remaining}", processes(swept), self.memory)
    }
}

// The other systems' branch has no test data.
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Ending, Identity, Judgement, Liveness, Role, Verdict, Why};
    use crate::testing::{ancestors, facts, process, service};

    fn swept(fates: &[Fate]) -> SweepReport {
        let verdict = Verdict::Stale(Why::Leftover);
        let judgement =
            Judgement { identity: Identity::Foreign, liveness: Liveness::Leftover, verdict, service: service() };
        let report = |fate: &Fate| ProcessReport {
            role: Role::Leftover,
            process: process(facts(7, 70), ancestors(&[1], true)),
            user: None,
            markers: Vec::new(),
            judgement: judgement.clone(),
            ending: Ending::new(*fate),
        };
        SweepReport { processes: fates.iter().map(report).collect(), ..SweepReport::default() }
    }

    #[test]
    fn only_a_dry_run_says_what_would_be_ended() {
        let ended = Fate::Ended(Duration::ZERO);
        for (fates, said) in [
            (&[Fate::Untouched, Fate::Untouched][..], "2 processes would be ended, with 0.0 MiB"),
            (&[ended, ended], "2 processes ended, with 0.0 MiB"),
            // A server executed itself anew, and keeps its child.
            (&[ended, Fate::Changed, Fate::Untouched], "1 process ended, 2 processes still there, with 0.0 MiB"),
            (&[Fate::Survived('S')], "1 process is still running, with 0.0 MiB"),
            (&[Fate::Survived('S'), Fate::Changed], "2 processes are still running, with 0.0 MiB"),
            (&[], "nothing is left over"),
        ] {
            assert_eq!(swept(fates).sentence(), said, "{fates:?}");
        }
    }
}
