//! The steps that are commands: how a supervisor, a unit or a process is asked, in the shell of the person who asks.

use super::stop::word;
use crate::model::supervisors::CONTAINER_INIT;
use crate::model::{Change, How, Manager, ProcessReport, Step, Supervised, Supervisor, Unit, shell_word};

pub(super) const FOR_GOOD: &str = "stops it for good";
pub(super) const STOP_THIS_CONTAINER: &str = "stop this container from outside";

pub(super) fn command(command: String, effect: &str) -> Step {
    Step { how: How::Command(command), effect: effect.to_owned() }
}

pub(super) fn again(change: Change, effect: &str) -> Step {
    Step { how: How::Again(change), effect: effect.to_owned() }
}

pub(super) fn words(words: &str) -> Step {
    Step { how: How::Words, effect: words.to_owned() }
}

/// A command names no more processes than these.
pub(super) const PIDS: usize = 8;

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
