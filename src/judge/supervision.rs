//! Find the supervisor beside systemd that looks after a process. Pure; `model::supervisors` has the rules.
//!
//! A name may acquit here: it protects a process, and condemns none.

use std::ffi::OsStr;
use std::path::Path;

use crate::model::argv::{Argument, script, subcommand};
use crate::model::supervisors::{Row, SUPERVISORS, ShownBy, Tie};
use crate::model::{Ancestry, Facts, Process, Seen, Supervised};

/// The supervisor of the process or of an ancestor, pair by pair from the process upwards. The supervised process has the
/// session of `process`: what moved to a session of its own was meant to outlive. `is_own`: the process is an instance.
/// `is_instance`: whether an ancestor is one.
pub(crate) fn supervised(
    process: &Process, is_own: bool, is_instance: impl Fn(&Facts, &Ancestry) -> bool,
) -> Option<Supervised> {
    let holder = &process.facts;
    let mut child = holder;
    for (depth, parent) in process.ancestry.parents().enumerate() {
        let is_parent = parent.state != 'Z' && parent.id.start_ticks <= child.id.start_ticks;
        if !is_parent || child.session != holder.session {
            return None;
        }
        if let Some(row) = SUPERVISORS.iter().find(|row| looks_after(row, parent, child)) {
            let found = Supervised { by: row.name, supervisor: parent.id, child: child.id };
            return Some(found).filter(|_| !has_another_instance(process, depth, is_own, is_instance));
        }
        child = parent;
    }
    None
}

/// Between the process and this ancestor there is another instance than its own: the supervisor looks after that one.
fn has_another_instance(
    process: &Process, depth: usize, is_own: bool, is_instance: impl Fn(&Facts, &Ancestry) -> bool,
) -> bool {
    let above = process.ancestry.with_ancestries().take(depth);
    let (mut instances, mut last) = (usize::from(is_own), is_own);
    for is_instance in above.map(|(facts, above)| is_instance(facts, &above)) {
        instances += usize::from(is_instance && !last);
        last = is_instance;
    }
    instances > 1
}

fn looks_after(row: &Row, parent: &Facts, child: &Facts) -> bool {
    is_supervisor(row, parent) && row.ties.iter().all(|tie| holds(*tie, parent, child))
}

/// The supervisor that this process is, if it may hold the ports of the processes that it looks after.
pub(crate) fn holds_ports(facts: &Facts) -> Option<&'static str> {
    SUPERVISORS.iter().find(|row| row.holds_ports && is_supervisor(row, facts)).map(|row| row.name)
}

fn is_supervisor(row: &Row, facts: &Facts) -> bool {
    // An ordinary user may not read the executable of root's supervisor. The arguments must do then.
    let is_hidden = facts.exe == Seen::Denied && !row.shown_by.is_empty();
    (row.is_executed_by(facts) || is_hidden)
        && (row.shown_by.is_empty() || row.shown_by.iter().any(|shown| is_shown_by(*shown, facts)))
}

fn is_shown_by(shown: ShownBy, facts: &Facts) -> bool {
    let Seen::Value(argv) = &facts.argv else { return false };
    let exe = facts.exe.value().map_or_else(|| Path::new(facts.program()), |exe| &exe.path);
    let found = script(exe, argv);
    match (shown, &found) {
        (ShownBy::Title(start), _) => {
            argv.first().is_some_and(|title| title.as_encoded_bytes().starts_with(start.as_bytes()))
        }
        (ShownBy::Script(end), Argument::At(path, _)) => Path::new(path).ends_with(end),
        (ShownBy::Subcommand(end, word), Argument::At(path, args)) => {
            Path::new(path).ends_with(end) && subcommand(args, &[]) == Some(OsStr::new(word))
        }
        (ShownBy::Module(name), _) => {
            argv.windows(2).any(|pair| matches!(pair, [m, module] if m == "-m" && module == name))
        }
        (ShownBy::Option(name), _) => argv.iter().any(|arg| is_option(arg, name)),
        (ShownBy::Script(_) | ShownBy::Subcommand(..), _) => false,
    }
}

/// `--name`, or `--name=value`.
fn is_option(arg: &OsStr, name: &str) -> bool {
    let value = arg.as_encoded_bytes().strip_prefix(name.as_bytes());
    value.is_some_and(|value| value.is_empty() || value.starts_with(b"="))
}

