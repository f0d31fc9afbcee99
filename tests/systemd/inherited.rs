//! What a caller has inherited protects others: the pid of its service, and its profile.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::claims::is_ended;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        c03_the_inherited_service_pid_protects_the_gateway,
        c03_a_recycled_or_dead_service_pid_protects_nobody,
        a12_the_gateway_of_another_profile_is_spared,
        a12_what_an_ended_run_of_another_profile_left_is_ended,
    ]
}

/// Runs portclear by hand with these variables. Its ancestors lead nowhere near the gateway.
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
    // Either the gateway itself listens, or its child does.
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
        let said = format!("process {parent} made this call; this is process {parent} or one of its children");
        assert!(reason.starts_with(&said), "{reason}");
        assert_eq!(sd.until_answers(port), listener);
        // Another process's pid does not protect the gateway.
        let run = with(sd, &service_pid(bystander.pid()), port);
        is_ended(&run, listener, "stale-instance");
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
    // Its age alone spares it. It started after the caller, so the caller cannot have inherited its pid.
    spared(&caller.finish(), 3, pid, "newer");
    spared(&with(sd, &service_pid(pid), port), 3, pid, "protected");

    let dead = sd.enter(&["sh", "-c", "echo $$"]).stdout.trim().parse().unwrap();
    is_ended(&with(sd, &service_pid(dead), port), pid, "stale-instance");
    assert_eq!(scope.finish().status, 0);
    bystander.answers();
}

/// The caller is an instance itself, with these instance keys.
fn instance(keys: &[(&str, &str)]) -> Vec<String> {
    MARKERS.iter().chain(keys).map(|(key, value)| format!("{key}={value}")).collect()
}

fn a12_the_gateway_of_another_profile_is_spared(sd: &Sd) {
    let bystander = sd.bystander();
    const PROFILE: &str = "OPENCLAW_PROFILE";
    const STATE: &str = "OPENCLAW_STATE_DIR";
    type Keys = [(&'static str, &'static str)];
    // the holder's keys, callers' keys that spare it, a caller's keys that end it
    let rows: [(&Keys, &[&Keys], &Keys); 5] = [
        (&[(PROFILE, "b")], &[&[(PROFILE, "a")], &[], &[(PROFILE, "")], &[(PROFILE, "bb")]], &[(PROFILE, "b")]),
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
        is_ended(&with(sd, &instance(same), port), pid, "stale-instance");
        assert_eq!(scope.finish().status, 0);
    }
    // A caller that is no instance has no profile. A person's shell may name another one.
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).env(PROFILE, "b"));
    let _scope = sd.scope("gw.scope", &gateway.command());
    let pid = sd.until_answers(port);
    sd.process(pid);
    is_ended(&with(sd, &[format!("{PROFILE}=a")], port), pid, "stale-instance");
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
    is_ended(&with(sd, &caller, port), child, "stale-leftover");
    bystander.answers();
}
