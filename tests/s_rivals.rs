//! A, C. Who else there is in a real systemd: a rival unit, another profile, the gateway that the caller was
//! started by, and a manager whose records may not be read.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use crate::c_healthy::spared;
use crate::s_live::called;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        c07_two_units_do_not_end_each_other,
        c03_the_inherited_service_pid_protects_the_gateway,
        c03_a_recycled_or_dead_service_pid_protects_nobody,
        a12_the_gateway_of_another_profile_is_spared,
        a12_what_an_ended_run_of_another_profile_left_is_ended,
    ];
    cases.extend([
        case!(c07_a_system_and_a_user_unit_do_not_end_each_other, Needs::Systemd),
        case!(c07_a_unit_of_root_is_out_of_a_users_reach, Needs::Systemd),
        case!(d06_a_record_of_another_users_manager_is_no_answer, Needs::Systemd),
        case!(d06_another_users_gateway_is_out_of_reach, Needs::Systemd),
        case!(e04_a_server_that_starts_during_the_second_look_is_seen),
    ]);
    cases
}

/// One holder, by SIGTERM alone. Tests share the network: only its own port tells a test something.
#[track_caller]
pub(crate) fn ended(run: &Run, pid: u32, rule: &str) {
    assert_eq!(run.status, 0, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!(port["holders"].as_array().map(Vec::len), Some(1), "{run}");
    let holder = run.process(pid);
    assert_eq!([&port["status"], &holder["rule"], &holder["outcome"]], ["cleared", rule, "ended"], "{run}");
    assert_eq!(run.sent(pid), ["SIGTERM"], "{run}");
    assert!(can_bind(&format!("127.0.0.1:{}", port["port"])), "{run}");
}

fn clears(sd: &Sd, gateway: &Installed, port: u16, more: &str) -> String {
    let clear = format!("ExecStartPre={} {port}\nRestart=always\nRestartSec=200ms\n", sd.program());
    format!("[Unit]\nStartLimitIntervalSec=0\n[Service]\n{gateway}{clear}{more}")
}

/// The first one runs; the second one tries for as long as ten restarts take.
#[track_caller]
fn rivals(first: (&Sd, &str), second: &Sd, port: u16, said: impl Fn(&Unit<'_>, &Unit<'_>) -> String) {
    let (holder, more) = first;
    let bystanders = [holder.bystander()];
    let [one, two] = [holder, second].map(|sd| sd.install(sd.gateway(port)));
    let unit = holder.unit("first.service", &clears(holder, &one, port, more));
    unit.start();
    let pid = holder.until_answers(port);
    let rival = second.unit("second.service", &clears(second, &two, port, ""));
    let run = rival.try_start();
    assert_ne!(run.status, 0, "{run}");
    until("ten restarts", || rival.show("NRestarts").parse::<u32>().unwrap() >= 10);
    let said = said(&unit, &rival);
    let line = rival.until_line("who holds the port", |line| line.message.ends_with(&said));
    assert_eq!((line.priority, line.identifier.as_str()), (4, "portclear"), "{line:?}");
    assert_eq!(rival.main_pid(), 0);
    assert_eq!((unit.main_pid(), holder.until_answers(port)), (pid, pid));
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    assert_eq!(unit.signals_of(pid), [""; 0]);
    bystanders[0].answers();
}

fn names_both(sds: [&Sd; 2], [unit, rival]: [&Unit<'_>; 2]) -> String {
    let (unit, rival) = (called(sds[0], unit), called(sds[1], rival));
    format!(": held by unit {unit}, which is running, this is {rival}: nothing was signalled")
}

fn c07_two_units_do_not_end_each_other(sd: &Sd) {
    rivals((sd, ""), sd, sd.port(), |unit, rival| names_both([sd, sd], [unit, rival]));
}

/// Root's unit sees the user's. The user's sees the system's where it runs as the same user.
fn c07_a_system_and_a_user_unit_do_not_end_each_other() {
    {
        let [system, user] = [Manager::System, Manager::User].map(Sd::new);
        rivals((&user, ""), &system, user.port(), |unit, rival| names_both([&user, &system], [unit, rival]));
    }
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let first = (&system, "User=portclear\n");
    rivals(first, &user, user.port(), |unit, rival| names_both([&system, &user], [unit, rival]));
}

fn c07_a_unit_of_root_is_out_of_a_users_reach() {
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let port = user.port();
    rivals((&system, ""), &user, port, |_, _| {
        format!(
            "held by a process of uid 0 that cannot be seen from here; this would work: sudo portclear {port}"
        )
    });
}

/// portclear with these variables, by hand: what it descends from leads nowhere near the gateway.
#[track_caller]
fn with(sd: &Sd, variables: &[String], port: u16) -> Run {
    let words = [sd.program(), "--json".to_owned(), port.to_string()];
    sd.enter(&[&["/usr/bin/env".to_owned()], variables, &words].concat())
}

fn service_pid(pid: u32) -> [String; 1] {
    [format!("OPENCLAW_GATEWAY_SERVICE_PID={pid}")]
}

fn c03_the_inherited_service_pid_protects_the_gateway(sd: &Sd) {
    let bystander = sd.bystander();
    // The gateway itself listens, or its child does.
    for (at, forks) in [false, true].into_iter().enumerate() {
        let port = sd.port();
        let gateway = sd.gateway(port);
        let gateway = sd.install(if forks { gateway.forks_listener() } else { gateway });
        let name = format!("gw{at}.scope");
        let scope = sd.scope(&name, &gateway.command());
        let listener = sd.until_answers(port);
        let pids = sd.named(&name).pids();
        assert_eq!(pids.len(), if forks { 2 } else { 1 });
        let parent = *pids.iter().find(|pid| !forks || **pid != listener).unwrap();
        assert_eq!(forks, parent != listener);
        sd.process(listener);
        let reason = spared(&with(sd, &service_pid(parent), port), 3, listener, "protected");
        let said = format!("process {parent} is the service that this call was started by");
        assert!(reason.starts_with(&said), "{reason}");
        assert_eq!(sd.until_answers(port), listener);
        // Somebody else's.
        let run = with(sd, &service_pid(bystander.pid()), port);
        ended(&run, listener, "stale-instance");
        drop(scope);
    }
    bystander.answers();
}

fn c03_a_recycled_or_dead_service_pid_protects_nobody(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let fifo = format!("{}/portclear-{port}", sd.runtime_directory());
    sd.enter(&["mkfifo", &fifo]).succeeded();
    let script = r#"read -r pid <"$0"; OPENCLAW_GATEWAY_SERVICE_PID=$pid exec "$@""#;
    let words = ["sh", "-c", script, &fifo, &sd.program(), "--json", &port.to_string()];
    let caller = sd.spawn(sd.uid(), &words);
    let mut gate = None;
    until("the caller runs", || {
        let open = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(sd.path(&fifo));
        gate = open.ok();
        gate.is_some()
    });
    let gateway = sd.install(sd.gateway(port));
    let scope = sd.scope("gw.scope", &gateway.command());
    let pid = sd.until_answers(port);
    writeln!(gate.unwrap(), "{pid}").unwrap();
    // Its age alone spares it: the variable's pid is not the one that the caller inherited.
    spared(&caller.finish(), 3, pid, "newer");
    spared(&with(sd, &service_pid(pid), port), 3, pid, "protected");

    let dead = sd.enter(&["sh", "-c", "echo $$"]).stdout.trim().parse().unwrap();
    ended(&with(sd, &service_pid(dead), port), pid, "stale-instance");
    assert_eq!(scope.finish().status, 0);
    bystander.answers();
}

/// A caller that is an instance itself, with these instance keys.
fn instance(keys: &[(&str, &str)]) -> Vec<String> {
    MARKERS.iter().chain(keys).map(|(key, value)| format!("{key}={value}")).collect()
}

fn a12_the_gateway_of_another_profile_is_spared(sd: &Sd) {
    let bystander = sd.bystander();
    const PROFILE: &str = "OPENCLAW_PROFILE";
    const STATE: &str = "OPENCLAW_STATE_DIR";
    type Keys = [(&'static str, &'static str)];
    // the holder's, those that spare it, those that end it
    let rows: [(&Keys, &[&Keys], &Keys); 5] = [
        (
            &[(PROFILE, "b")],
            &[&[(PROFILE, "a")], &[], &[(PROFILE, "")], &[(PROFILE, "bb")]],
            &[(PROFILE, "b")],
        ),
        (&[], &[&[(PROFILE, "a")], &[(STATE, "/a")]], &[(PROFILE, ""), (STATE, "")]),
        (&[(PROFILE, "")], &[&[(PROFILE, "a")]], &[]),
        (&[(STATE, "/b")], &[&[(STATE, "/a")], &[], &[(STATE, "")], &[(PROFILE, "/b")]], &[(STATE, "/b")]),
        (
            &[(PROFILE, "b"), (STATE, "/b")],
            &[&[(PROFILE, "b")], &[(STATE, "/b")], &[(PROFILE, "b"), (STATE, "/a")]],
            &[(PROFILE, "b"), (STATE, "/b")],
        ),
    ];
    for (at, (keys, others, same)) in rows.into_iter().enumerate() {
        let port = sd.port();
        let gateway = keys.iter().fold(sd.gateway(port), |gateway, (key, value)| gateway.env(*key, *value));
        let gateway = sd.install(gateway);
        let scope = sd.scope(&format!("gw{at}.scope"), &gateway.command());
        let pid = sd.until_answers(port);
        sd.process(pid);
        for other in others {
            let reason = spared(&with(sd, &instance(other), port), 3, pid, "other-instance");
            assert_eq!(reason, "an instance of another profile or state folder than the caller's");
        }
        assert_eq!(sd.until_answers(port), pid);
        ended(&with(sd, &instance(same), port), pid, "stale-instance");
        assert_eq!(scope.finish().status, 0);
    }
    // Who is no instance has no profile: a person's shell may know of another one.
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).env(PROFILE, "b"));
    let _scope = sd.scope("gw.scope", &gateway.command());
    let pid = sd.until_answers(port);
    sd.process(pid);
    ended(&with(sd, &[format!("{PROFILE}=a")], port), pid, "stale-instance");
    bystander.answers();
}

