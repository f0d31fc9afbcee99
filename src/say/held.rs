//! What a person can do about a holder that a rule spares: who stops it properly, and what this program could do.

use super::foreign::for_foreign;
use super::step::{FOR_GOOD, STOP_THIS_CONTAINER, again, command, stop_with, words};
use crate::model::supervisors::CONTAINER_INIT;
use crate::model::{
    Also, Change, Liveness, PortReport, ProcessReport, Protection, Step, Supervised, Supervisor, Unit, Verdict, WhyNot,
    escape,
};

/// As root a call that acts ends a stale holder.
pub(super) const AS_ROOT: &str = "tries again as root, and ends it if it is stale";

pub(super) fn for_spared(holder: &ProcessReport, port: &PortReport) -> Vec<Step> {
    let asker = port.asker.as_ref().map(|asker| asker.uid);
    let is_instance = holder.judgement.identity.is_instance();
    let pid = holder.process.id().pid;
    match (holder.judgement.verdict, &holder.judgement.liveness) {
        (Verdict::Stale(_), _) => Vec::new(),
        (Verdict::Spared(WhyNot::Protected), Liveness::Protected(Protection::Init))
            if holder.is_main_of_a_container() =>
        {
            vec![words(STOP_THIS_CONTAINER)]
        }
        (Verdict::Spared(WhyNot::Protected), Liveness::Protected(protection)) => vec![for_protected(pid, *protection)],
        (Verdict::Spared(WhyNot::Foreign), _) => for_foreign(holder, port),
        (Verdict::Spared(WhyNot::Live), Liveness::Live(supervisor)) => {
            let live = again(Change::Also(Also::Live), "ends it all the same, and it may be started again");
            let goes = is_instance && !is_main_of_this_container(supervisor);
            let stop = stop_with(holder, asker, FOR_GOOD, port.holders.len() == 1);
            stop.into_iter().chain(goes.then_some(live)).collect()
        }
        (Verdict::Spared(WhyNot::Newer(_)), _) => {
            vec![again(Change::Look, "looks at it: it is probably the new server")]
        }
        (Verdict::Spared(WhyNot::Declined), _) => vec![again(Change::Look, "shows it again")],
        (Verdict::Spared(WhyNot::OtherInstance), _) => vec![words(&other_instance(holder))],
        (Verdict::Spared(WhyNot::Offspring), _) => vec![
            command(format!("ps -o pid,ppid,user,args -p {pid}"), "shows what it is"),
            again(Change::Also(Also::Offspring), "ends it"),
        ],
        (Verdict::Spared(WhyNot::Elsewhere), _) => {
            vec![again(Change::Also(Also::Tree), "ends the whole instance, and frees its other port as well")]
        }
        (Verdict::Spared(WhyNot::Protected | WhyNot::Live | WhyNot::Unknown), _) => {
            vec![again(Change::AsRoot, AS_ROOT)]
        }
    }
}

fn is_main_of_this_container(supervisor: &Supervisor) -> bool {
    matches!(supervisor, Supervisor::Program(Supervised { by: CONTAINER_INIT, .. }))
}

fn for_protected(pid: u32, protection: Protection) -> Step {
    match protection {
        Protection::Init if pid == 1 => {
            command("systemctl list-sockets".to_owned(), "names the socket unit that holds the port")
        }
        Protection::Init => {
            command("systemctl --user list-sockets".to_owned(), "names the socket unit that holds the port")
        }
        Protection::Supervisor(name) => command(format!("{name} list"), "names the processes that hold the port there"),
        Protection::Named(pid) => {
            again(Change::Unprotect(pid), &format!("protects process {pid} no longer, and may end it"))
        }
        Protection::Caller | Protection::Descendant => {
            words("this call cannot end its own holder: call from another process")
        }
        Protection::Ancestor | Protection::SameInstance(_) | Protection::Inherited(_) => {
            words("call from another shell that does not run inside this server")
        }
        Protection::CallersAncestryUnreadable | Protection::AncestryUnreadable => again(Change::AsRoot, AS_ROOT),
    }
}

fn other_instance(holder: &ProcessReport) -> String {
    let keys: Vec<String> =
        holder.judgement.service.instance_keys.iter().take(2).map(|key| escape(key.as_encoded_bytes())).collect();
    format!("stop that instance, or call with its own variables: {}", keys.join(", "))
}

/// The unit that runs a holder, if the holder is spared for that.
pub(super) fn live_unit(holder: &ProcessReport) -> Option<&Unit> {
    match (&holder.judgement.liveness, holder.judgement.verdict) {
        (Liveness::Live(Supervisor::Unit(unit)), Verdict::Spared(WhyNot::Live)) => Some(unit),
        _ => None,
    }
}

/// The same of a supervisor beside systemd.
pub(super) fn live_supervised(holder: &ProcessReport) -> Option<&Supervised> {
    match holder.supervisor()? {
        Supervisor::Program(supervised) if holder.judgement.verdict == Verdict::Spared(WhyNot::Live) => {
            Some(supervised)
        }
        Supervisor::Program(_) | Supervisor::Unit(_) | Supervisor::Container(_) => None,
    }
}
