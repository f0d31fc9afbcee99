//! What these tests claim of a run of portclear in a real systemd.

use crate::support::*;

pub(super) fn hook(sd: &Sd, port: u16) -> String {
    format!("ExecStartPre={} {port}\n", sd.program())
}

/// A call by hand says this of a holder, and ends with this exit status.
#[track_caller]
pub(super) fn is_judged(sd: &Sd, port: u16, pid: u32, exit: i32, fields: &[(&str, &str)]) {
    // This waits for the next clock tick. portclear takes a process of its own tick for newer.
    sd.process(pid);
    let run = sd.portclear(&["--dry-run", "--json", &port.to_string()]);
    assert_eq!(run.status, exit, "{run}");
    let holder = run.process(pid);
    for (key, value) in fields {
        let said = if *key == "unit" { &holder["unit"]["name"] } else { &holder[*key] };
        assert_eq!(said, value, "{key}: {run}");
    }
}

/// The hook finds a process that it must not touch: its exit status is 3, and nobody is signalled.
#[track_caller]
pub(super) fn fails(unit: &Unit<'_>, why: &str) {
    let start = unit.try_start();
    assert_ne!(start.status, 0, "{start}");
    assert_eq!(unit.show("Result"), "exit-code");
    unit.until_line("the exit status", |line| line.message.contains("status=3/"));
    let line = unit.until_line("why", |line| line.identifier == "portclear" && line.message.contains(why));
    assert_eq!(line.priority, 4, "{line:?}");
}

/// The name by which portclear calls a unit.
pub(super) fn called(sd: &Sd, unit: &Unit<'_>) -> String {
    match sd.manager() {
        Manager::System => unit.name().to_owned(),
        Manager::User => format!("{} of user {}", unit.name(), sd.uid()),
    }
}

#[track_caller]
pub(super) fn judge(sd: &Sd, port: u16, more: &[&str]) -> Run {
    sd.portclear(&[&["--json", &port.to_string()], more].concat())
}

/// Asks twice: for the document, and for the sentence.
#[track_caller]
pub(super) fn is_live(sd: &Sd, unit: &Unit<'_>, port: u16, pid: u32) {
    let name = called(sd, unit);
    let reason = spared(&judge(sd, port, &[]), 3, pid, "live");
    assert!(reason.starts_with(&format!("unit {name} runs it now; ")), "{reason}");
    let run = sd.portclear(&[&port.to_string()]);
    let sentence = format!("held by unit {name}, which is running: nothing was signalled; next: `");
    assert!(run.status == 3 && run.stderr.contains(&sentence), "{run}");
    assert_eq!(sd.until_answers(port), pid);
}

/// The inner pid of the fixture that answers at an address.
#[track_caller]
pub(super) fn until_greets(address: &str) -> u32 {
    let mut pid = None;
    until("a fixture answers", || {
        pid = ask(address).ok().and_then(|line| line.split(' ').next()?.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// SIGTERM alone has ended the one holder. Tests share the network: only its own port tells a test something.
#[track_caller]
pub(crate) fn is_ended(run: &Run, pid: u32, rule: &str) {
    assert_eq!(run.status, 0, "{run}");
    let port = run.json()["ports"][0].take();
    assert_eq!(port["holders"].as_array().map(Vec::len), Some(1), "{run}");
    let holder = run.process(pid);
    assert_eq!([&port["status"], &holder["rule"], &holder["outcome"]], ["cleared", rule, "ended"], "{run}");
    assert_eq!(run.sent(pid), ["SIGTERM"], "{run}");
    assert!(can_bind(&format!("127.0.0.1:{}", port["port"])), "{run}");
}

pub(super) fn told(run: &Run, pid: u32) -> String {
    let process = run.process(pid);
    let words = ["role", "rule", "outcome"].map(|key| process[key].as_str().unwrap_or("-").to_owned());
    [&words[..], &run.sent(pid)].concat().join(" ")
}
