//! Find the processes that may start an ended one again. Pure.

use std::sync::Arc;

use crate::model::{Caller, Facts, Process};

/// Shells in which a person works. A script of theirs does not lead a session with a terminal.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "tcsh", "csh"];

/// The ancestors that may start the process again, nearest first, up to the first that starts nothing again by itself.
/// Whoever leads a session with a terminal was started for a person (by tmux, screen, sshd), and once.
pub(crate) fn starters<'a>(process: &'a Process, caller: &Caller) -> impl Iterator<Item = &'a Arc<Facts>> {
    let mut child = &process.facts;
    process.ancestry.line.iter().take_while(move |parent| {
        let goes_on = !leads_a_terminal(child) && may_start(parent, caller);
        child = parent;
        goes_on
    })
}

fn may_start(facts: &Facts, caller: &Caller) -> bool {
    let pid = facts.id.pid;
    let is_manager = pid == 1 || facts.cgroup.value().is_some_and(|cgroup| cgroup.is_of_a_user_manager());
    let is_shell = SHELLS.iter().any(|shell| facts.program() == *shell);
    !(is_manager || caller.ancestors.contains(&pid) || is_shell && leads_a_terminal(facts))
}

fn leads_a_terminal(facts: &Facts) -> bool {
    facts.terminal && facts.session == facts.id.pid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ancestry, Cgroup, Exe, Seen};
    use crate::testing::{caller, facts, file, process};

    #[test]
    fn who_may_start_it_again() {
        // A shell is `sh`, with its terminal; `loop` is a shell without one; `manager` is a user's.
        let parent = |(pid, what): &(u32, &str)| {
            let mut facts = facts(*pid, 10);
            let path = if matches!(*what, "sh" | "loop" | "part") { "/bin/bash" } else { "/usr/bin/other" };
            facts.exe = Seen::Value(Exe { path: path.into(), replaced: false, file: file(1) });
            facts.terminal = matches!(*what, "sh" | "part" | "other");
            facts.session = if *what == "part" { 7 } else { *pid };
            let manager = "/user.slice/user-1000.slice/user@1000.service/init.scope";
            facts.cgroup = Seen::Value(Cgroup::new(if *what == "manager" { manager } else { "/" }));
            Arc::new(facts)
        };
        // Its parents, nearest first → those that may start it again. The caller descends from 400, 300 and 1.
        let table: [(&[(u32, &str)], &[u32]); 9] = [
            (&[(1, "init")], &[]),
            (&[(70, "manager"), (1, "init")], &[]),
            (&[(300, "loop"), (1, "init")], &[]),
            (&[(70, "sh"), (1, "init")], &[]),
            (&[(70, "loop"), (1, "init")], &[70]),
            (&[(71, "part"), (70, "sh"), (1, "init")], &[71]),
            (&[(72, "loop"), (71, "loop"), (300, "loop"), (70, "loop")], &[72, 71]),
            (&[(72, "other"), (71, "loop"), (1, "init")], &[72]),
            (&[], &[]),
        ];
        for (line, expected) in table {
            let ancestry = Ancestry { line: line.iter().map(parent).collect(), complete: true };
            let process = process(facts(90, 20), ancestry);
            let found: Vec<u32> = starters(&process, &caller()).map(|facts| facts.id.pid).collect();
            assert_eq!(found, expected, "{line:?}");
        }
    }
}