fn a12_what_an_ended_run_of_another_profile_left_is_ended(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).env("OPENCLAW_PROFILE", "b").forks_listener());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let child = sd.until_answers(port);
    let caller = instance(&[("OPENCLAW_PROFILE", "a")]);
    spared(&with(sd, &caller, port), 3, child, "live");
    unit.stop();
    assert_eq!(sd.until_answers(port), child);
    ended(&with(sd, &caller, port), child, "stale-leftover");
    bystander.answers();
}

/// A process of the user in a service of root's own manager, which keeps its records to itself.
fn d06_a_record_of_another_users_manager_is_no_answer() {
    let [root, user] = [Manager::System, Manager::User].map(Sd::new);
    let bystander = user.bystander();
    let port = user.port();
    let gateway = root.install(root.gateway(port));
    // While somebody is logged in, his manager runs.
    let _login = root.session(&["sleep", "infinity"]);
    until("root's manager", || root.path("/run/user/0/systemd/private").exists());
    let name = root.named("gw.service").name().to_owned();
    let uid = user.uid();
    let start = ["XDG_RUNTIME_DIR=/run/user/0", "systemd-run", "--user", "--collect"].map(str::to_owned);
    let start =
        [&["/usr/bin/env".to_owned()], &start[..], &[format!("--unit={name}"), "--".to_owned()]].concat();
    let demoted = ["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "--"];
    let demoted = demoted.map(str::to_owned).to_vec();
    root.enter(&[start, demoted, gateway.command()].concat()).succeeded();
    let pid = root.until_answers(port);
    let process = root.process(pid);
    let reason = spared(&user.portclear(&["--json", &port.to_string()]), 4, pid, "unknown");
    assert_eq!(reason, "what would tell may not be read from here");
    for more in ["--live", "--any-owner", "--offspring"] {
        spared(&user.portclear(&["--json", more, &port.to_string()]), 4, pid, "unknown");
    }
    let run = user.portclear(&[&port.to_string()]);
    let said = format!(
        "process {pid} of uid {uid} was left alone: {reason}; this would work: sudo portclear {port}\n"
    );
    assert!(run.status == 4 && run.stdout.ends_with(&said), "{run}");
    // Whoever may read it has the answer.
    let reason = spared(&root.portclear(&["--json", &port.to_string()]), 3, pid, "live");
    assert!(reason.starts_with(&format!("unit {name} of user 0 runs it now; ")), "{reason}");
    assert!(process.is_alive());
    assert_eq!(root.until_answers(port), pid);
    bystander.answers();
}

fn d06_another_users_gateway_is_out_of_reach() {
    let sd = Sd::new(Manager::User);
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = unit.main_pid();
    for more in [&[][..], &["--live", "--any-owner", "--offspring"]] {
        let run = sd.enter_as(NOBODY, &[&[&sd.program()[..], &port.to_string()], more].concat());
        let said = format!("held by a process of uid {} that cannot be seen from here; ", sd.uid());
        assert!(run.status == 4 && run.stdout.contains(&said), "{run}");
    }
    assert_eq!(sd.until_answers(port), pid);
    assert_eq!(unit.signals_of(pid), [""; 0]);
    bystander.answers();
}

/// What a restart looks like to a call that is in the midst of it: nobody listens, and then somebody does.
fn e04_a_server_that_starts_during_the_second_look_is_seen() {
    let bystander = Bystander::start();
    let earlier = Fixture::gateway().start();
    let mut late = Portclear::new(&["--json", "18789"]).traced();
    late.run_to_call(libc::SYS_socket, |arguments| arguments[0] == libc::AF_NETLINK as u64);
    drop(earlier);
    late.run_to_call(libc::SYS_socket, |arguments| arguments[0] != libc::AF_NETLINK as u64);
    let server = Fixture::gateway().start();
    spared(&late.finish(), 3, server.pid(), "newer");
    assert!(server.is_alive());
    assert_eq!(server.signals(), [""; 0]);
    bystander.answers();
}
