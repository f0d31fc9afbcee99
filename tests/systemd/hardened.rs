//! The table of docs/systemd.md is true. Each directive stands in a unit that has left a server behind.

use std::path::Path;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        g04_with_private_users_it_says_what_would_work,
        g04_a_privileged_hook_works_with_private_users,
        g04_a_hook_needs_no_bus_and_no_child,
        g04_the_link_alone_tells
    ];
    cases.extend([
        case!(g04_a_hardened_unit_works, Needs::Systemd),
        case!(g04_a_hardened_user_unit_works, Needs::Systemd),
        case!(g04_another_users_hidden_holder_is_said, Needs::Systemd),
        case!(g04_a_live_unit_behind_protect_home_is_spared, Needs::Systemd),
        case!(g04_a_unit_in_a_network_of_its_own_starts, Needs::Systemd),
        case!(g04_every_row_of_the_table_is_tested),
    ]);
    cases
}

/// A start works at once with each of these. The last entry combines them.
const WORK: [&str; 11] = [
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=strict",
    "User=portclear",
    "ProcSubset=pid",
    "ProtectHome=yes",
    "ProtectHome=tmpfs",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "User=portclear\nProtectProc=invisible",
    "User=portclear\nProtectProc=noaccess",
    "User=portclear\nNoNewPrivileges=yes\nPrivateTmp=yes\nProtectSystem=strict\nProcSubset=pid\n\
     ProtectProc=invisible\nRestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
];

/// PrivateTmp= hides the folder of the server and the hook. This line shows it again.
fn visible(sd: &Sd) -> String {
    format!("BindReadOnlyPaths={}\n", Path::new(&sd.program()).parent().unwrap().display())
}

/// A unit that has left a server behind, and the server's inner pid.
fn left_behind<'a>(sd: &'a Sd, name: &str, port: u16, more: &str) -> (Unit<'a>, Installed, u32) {
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let clear = format!("ExecStartPre={} {port}", sd.program());
    let unit = sd.unit(name, &format!("[Service]\n{gateway}{clear}\nKillMode=process\n{more}\n"));
    unit.start();
    let leftover = sd.until_answers(port);
    unit.stop();
    assert_eq!(sd.until_answers(port), leftover);
    (unit, gateway, leftover)
}

#[track_caller]
fn starts_at_once(sd: &Sd, name: &str, more: &str) {
    let port = sd.port();
    let (unit, _files, leftover) = left_behind(sd, name, port, more);
    let process = sd.process(leftover);
    unit.start();
    process.has_ended();
    assert_ne!(sd.until_answers(port), leftover, "{more}");
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("Result").as_str()), ("0", "success"), "{more}");
    let who = format!("(pid {leftover}, ");
    let line = unit.until_line("what was done", |line| line.message.contains(&who));
    assert!(line.message.contains(": cleared of ") && line.priority == 5, "{more}: {line:?}");
}

fn g04_a_hardened_unit_works() {
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    for (at, more) in WORK.into_iter().enumerate() {
        starts_at_once(&sd, &format!("gw{at}.service"), &format!("{more}\n{}", visible(&sd)));
    }
    bystander.answers();
}

fn g04_a_hardened_user_unit_works() {
    let sd = Sd::new(Manager::User);
    let bystander = sd.bystander();
    // A user's manager can do no more to its units, and ignores the rest.
    for (at, more) in WORK.into_iter().filter(|more| !more.contains("User=")).enumerate() {
        starts_at_once(&sd, &format!("gw{at}.service"), more);
    }
    bystander.answers();
}

/// The start ends with 4, the journal has these words, and nothing is touched.
#[track_caller]
fn is_blind<'a>(sd: &Sd, unit: &'a Unit<'a>, pid: u32, port: u16, wanted: &[&str]) {
    let process = sd.process(pid);
    assert_eq!(unit.try_start().status, 1);
    assert_eq!(unit.show("Result"), "exit-code");
    unit.until_line("the status", |line| line.message.contains("status=4/"));
    let line = unit.until_line("why", |line| wanted.iter().all(|wanted| line.message.contains(wanted)));
    assert_eq!((line.identifier.as_str(), line.priority), ("portclear", 4), "{line:?}");
    assert!(process.is_alive());
    assert_eq!(sd.until_answers(port), pid);
    assert_eq!(unit.signals_of(pid), [""; 0]);
}

fn g04_with_private_users_it_says_what_would_work(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let user = if sd.manager() == Manager::User { "" } else { "User=portclear\n" };
    let (unit, _files, leftover) = left_behind(sd, "gw.service", port, &format!("PrivateUsers=yes\n{user}"));
    is_blind(sd, &unit, leftover, port, &["PrivateUsers=no", "ExecStartPre=+"]);
    bystander.answers();
}

fn g04_a_privileged_hook_works_with_private_users(sd: &Sd) {
    let bystander = sd.bystander();
    let user = if sd.manager() == Manager::User { "" } else { "User=portclear\n" };
    let port = sd.port();
    let (unit, _files, leftover) = left_behind(sd, "gw.service", port, &format!("PrivateUsers=yes\n{user}"));
    let process = sd.process(leftover);
    unit.drop_in("hook.conf", &format!("[Service]\nExecStartPre=\nExecStartPre=+{} {port}\n", sd.program()));
    unit.start();
    process.has_ended();
    assert_ne!(sd.until_answers(port), leftover);
    bystander.answers();
}