fn holds(tie: Tie, parent: &Facts, child: &Facts) -> bool {
    match tie {
        Tie::Variable(_) | Tie::OwnSession | Tie::OwnGroup if parent.id.pid != 1 => true,
        Tie::Variable(key) => child.environ.value().is_none_or(|own| own.get(key).is_some()),
        Tie::OwnSession => child.session == child.id.pid,
        Tie::OwnGroup => child.group == child.id.pid && child.session == parent.session,
        Tie::Note(_) => match parent.charge.as_ref().map(|charge| &charge.pid) {
            Some(Seen::Value(pid)) => *pid == child.id.pid,
            Some(Seen::Denied) => true,
            Some(Seen::Gone) | None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Charge, Environ, Exe};
    use crate::testing::{facts, file, process};
    use std::sync::Arc;

    /// A process in words: its executable, its arguments after `|`, and then its properties after another `|`:
    /// `KEY=VALUE`, `session`, `group`, `with` a session, `young`, `zombie`, `hidden`, `notes` a pid.
    fn one(pid: u32, text: &str) -> Facts {
        let mut parts = text.split(" | ");
        let (exe, argv, words) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(""));
        let word = |name: &str| words.split(' ').find_map(|word| word.strip_prefix(name));
        let number = |name: &str| word(name).map(|number| number.parse().unwrap());
        let mut facts = facts(pid, if word("young").is_some() { 5_000 } else { u64::from(pid) });
        facts.exe = Seen::Value(Exe { path: exe.into(), replaced: false, file: file(1) });
        if word("hidden").is_some() {
            (facts.exe, facts.environ) = (Seen::Denied, Seen::Denied);
        }
        // A title is one argument.
        let words_of = |text: &str| text.split(' ').map(Into::into).collect();
        facts.argv = Seen::Value(if argv.starts_with("PM2") { vec![argv.into()] } else { words_of(argv) });
        let variable = |word: &str| word.split_once('=').map(|(key, value)| (key.into(), value.into()));
        if facts.exe != Seen::Denied {
            facts.environ = Seen::Value(Environ(words.split(' ').filter_map(variable).collect()));
        }
        facts.session = number("session:").unwrap_or(7);
        facts.group = number("group:").unwrap_or(7);
        facts.state = if word("zombie").is_some() { 'Z' } else { 'S' };
        let note = number("notes:").map(Seen::Value).or_else(|| word("unread").map(|_| Seen::Denied));
        facts.charge = note.map(|pid| Charge { folder: Some("/sv/gw".into()), pid });
        facts
    }

    /// pid 90, below its parents, nearest first: 80, 70 and so on; the last is `top`.
    fn of(line: &[&str], top: u32) -> Process {
        let pids = (0..).map(|at| if at + 1 == line.len() as u32 && at > 0 { top } else { 90 - 10 * at });
        let mut all = line.iter().zip(pids).map(|(text, pid)| one(pid, text));
        let holder = all.next().unwrap();
        process(holder, Ancestry { line: all.map(Arc::new).collect(), complete: true })
    }

    const GOD: &str = "/usr/bin/node | PM2 v7.0.4: God Daemon (/root/.pm2)";
    const APP: &str = "/usr/bin/node | node gw.js | pm_id=0 session:90";
    const SUPERVISORD: &str = "/usr/bin/python3.11 | /usr/bin/python3 /usr/bin/supervisord -n";
    const PROGRAM: &str = "/usr/bin/node | node gw.js | SUPERVISOR_PROCESS_NAME=gw group:90";
    const PLAIN: &str = "/usr/bin/node | node gw.js";

    /// The supervisor and its child.
    fn found(line: &[&str], instances: &[u32]) -> Option<(&'static str, u32, u32)> {
        below(1, line, instances)
    }

    fn below(top: u32, line: &[&str], instances: &[u32]) -> Option<(&'static str, u32, u32)> {
        let is_instance = |facts: &Facts, _: &Ancestry| instances.contains(&facts.id.pid);
        let found = supervised(&of(line, top), instances.contains(&90), is_instance)?;
        Some((found.by, found.supervisor.pid, found.child.pid))
    }

    #[test]
    fn each_supervisor_is_told_by_all_of_its_row() {
        let runsv = "/usr/bin/runsv | runsv gw | notes:90";
        // The process and its parents → supervisor
        let table: [(&[&str], Option<&str>); 43] = [
            (&[APP, GOD], Some("pm2")),
            (&[APP, "/usr/bin/bun | PM2 v7.0.4: God Daemon (/root/.pm2)"], Some("pm2")),
            (&[APP, "/usr/bin/node | node /usr/bin/pm2-runtime start gw.js"], Some("pm2")),
            (&[APP, "/usr/bin/node | /usr/bin/node /x/pm2-docker start gw.js"], Some("pm2")),
            (&[APP, "/usr/bin/python3 | PM2 v7.0.4: God Daemon (/root/.pm2)"], None),
            (&[APP, "/usr/bin/node | node /usr/bin/pm3"], None),
            (&[APP, "/usr/bin/node | node app.js pm2"], None),
            (&[APP, "/usr/bin/other | PM2 v7.0.4: God | hidden"], Some("pm2")),
            (&[APP, "/usr/bin/other | other thing | hidden"], None),
            (&["/usr/bin/node | node gw.js | pm_id=0 session:80", GOD], None),
            (&["/usr/bin/node | node gw.js | session:90", GOD], None),
            (&[APP, "/usr/bin/node | PM2 v7.0.4: God | pm_id=0"], Some("pm2")),
            (&[APP, "/usr/bin/node | PM2 v7.0.4: God | zombie"], None),
            (&[APP, "/usr/bin/node | PM2 v7.0.4: God | young"], None),
            (&[PROGRAM, SUPERVISORD], Some("supervisord")),
            (&[PROGRAM, "/usr/bin/python3.11 | python3 -u -m supervisor.supervisord -n"], Some("supervisord")),
            (&[PROGRAM, "/usr/bin/python3.11 | python3 /x/supervisor/supervisord.py"], Some("supervisord")),
            (&[PROGRAM, "/usr/bin/python3.11 | python3 app.py"], None),
            (&[PROGRAM, "/usr/bin/python3.11 | python3 app.py supervisor.supervisord"], None),
            (&["/usr/bin/node | node gw.js | SUPERVISOR_PROCESS_NAME=gw group:80", SUPERVISORD], None),
            (&["/usr/bin/node | node gw.js | group:90", SUPERVISORD], None),
            // setsid(1): an orphan that PID 1 has inherited.
            (&["/usr/bin/node | node gw.js | SUPERVISOR_PROCESS_NAME=gw group:90 session:90", SUPERVISORD], None),
            (&[PLAIN, runsv], Some("runit")),
            (&[PLAIN, "/usr/bin/runsv | runsv gw | notes:91"], None),
            (&[PLAIN, "/usr/bin/runsv | runsv gw"], None),
            (&[PLAIN, "/usr/bin/runsv | runsv gw | unread"], Some("runit")),
            (&[PLAIN, "/bin/busybox | runsv gw | notes:90"], Some("runit")),
            (&[PLAIN, "/bin/busybox | sh gw | notes:90"], None),
            (&[PLAIN, "/usr/bin/other | runsv gw | notes:90"], None),
            (&[PLAIN, "/usr/bin/s6-supervise | s6-supervise gw | notes:90"], Some("s6")),
            (&[PLAIN, "/usr/bin/supervise | supervise gw | notes:90"], Some("daemontools")),
            (&[PLAIN, "/usr/bin/tini | tini -- node gw.js | notes:90"], Some("container-init")),
            (&[PLAIN, "/usr/bin/tini | tini -- node gw.js | notes:91"], None),
            (
                &[
                    "/usr/bin/node | node gw.js | RC_SVCNAME=gw session:90",
                    "/sbin/supervise-daemon | supervise-daemon gw | RC_SVCNAME=gw",
                ],
                Some("openrc"),
            ),
            (&["/usr/bin/node | node gw.js | session:90", "/sbin/supervise-daemon | supervise-daemon gw"], None),
            (
                &["/usr/bin/node | node gw.js | session:90", "/usr/bin/python3 | python3 /usr/bin/circusd c"],
                Some("circus"),
            ),
            (&[PLAIN, "/usr/bin/python3 | python3 /usr/bin/circusd c"], None),
            (&["/usr/bin/node | node gw.js | session:90", "/usr/bin/python3 | circusd"], Some("circus")),
            (&[PLAIN, "/usr/bin/node | node /x/forever/bin/monitor gw.js"], Some("forever")),
            (&[PLAIN, "/usr/bin/node | node /x/nodemon/bin/nodemon.js gw.js"], Some("nodemon")),
            (&[PLAIN, "/usr/bin/node | node /x/.bin/tsx watch gw.ts"], Some("tsx")),
            (&[PLAIN, "/usr/bin/node | node /x/.bin/tsx gw.ts"], None),
            (&[PLAIN, "/usr/bin/node | node --watch gw.js"], None),
        ];
        for (line, expected) in table {
            assert_eq!(found(line, &[]).map(|(by, ..)| by), expected, "{line:?}");
        }
        let watched = "/usr/bin/node | node gw.js | WATCH_REPORT_DEPENDENCIES=1";
        assert_eq!(found(&[watched, "/usr/bin/node | node --watch gw.js"], &[]), Some(("node --watch", 1, 90)));
        assert_eq!(
            found(&[watched, "/usr/bin/node | node --watch-path=lib gw.js"], &[]),
            Some(("node --watch", 1, 90))
        );
        assert_eq!(found(&[watched, "/usr/bin/node | node gw.js"], &[]), None);
    }

    #[test]
    fn a_supervisor_that_is_not_pid_1_has_started_each_of_its_children() {
        let runsv = "/usr/bin/runsv | runsv gw | notes:91";
        let table: [(&[&str], Option<&str>); 6] = [
            (&[PLAIN, GOD], Some("pm2")),
            (&[PLAIN, SUPERVISORD], Some("supervisord")),
            (&[PLAIN, "/usr/bin/node | node --watch gw.js"], Some("node --watch")),
            (&[PLAIN, "/usr/bin/python3 | python3 /usr/bin/circusd c"], Some("circus")),
            // It starts others beside its service: what logs, and what follows its end.
            (&[PLAIN, runsv], None),
            (&[PLAIN, "/usr/bin/node | node app.js"], None),
        ];
        for (line, expected) in table {
            assert_eq!(below(80, line, &[]).map(|(by, ..)| by), expected, "{line:?}");
        }
    }

    #[test]
    fn it_may_look_after_a_process_above_in_the_same_session_and_of_no_other_instance() {
        let sh = "/bin/sh | sh -c x | pm_id=0 session:80";
        let below = "/usr/bin/node | node gw.js | pm_id=0 session:80";
        let own = "/usr/bin/node | node gw.js | pm_id=0 session:90";
        let app = |session: &str| format!("/usr/bin/node | node gw.js | pm_id=0 session:{session}");
        let (app80, app70) = (app("80"), app("70"));
        let sh70 = "/bin/sh | sh -c x | pm_id=0 session:70";
        // The process and its parents, which of them are instances → the child that pm2 looks after
        let table: [(&[&str], &[u32], Option<u32>); 8] = [
            (&[below, sh, GOD], &[90], Some(80)),
            (&[own, sh, GOD], &[90], None),
            (&[below, &app80, GOD], &[90, 80], Some(80)),
            (&[&app70, sh70, &app70, GOD], &[90, 70], None),
            (&[&app70, &app70, sh70, GOD], &[90, 80], Some(70)),
            (&[&app70, sh70, &app70, GOD], &[70], Some(70)),
            (&[below, sh, "/usr/bin/node | node x.js", GOD], &[90], None),
            (&[below], &[90], None),
        ];
        for (line, instances, expected) in table {
            assert_eq!(found(line, instances).map(|(.., child)| child), expected, "{line:?} {instances:?}");
        }
    }

    #[test]
    fn only_a_supervisor_that_may_hold_a_port_is_protected_by_its_title() {
        let table = [(GOD, Some("pm2")), (APP, None), (SUPERVISORD, None), ("/bin/cat | PM2 v7: God", None)];
        for (text, expected) in table {
            assert_eq!(holds_ports(&one(90, text)), expected, "{text}");
        }
    }
}
