//! Find the processes that may start an ended one again. Pure.

use std::ffi::OsString;
use std::sync::Arc;

use crate::model::{Caller, Facts, Process};

/// Shells in which a person works. A script of theirs does not lead a session with a terminal.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "tcsh", "csh"];

/// The ancestors that may start the process again, nearest first, up to the first that starts nothing again by itself.
pub(crate) fn starters<'a>(process: &'a Process, caller: &Caller) -> impl Iterator<Item = &'a Arc<Facts>> {
    process.ancestry.line.iter().take_while(|facts| may_start(facts, caller))
}

fn may_start(facts: &Facts, caller: &Caller) -> bool {
    let is_manager = facts.id.pid == 1 || facts.cgroup.value().is_some_and(|cgroup| cgroup.is_of_a_user_manager());
    !(is_manager || caller.ancestors.contains(&facts.id.pid) || is_a_persons_shell(facts))
}

/// A shell that leads a session with a terminal, and runs no script and no command line.
fn is_a_persons_shell(facts: &Facts) -> bool {
    let is_shell = SHELLS.iter().any(|shell| facts.program() == *shell);
    let is_option = |arg: &OsString| {
        let arg = arg.as_encoded_bytes();
        arg.is_empty() || arg.starts_with(b"--") || arg.starts_with(b"-") && !arg.contains(&b'c')
    };
    let reads_terminal = || facts.argv.value().is_some_and(|argv| argv.iter().skip(1).all(is_option));
    is_shell && facts.terminal && facts.session == facts.id.pid && reads_terminal()
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
            let path = if matches!(*what, "sh" | "loop" | "part" | "script") { "/bin/bash" } else { "/usr/bin/other" };
            facts.exe = Seen::Value(Exe { path: path.into(), replaced: false, file: file(1) });
            let script = if *what == "script" { &["bash", "-lc", "x"][..] } else { &["-bash", "-l"] };
            facts.argv = Seen::Value(script.iter().map(Into::into).collect());
            facts.terminal = matches!(*what, "sh" | "part" | "other" | "script");
            facts.session = if *what == "part" { 7 } else { *pid };
            let manager = "/user.slice/user-1000.slice/user@1000.service/init.scope";
            facts.cgroup = Seen::Value(Cgroup::new(if *what == "manager" { manager } else { "/" }));
            Arc::new(facts)
        };
        // Its parents, nearest first → those that may start it again. The caller descends from 400, 300 and 1.
        let table: [(&[(u32, &str)], &[u32]); 10] = [
            (&[(1, "init")], &[]),
            (&[(70, "manager"), (1, "init")], &[]),
            (&[(300, "loop"), (1, "init")], &[]),
            (&[(70, "sh"), (1, "init")], &[]),
            (&[(70, "loop"), (1, "init")], &[70]),
            (&[(71, "part"), (70, "sh"), (1, "init")], &[71]),
            (&[(72, "loop"), (71, "loop"), (300, "loop"), (70, "loop")], &[72, 71]),
            (&[(72, "other"), (71, "loop"), (1, "init")], &[72, 71]),
            (&[(70, "script"), (1, "init")], &[70]),
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