fn g04_another_users_hidden_holder_is_said() {
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    let port = bystander.port();
    // `noaccess` still shows that the process exists.
    for (hidden, wanted) in [("invisible", "ProtectProc=default"), ("noaccess", "cannot be seen from here")] {
        let gateway = sd.install(sd.gateway(port));
        let clear = format!("ExecStartPre={} {port}", sd.program());
        let text = format!("[Service]\n{gateway}{clear}\nUser=portclear\nProtectProc={hidden}\n");
        let unit = sd.unit(&format!("{hidden}.service"), &text);
        is_blind(&sd, &unit, bystander.pid(), port, &["uid 0", wanted]);
    }
    bystander.answers();
}

/// The record of the unit is hidden. A record that cannot be read is no sign of an end.
fn g04_a_live_unit_behind_protect_home_is_spared() {
    let (sd, users) = (Sd::new(Manager::System), Sd::new(Manager::User));
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = users.install(users.gateway(port));
    let live = users.unit("live.service", &format!("[Service]\n{gateway}"));
    live.start();
    let pid = live.main_pid();
    for hidden in ["yes", "tmpfs"] {
        let clear = format!("ExecStart={} {port}", sd.program());
        let text = format!("[Service]\nType=oneshot\n{clear}\nProtectHome={hidden}\n");
        let unit = sd.unit(&format!("{hidden}.service"), &text);
        is_blind(&sd, &unit, pid, port, &["left alone"]);
    }
    assert_eq!(live.signals_of(pid), [""; 0]);
    bystander.answers();
}

fn g04_a_unit_in_a_network_of_its_own_starts() {
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    let port = bystander.port();
    let gateway = sd.install(sd.gateway(port));
    let clear = format!("ExecStartPre={} {port}", sd.program());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{clear}\nPrivateNetwork=yes\n"));
    unit.start();
    assert_ne!(unit.main_pid(), 0);
    assert_eq!(unit.journal_of("portclear"), []);
    bystander.answers();
}

/// A row that is not in this list has no test.
fn g04_every_row_of_the_table_is_tested() {
    let document = include_str!("../../docs/systemd.md");
    let directives = [
        "| `NoNewPrivileges=yes`, `PrivateTmp=yes`, `ProtectSystem=strict`, `User=` | works |",
        "| `ProcSubset=pid` | works |",
        "| `ProtectHome=yes` or `tmpfs` | works; it hides /run/user",
        "| `RestrictAddressFamilies=` without `AF_NETLINK` | works",
        "| `ProtectProc=invisible` or `noaccess`, with `User=` | works for what the same user holds",
        "| `PrivateUsers=yes` | other users' processes may not be read: exit 4.",
        "| `PrivateNetwork=yes` | the unit has a network of its own",
    ];
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), directives.len(), "{rows:?}");
    for (row, directive) in rows.iter().zip(directives) {
        assert!(row.starts_with(directive), "{row}");
    }
}

fn g04_a_hook_needs_no_bus_and_no_child(sd: &Sd) {
    let bystander = sd.bystander();
    // The hook can make neither a unix socket nor a child: SIGSYS ends a program that tries to fork. The server
    // itself may do both.
    let strict = "NoNewPrivileges=yes\nRestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK\n\
                  SystemCallFilter=~clone clone3 fork vfork\n";
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let server = gateway.to_string().replace("ExecStart=", "ExecStart=+");
    let clear = format!("ExecStartPre={} {port}", sd.program());
    let unit = sd.unit("gw.service", &format!("[Service]\n{server}{clear}\nKillMode=process\n{strict}"));
    unit.start();
    let leftover = sd.until_answers(port);
    let process = sd.process(leftover);
    unit.stop();
    assert_eq!(sd.until_answers(port), leftover);
    unit.start();
    process.has_ended();
    assert_ne!(sd.until_answers(port), leftover);
    // It needs neither to find out that another unit runs the process now.
    let ask = sd.unit("ask.service", &format!("[Service]\nType=oneshot\nExecStart={} {port}\n{strict}", sd.program()));
    ask.try_start();
    ask.until_line("the status", |line| line.message.contains("status=3/"));
    ask.until_line("which", |line| line.message.contains(&format!("held by unit {}", unit.name())));

    // The test would notice a child: here a shell tries to start one.
    let child = format!("[Service]\nType=oneshot\nExecStart=/bin/sh -c '{} {port}; :'\n{strict}", sd.program());
    ask.write(&child);
    ask.try_start();
    ask.until_line("the signal", |line| line.message.contains("SYS"));
    bystander.answers();
}

fn g04_the_link_alone_tells(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let run = unit.invocation().unwrap();
    // A tmpfs hides the records from the caller alone. Nothing else has changed.
    let folder = format!("{}/systemd/units", sd.runtime_directory());
    let ask = |link: &str| {
        let script = format!("mount -t tmpfs none {folder} && {link}; exec {} --dry-run {port}", sd.program());
        sd.enter_as(0, &["unshare", "--mount", "sh", "-c", &script])
    };
    let link = |run: &str, unit: &str| format!("ln -s {run} {folder}/invocation:{unit}");
    let old = "0".repeat(32);
    for live in [ask(&link(&run, unit.name())), ask(&link(&run, "renamed.service"))] {
        assert!(live.status == 3 && live.stderr.contains("runs it now"), "{live}");
    }
    // A user's manager leaves an empty folder when it is executed anew below another mount.
    let nothing = ask(":");
    assert!(nothing.status == 4 && nothing.stderr.contains("may not be read"), "{nothing}");
    for stale in [ask(&link(&old, unit.name())), ask(&link(&old, "another.service"))] {
        assert!(stale.status == 0 && stale.stdout.contains("stale: left behind by an ended run"), "{stale}");
    }
    assert_eq!(sd.until_answers(port), unit.main_pid());
    bystander.answers();
}
