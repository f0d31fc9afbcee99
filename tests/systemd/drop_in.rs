//! `portclear unit` prints a drop-in that systemd takes and that works.

use std::fs;
use std::path::Path;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        b13_the_drop_in_works,
        b13_the_drop_in_of_a_templates_instance_works,
        b13_the_drop_in_of_a_program_in_a_strange_place_works,
        b13_it_warns_of_what_stands_against_it,
        b13_the_drop_in_shortens_no_stop
    ];
    cases.extend([
        case!(b13_the_drop_in_says_all),
        case!(b13_printing_a_drop_in_writes_nothing),
        case!(b13_a_bad_name_is_refused),
        case!(b13_a_program_that_no_unit_can_start_is_refused),
        case!(b13_the_callers_own_folders_are_read),
    ]);
    cases
}

/// The manager that it is for accepts it without a word.
#[track_caller]
pub(super) fn verify(sd: &Sd, unit: &Unit<'_>) {
    let which = if sd.manager() == Manager::User { "--user" } else { "--system" };
    let run = sd.enter(&["systemd-analyze", which, "--man=no", "verify", unit.name()]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
}

fn b13_the_drop_in_says_all() {
    let run = portclear(&["unit", "18789"]);
    run.succeeded();
    let text = &run.stdout;
    assert_eq!(run.stderr, "");
    let path = fs::canonicalize(crate::support::run::PROGRAM).unwrap();
    let hook = format!("\nExecStartPre={} 18789\n", path.display());
    let wanted = ["openclaw-gateway.service", "\n[Service]\n", "\nKillMode=mixed\n", "\nTimeoutStopSec=330\n", &hook];
    for wanted in wanted.into_iter().chain(["\nSuccessExitStatus=143\n"]) {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    // A comment above each setting says what that is for.
    let mut before = "";
    for line in text.lines() {
        let setting = !line.is_empty() && !line.starts_with(['#', '[']);
        assert!(!setting || before.starts_with('#'), "no comment above {line}");
        before = line;
    }
    let run = portclear(&["unit", "--unit", "gw@work.service", "--grace", "5s", "18789"]);
    run.succeeded();
    assert!(run.stdout.contains("gw@work.service") && run.stdout.contains("--grace=5s"), "{run}");
    assert!(run.stderr.contains(LOOKS_FOR_A_GATEWAY) && run.stderr.lines().count() == 1, "{run}");
    assert_eq!(portclear(&["unit", "--unit", "openclaw-gateway-work", "18789"]).stderr, "");
    // A name without an ending is a service's.
    let whole = portclear(&["unit", "--unit", "my-app.service", "--package", "my-app", "8080"]);
    whole.succeeded();
    assert_eq!(whole.stderr, "");
    assert_eq!(portclear(&["unit", "--unit", "my-app", "--package", "my-app", "8080"]).stdout, whole.stdout);
}

fn b13_printing_a_drop_in_writes_nothing() {
    let (run, calls) = Portclear::new(&["unit", "18789"]).traced().record();
    run.succeeded();
    let opened = calls.iter().filter(|call| call.number == libc::SYS_openat);
    let writing = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    let mut reads = 0;
    for call in opened {
        reads += 1;
        assert_eq!(call.arguments[2] & u64::from(writing.unsigned_abs()), 0, "{call:?}");
    }
    assert!(reads > 0);
    let changes = [libc::SYS_mkdirat, libc::SYS_renameat2, libc::SYS_renameat, libc::SYS_unlinkat, libc::SYS_symlinkat];
    assert!(calls.iter().all(|call| !changes.contains(&call.number)));
    // It reads the files that lie there, and asks no other process.
    let asks = [libc::SYS_connect, libc::SYS_socket, libc::SYS_clone, libc::SYS_clone3, libc::SYS_execve];
    assert!(calls.iter().all(|call| !asks.contains(&call.number)));
}

fn b13_a_bad_name_is_refused() {
    for name in ["", "../gw.service", "gw.timer", "a b.service"] {
        let run = portclear(&["unit", "--unit", name, "18789"]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{name:?}: {run}");
        let sentence = run.stderr.lines().filter(|line| line.contains("a service's unit has a name like")).count();
        assert_eq!(sentence, 1, "{name:?}: {run}");
        assert!(run.stderr.trim_end().lines().count() <= 3, "{name:?}: {run}");
    }
}

fn b13_the_drop_in_works(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let leftover = sd.process(sd.until_answers(port));
    unit.stop();
    let run = sd.portclear(&["unit", "--unit", unit.name(), "--grace", "5s", &port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    // The text was printed, not installed. By itself it changes nothing.
    assert!(leftover.is_alive());
    assert!(!sd.unit_folder().join(format!("{}.d", unit.name())).exists());
    unit.drop_in("override.conf", &run.stdout);
    verify(sd, &unit);
    unit.start();
    leftover.has_ended();
    let child = sd.process(sd.until_answers(port));
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("KillMode").as_str()), ("0", "mixed"));
    unit.stop();
    child.has_ended();
    assert_eq!(unit.show("Result"), "success");
    bystander.answers();
}

fn b13_the_drop_in_of_a_templates_instance_works(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let template = sd.unit("gw@.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    let unit = template.instance("work");
    unit.start();
    let leftover = sd.process(sd.until_answers(port));
    unit.stop();
    let run = sd.portclear(&["unit", "--unit", unit.name(), &port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert!(run.stderr.contains("KillMode=process"), "{run}");
    unit.drop_in("override.conf", &run.stdout);
    verify(sd, &unit);
    unit.start();
    leftover.has_ended();
    assert_ne!(sd.until_answers(port), 0);
    // Nothing stands against the drop-in any more. Whoever prints it again, for an edit, gets the whole of it.
    let again = sd.portclear(&["unit", "--unit", unit.name(), &port.to_string()]);
    let notes: Vec<&str> = again.stderr.lines().collect();
    assert!(matches!(notes[..], [note] if note.contains(LOOKS_FOR_A_GATEWAY)), "{again}");
    assert_eq!(again.stdout, run.stdout);
    bystander.answers();
}

/// Each of these has a meaning in the command line of a unit file.
const STRANGE: [&str; 4] = ["a b", "100%n", "ünïcode;#", "$HOME and ${HOME}"];

fn b13_the_drop_in_of_a_program_in_a_strange_place_works(sd: &Sd) {
    let bystander = sd.bystander();
    for (at, name) in STRANGE.into_iter().enumerate() {
        let port = sd.port();
        let program = sd.program();
        let own = sd.named(&format!("{at} {name}")).name().to_owned();
        let folder = Path::new(&program).parent().unwrap().join(own);
        fs::create_dir(&folder).unwrap();
        let copy = folder.join("portclear");
        fs::copy(&program, &copy).unwrap();
        let gateway = sd.install(sd.gateway(port).forks_listener());
        let text = format!("[Service]\n{gateway}KillMode=process\n");
        let unit = sd.unit(&format!("gw{at}.service"), &text);
        unit.start();
        let leftover = sd.process(sd.until_answers(port));
        unit.stop();
        let words = [copy.to_str().unwrap(), "unit", "--unit", unit.name(), "--grace", "4s 500ms"];
        let run = sd.enter(&[&words[..], &[&port.to_string()]].concat());
        assert_eq!(run.status, 0, "{name}: {run}");
        unit.drop_in("override.conf", &run.stdout);
        verify(sd, &unit);
        let start = unit.try_start();
        assert_eq!(start.status, 0, "{name}: {}: {start}", run.stdout);
        leftover.has_ended();
        fs::remove_dir_all(folder).unwrap();
    }
    bystander.answers();
}

/// systemd takes no such path, in whatever quotes, and ignores the line. The server would start without the hook.
fn b13_a_program_that_no_unit_can_start_is_refused() {
    for name in ["it's", "\"so\"", r"back\slash", "new\nline"] {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join(name);
        fs::create_dir(&folder).unwrap();
        let copy = folder.join("portclear");
        fs::copy(crate::support::run::PROGRAM, &copy).unwrap();
        let run = Portclear::new(&["unit", "18789"]).through(&["sh", "-c", "exec \"$COPY\" \"$@\""]);
        let run = run.env("COPY", copy).run();
        assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{name}: {run}");
        assert!(run.stderr.contains("cannot stand in a unit file"), "{name}: {run}");
        assert_eq!(run.stderr.lines().count(), 1, "{name}: {run}");
    }
}

const KILL_MODE: &str = "it is loaded with KillMode=process";

const KEPT: &str = "KillMode=mixed is kept";

const TIMEOUT: &str = "TimeoutStartSec=";

/// The name of the unit is no gateway's, and the call describes no other service.
const LOOKS_FOR_A_GATEWAY: &str = ": this hook looks for an OpenClaw gateway; describe another service with --package";

/// For a unit that is called otherwise than a gateway.
#[track_caller]
fn warns(run: &Run, of: &[&str]) {
    assert_eq!(run.status, 0, "{run}");
    // What is to be installed is on standard output. It says what is kept, too, but nobody is warned there.
    assert_eq!(run.stdout.contains("\nKillMode=mixed\n"), !of.contains(&KEPT), "{run}");
    assert_eq!(run.stdout.contains(&format!("\n# {KEPT}: ")), of.contains(&KEPT), "{run}");
    assert!(!run.stdout.contains("loaded with"), "{run}");
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), of.len() + 1, "{of:?}: {run}");
    for (line, of) in lines.iter().zip(of.iter().chain([&LOOKS_FOR_A_GATEWAY])) {
        assert!(line.contains(of), "{of}: {run}");
    }
}

fn b13_it_warns_of_what_stands_against_it(sd: &Sd) {
    let unit = sd.unit("gw.service", "[Service]\nExecStart=/bin/true\nKillMode=mixed\n");
    let ask = |more: &[&str]| sd.portclear(&[&["unit", "--unit", unit.name()], more, &["18789"]].concat());
    warns(&ask(&[]), &[KEPT]);
    unit.write("[Service]\nExecStart=/bin/true\nKillMode=process\nTimeoutStartSec=5\n");
    warns(&ask(&[]), &[KILL_MODE, TIMEOUT]);
    // Five seconds are enough for a grace of three and for the two of SIGKILL, and for no more.
    warns(&ask(&["--grace", "3s"]), &[KILL_MODE]);
    warns(&ask(&["--grace", "3001ms"]), &[KILL_MODE, TIMEOUT]);
    unit.drop_in("50-a.conf", "[Service]\nKillMode=mixed\n");
    warns(&ask(&[]), &[KEPT, TIMEOUT]);
    unit.drop_in("60-b.conf", "[Service]\nTimeoutStartSec=infinity\n");
    warns(&ask(&[]), &[KEPT]);
    unit.drop_in("70-c.conf", "[Service]\nKillMode=process\nTimeoutStartSec=1500ms\n");
    warns(&ask(&[]), &[KILL_MODE, TIMEOUT]);
    // systemd itself has loaded these values.
    let loaded = [unit.show("KillMode"), unit.show("TimeoutStartUSec")];
    assert_eq!(loaded, ["process", "1.500000s"]);
    warns(&sd.portclear(&["unit", "--unit", sd.named("none.service").name(), "18789"]), &[]);
}

fn b13_the_callers_own_folders_are_read() {
    let top = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = top.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("home/.config/systemd/user/gw.service", "[Service]\nKillMode=process\n");
    write("config/systemd/user/gw.service", "[Service]\nTimeoutStartSec=3\n");
    write("data/systemd/user/web.service", "[Service]\nTimeoutStartSec=3\nKillMode=process\n");
    write("run/systemd/user/web.service.d/x.conf", "[Service]\nTimeoutStartSec=1min\n");
    let home = top.path().join("home");
    let ask = |unit: &str, variables: &[&str]| {
        let mut program = Portclear::new(&["unit", "--unit", unit, "18789"]).env("HOME", &home);
        for name in variables {
            let folder = name.trim_start_matches("XDG_").split('_').next().unwrap().to_lowercase();
            program = program.env(name, top.path().join(if folder == "runtime" { "run" } else { &folder[..] }));
        }
        program.run()
    };
    warns(&ask("gw.service", &[]), &[KILL_MODE]);
    warns(&ask("gw.service", &["XDG_CONFIG_HOME"]), &[TIMEOUT]);
    warns(&ask("web.service", &[]), &[]);
    warns(&ask("web.service", &["XDG_DATA_HOME"]), &[KILL_MODE, TIMEOUT]);
    warns(&ask("web.service", &["XDG_DATA_HOME", "XDG_RUNTIME_DIR"]), &[KILL_MODE]);
}

/// What systemd itself has loaded.
fn stop_of(unit: &Unit<'_>) -> [String; 3] {
    ["TimeoutStopUSec", "KillMode", "SuccessExitStatus"].map(|property| unit.show(property))
}

fn b13_the_drop_in_shortens_no_stop(sd: &Sd) {
    // The manager's own.
    let default = sd.unit("default.service", "[Service]\nExecStart=/bin/true\n").show("TimeoutStopUSec");
    let drain = "5min 30s";
    let whole = "KillMode=mixed\nTimeoutStopSec=330\nSuccessExitStatus=0 143";
    // Whether it is a gateway's unit; its settings; what is loaded with the drop-in.
    let table: [(bool, &str, [&str; 3]); 10] = [
        (true, whole, [drain, "mixed", "0 143"]),
        (true, "", [drain, "mixed", "143"]),
        (true, "KillMode=process\nTimeoutStopSec=30", [drain, "mixed", "143"]),
        (true, "TimeoutStopSec=10min\nSuccessExitStatus=75", ["10min", "mixed", "75 143"]),
        (true, "TimeoutStopSec=infinity\nKillMode=control-group", ["infinity", "control-group", "143"]),
        (true, "TimeoutStopSec=600\nTimeoutStopSec=", ["10min", "mixed", "143"]),
        (false, "TimeoutStopSec=330", [drain, "mixed", "143"]),
        (false, "TimeoutSec=20\nKillMode=mixed\nKillMode=", ["20s", "mixed", "143"]),
        (false, "", [&default, "mixed", "143"]),
        (false, "SuccessExitStatus=143\nSuccessExitStatus=", [&default, "mixed", "143"]),
    ];
    for (at, (is_gateway, settings, expected)) in table.into_iter().enumerate() {
        let name = sd.named(&format!("{at}.service")).name().to_owned();
        let name = if is_gateway { format!("openclaw-gateway-{name}") } else { name };
        let unit = sd.named_exactly(&name);
        unit.write(&format!("[Service]\nExecStart=/bin/true\n{settings}\n"));
        let before = stop_of(&unit);
        let run = sd.portclear(&["unit", "--unit", unit.name(), "18789"]);
        assert_eq!(run.status, 0, "{run}");
        unit.drop_in("override.conf", &run.stdout);
        // systemd says that it ignores an empty value.
        if !settings.ends_with('=') {
            verify(sd, &unit);
        }
        assert_eq!(stop_of(&unit), expected, "{settings:?}, before {before:?}: {run}");
        // Its own values are named where they stay.
        let is_kept = settings.contains("TimeoutStopSec=330") && before[0] == expected[0];
        assert_eq!(run.stderr.contains("TimeoutStopSec=330 is kept: no stop gets shorter"), is_kept, "{run}");
        // The earlier drop-in has done harm: it shortened what the unit has of its own.
        if settings == whole {
            unit.drop_in("override.conf", "[Service]\nExecStartPre=/usr/bin/portclear 18789\nTimeoutStopSec=30\n");
            assert_eq!(unit.show("TimeoutStopUSec"), "30s");
            let run = sd.portclear(&["unit", "--unit", unit.name(), "18789"]);
            unit.drop_in("override.conf", &run.stdout);
            assert_eq!(stop_of(&unit), expected, "{run}");
        }
    }
}
