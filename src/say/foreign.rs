//! What a person can do about a holder that is not the service: see what it is, then stop it, if nobody needs it.

use std::path::Path;

use super::reason::Forwards;
use super::step::{PIDS, again, command, kill, pids, status, stop_with, words};
use crate::model::{
    Also, Change, Liveness, PortReport, ProcessReport, Runtime, Script, Step, Supervisor, Verdict, WhyNot,
};

/// Whoever looks after it is asked to stop it. Nothing here ends it, where it only forwards for something else.
pub(super) fn for_foreign(holder: &ProcessReport, port: &PortReport) -> Vec<Step> {
    let asker = port.asker.as_ref().map(|asker| asker.uid);
    let forwards = holder.forwards();
    match forwards {
        Some(Forwards::Container { is_dockers: true, .. }) => {
            let line = format!("docker ps --filter publish={}", port.spec.port());
            return vec![command(line, "names the container"), words("stop that container with docker")];
        }
        Some(Forwards::Container { .. }) => return vec![words("stop the container that publishes the port")],
        Some(Forwards::Tunnel) | None => {}
    }
    if matches!(holder.judgement.liveness, Liveness::Live(_)) {
        return for_foreign_of_supervisor(holder, asker, port.holders.len() == 1);
    }
    let describe = describe(holder);
    let holders: Vec<&ProcessReport> = port.holders.iter().collect();
    // To end one of several frees nothing.
    if !holders.iter().all(|holder| may_be_killed(holder)) || holders.len() > PIDS {
        let unit = holder.process.facts.unit().filter(|_| holders.len() == 1);
        let shown = unit.and_then(|unit| status(holder, unit, asker, "shows the unit that it is in"));
        return std::iter::once(shown.unwrap_or_else(|| look_at(&holders))).chain(describe).collect();
    }
    let several = holders.len() > 1;
    let effect = match forwards {
        _ if several => "ends them, if you no longer need them",
        Some(_) if holder.process.facts.name() == "sshd-session" => "ends that SSH login, if nobody needs it",
        Some(_) => "closes the tunnel, if you no longer need it",
        None => "ends it, if you no longer need it",
    };
    let any = if several { "ends them, whatever they are" } else { "ends it, whatever it is" };
    let any = forwards.is_none().then(|| again(Change::Also(Also::AnyOwner), any));
    let describe = describe.filter(|_| forwards.is_none());
    // A look comes first: it may show that this is the person's own service.
    describe.into_iter().chain([kill(&holders, asker, effect)]).chain(any).collect()
}

/// A service that is not this one is perhaps sshd, so the first step only shows it.
fn for_foreign_of_supervisor(holder: &ProcessReport, asker: Option<u32>, alone: bool) -> Vec<Step> {
    let shown = match holder.supervisor() {
        Some(Supervisor::Unit(unit)) => status(holder, unit, asker, "shows what it is"),
        Some(Supervisor::Program(_) | Supervisor::Container(_)) | None => None,
    };
    let stop = stop_with(holder, asker, "stops it, if you no longer need it", alone);
    let stop = stop.filter(|stop| shown.as_ref().is_none_or(|shown| shown.how != stop.how));
    let describe = describe(holder).filter(|_| holder.forwards().is_none());
    shown.into_iter().chain(stop).chain(describe).collect()
}

/// No unit runs it, so nothing but its own end is at stake.
fn may_be_killed(holder: &ProcessReport) -> bool {
    let facts = &holder.process.facts;
    let is_free = match holder.judgement.liveness {
        Liveness::Unsupervised | Liveness::Leftover => true,
        Liveness::Unknown => facts.cgroup.value().is_some() && facts.unit().is_none(),
        Liveness::Live(_) | Liveness::Protected(_) => false,
    };
    is_free && holder.judgement.verdict == Verdict::Spared(WhyNot::Foreign)
}

fn look_at(holders: &[&ProcessReport]) -> Step {
    let effect = if holders.len() == 1 { "shows what it is" } else { "shows what holds the port" };
    command(format!("ps -o pid,ppid,user,args -p {}", pids(holders, ",")), effect)
}

/// The call that would recognise it, if it is the person's own service and nobody has described that.
fn describe(holder: &ProcessReport) -> Option<Step> {
    let facts = &holder.process.facts;
    let effect = "shows whether it is your service";
    if !holder.judgement.service.is_known() {
        return None;
    }
    let own = |path: &Path| !Runtime::is_known(path);
    match (&facts.script, &facts.exe.value()?.path) {
        (Script::At { package: Some(name), .. }, _) => Some(again(Change::Package(name.clone()), effect)),
        (_, path) if own(path) => Some(again(Change::Executable(path.clone()), effect)),
        _ => None,
    }
}
