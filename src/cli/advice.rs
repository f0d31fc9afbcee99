//! What a person can do after an answer, with the program and its options.

use portclear::Service;
use portclear::report::{
    Change, How, Identity, Liveness, Outcome, PortReport, ProcessReport, Role, Step, SweepReport, WhySurvived,
};

use crate::cli::again::CommandLine;
use crate::cli::dropin::BESIDE_GRACE;

/// The advice that follows a port's sentence. It may be empty. `openclaw`: the call was about that service.
pub(crate) fn advice(port: &PortReport, openclaw: bool) -> String {
    remainder(port).to_owned() + &longer(port.processes(), openclaw)
}

/// The same for a sweep.
pub(crate) fn advice_of_sweep(swept: &SweepReport, openclaw: bool) -> String {
    longer(&swept.processes, openclaw)
}

/// A step with its command, where there is one.
pub(crate) struct Next {
    pub(crate) command: Option<String>,
    pub(crate) effect: String,
}

/// The steps that a person can take, as commands that can be pasted. A step whose command has no safe form is left out.
pub(crate) fn next(steps: Vec<Step>, call: &CommandLine) -> Vec<Next> {
    let with_command = |step: Step| {
        let Step { how, effect, .. } = step;
        match how {
            How::Command(command) => Some(Next { command: Some(command), effect }),
            How::Again(change) => {
                let looks = change == Change::AsRoot && call.looks_only();
                let effect = if looks { "looks again as root".to_owned() } else { effect };
                call.again(&change).map(|command| Next { command: Some(command), effect })
            }
            How::Words | _ => Some(Next { command: None, effect }),
        }
    };
    steps.into_iter().filter_map(with_command).collect()
}

/// After `--check`: the port is held, and the same call without that clears it.
pub(crate) fn clears(call: &CommandLine) -> Vec<Next> {
    call.that_clears()
        .map(|command| Next { command: Some(command), effect: "clears it".to_owned() })
        .into_iter()
        .collect()
}

/// The options that would end the remainder as well.
fn remainder(port: &PortReport) -> &'static str {
    let counts =
        matches!(port.status, Ok(Outcome::Cleared | Outcome::WouldClear | Outcome::Survived(WhySurvived::StillThere)));
    let left_over = port.holders.iter().any(|holder| holder.judgement.liveness == Liveness::Leftover);
    match port.status {
        _ if !counts || port.remainder.processes == 0 => "",
        // The call had --tree, so it was tried.
        _ if port.members.iter().any(|member| member.role == Role::Offspring) => "",
        Ok(Outcome::WouldClear) => " (--tree ends those as well)",
        _ if left_over => " (--tree would have ended those as well; --sweep ends those that carry the marker)",
        _ => " (--tree would have ended those as well)",
    }
}

/// How to wait longer, where SIGKILL cut a process off.
fn longer<'a>(processes: impl IntoIterator<Item = &'a ProcessReport>, openclaw: bool) -> String {
    let cut_off: Vec<&ProcessReport> = processes.into_iter().filter(|one| one.ending.was_cut_off()).collect();
    // Anything may be left over in the caller's own unit. Only an instance is known to be OpenClaw's.
    let is_gateway = |process: &&ProcessReport| matches!(process.judgement.identity, Identity::Instance(_));
    let waited = cut_off.iter().flat_map(|process| &process.ending.signals).map(|sent| sent.after).max();
    let Some(waited) = waited else { return String::new() };
    let known = openclaw && waited < Service::OPENCLAW_DRAIN && cut_off.iter().any(is_gateway);
    let drain = Service::OPENCLAW_DRAIN;
    let (grace, limit) = if known {
        let limit = (drain + BESIDE_GRACE).as_secs();
        (format!("--grace {}s", drain.as_secs()), format!("TimeoutStartSec={limit}"))
    } else {
        ("a longer --grace".to_owned(), "a TimeoutStartSec that is longer still".to_owned())
    };
    // systemd ends a hook at the start limit of its unit.
    let hook = std::env::var_os("INVOCATION_ID").is_some();
    let limit = if hook { format!(", and the unit needs {limit}") } else { String::new() };
    format!("; {grace} waits longer{limit}")
}
