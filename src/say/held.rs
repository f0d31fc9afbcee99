//! What a person can do about a holder that a rule spares: who stops it properly, and what this program could do.

use super::foreign::for_foreign;
use super::stop::word;
use crate::model::supervisors::CONTAINER_INIT;
use crate::model::{
    Also, Change, How, Liveness, Manager, PortReport, ProcessReport, Protection, Step, Supervised, Supervisor, Unit,
    Verdict, WhyNot, escape, shell_word,
};

const FOR_GOOD: &str = "stops it for good";
const STOP_THIS_CONTAINER: &str = "stop this container from outside";

pub(super) fn command(command: String, effect: &str) -> Step {
    Step { how: How::Command(command), effect: effect.to_owned() }
}

pub(super) fn again(change: Change, effect: &str) -> Step {
    Step { how: How::Again(change), effect: effect.to_owned() }
}

pub(super) fn words(words: &str) -> Step {
    Step { how: How::Words, effect: words.to_owned() }
}

/// As root a call that acts ends a stale holder.
pub(super) const AS_ROOT: &str = "tries again as root, and ends it if it is stale";

/// A command names no more processes than these.
pub(super) const PIDS: usize = 8;

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

/// How its supervisor stops it for good. `None`: nobody looks after it, or nobody here knows the command.
pub(super) fn stop(process: &ProcessReport, asker: Option<u32>) -> Option<Step> {
    stop_with(process, asker, FOR_GOOD, true)
}

/// `alone`: nothing else holds the port, so its end frees it.
pub(super) fn stop_with(process: &ProcessReport, asker: Option<u32>, effect: &str, alone: bool) -> Option<Step> {
    let supervisor = process.supervisor()?;
    let command = process.stop_command().and_then(|stop| for_its_owner(process, stop, asker));
    Some(match (supervisor, command) {
        (_, Some(stop)) => self::command(stop, effect),
        (Supervisor::Program(Supervised { by: CONTAINER_INIT, .. }), None) => words(STOP_THIS_CONTAINER),
        (Supervisor::Container(_), None) => words("stop its container with the runtime that started it"),
        (Supervisor::Program(Supervised { by, .. }), None) => words(&format!("stop it with {by}")),
        (Supervisor::Unit(unit), None) if unit.manager == Manager::Nested => {
            words("stop its unit with the manager that runs it")
        }
        // A job of cron or a login of sshd: the stop of its unit does not end it.
        (Supervisor::Unit(_), None) if process.is_of_another_run() && alone => {
            kill(&[process], asker, "ends it, if you no longer need it")
        }
        // Nobody knows whether the unit's stop ends it, and a signal to it alone may harm the unit.
        (Supervisor::Unit(unit), None) => {
            let effect = "shows the unit, so that you can stop it if you no longer need it";
            status(process, unit, asker, effect).unwrap_or_else(|| words("stop its unit with systemctl"))
        }
    })
}

/// The command for the shell of the asker, where another user owns the supervisor.
fn for_its_owner(process: &ProcessReport, stop: String, asker: Option<u32>) -> Option<String> {
    let (Some(asker), Some(supervisor)) = (asker, process.supervisor()) else { return Some(stop) };
    let runtime = |uid: u32| format!("XDG_RUNTIME_DIR=/run/user/{uid} ");
    let variables = match supervisor {
        Supervisor::Container(_) => return Some(stop),
        Supervisor::Unit(unit) => match unit.manager {
            Manager::User(uid) => runtime(uid),
            Manager::System | Manager::Nested => String::new(),
        },
        Supervisor::Program(_) => String::new(),
    };
    let name = |uid: u32| process.user.as_ref().filter(|_| process.process.facts.uid.value() == Some(&uid));
    match process.stopped_by() {
        Some(owner) if owner == asker => Some(stop),
        Some(owner) => {
            let name = name(owner).and_then(|name| shell_word(name.as_ref())).filter(|name| !name.starts_with('-'));
            match (asker, name) {
                (0, Some(name)) => Some(format!("runuser -u {name} -- env {variables}{stop}")),
                (0, None) => Some(format!("setpriv --reuid {owner} --clear-groups env {variables}{stop}")),
                (_, Some(name)) => Some(format!("sudo -u {name} env {variables}{stop}")),
                (_, None) => Some(format!("sudo -u '#{owner}' env {variables}{stop}")),
            }
        }
        None if asker == 0 => Some(stop),
        // A value for the environment comes before the command.
        None => Some(format!("sudo {}{stop}", if has_variable(&stop) { "env " } else { "" })),
    }
}

fn has_variable(command: &str) -> bool {
    command.split(' ').next().is_some_and(|word| word.contains('='))
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

pub(super) fn kill(processes: &[&ProcessReport], asker: Option<u32>, effect: &str) -> Step {
    let is_others = |process: &&ProcessReport| process.process.facts.uid.value().copied() != asker;
    let needs_root = asker.is_some_and(|uid| uid != 0) && processes.iter().any(is_others);
    command(format!("{}kill {}", if needs_root { "sudo " } else { "" }, pids(processes, " ")), effect)
}

/// The command that shows a unit. Anyone may ask the system's manager.
pub(super) fn status(process: &ProcessReport, unit: &Unit, asker: Option<u32>, effect: &str) -> Option<Step> {
    let name = word(&unit.name)?;
    let line = match unit.manager {
        Manager::System => format!("systemctl status {name}"),
        Manager::User(uid) => {
            let line = format!("systemctl --user status {name}");
            let is_known = process.supervisor().is_some() || asker == Some(uid);
            for_its_owner(process, line, asker).filter(|_| is_known)?
        }
        Manager::Nested => return None,
    };
    Some(command(line, effect))
}

pub(super) fn pids(processes: &[&ProcessReport], between: &str) -> String {
    let pids = processes.iter().take(PIDS).map(|process| process.process.id().pid.to_string());
    pids.collect::<Vec<_>>().join(between)
}
