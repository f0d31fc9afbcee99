//! The journal has a line for each event, with the right priority.

use std::fs;

use super::recipes::{BEFORE, recipe};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        g01_the_journal_has_a_line_per_event,
        g01_what_is_no_journal_gets_no_prefix,
        g01_a_refusal_is_in_the_journal_and_in_the_file,
        g01_a_free_port_is_not_worth_a_line,
    ]
}

/// A unit that has left its server behind, and got this hook after that.
fn left_behind<'a>(sd: &'a Sd, name: &str, on_term: OnTerm, hook: &str) -> (Unit<'a>, Installed, u32) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener().on_term(on_term));
    // `on_term` is meant for portclear's signal. The main process may ignore that of the stop, hence the short time.
    let text = format!("[Service]\n{gateway}KillMode=process\nTimeoutStopSec=100ms\n");
    let unit = sd.unit(name, &text);
    unit.start();
    let leftover = sd.until_answers(port);
    unit.stop();
    assert_eq!(sd.until_answers(port), leftover);
    let hook = hook.replace("PROGRAM", &sd.program()).replace("PORT", &port.to_string());
    unit.drop_in("50-hook.conf", &format!("[Service]\n{hook}\n"));
    (unit, gateway, leftover)
}

fn g01_the_journal_has_a_line_per_event(sd: &Sd) {
    let bystander = sd.bystander();
    // what the server does on SIGTERM, the hook, its exit status, what each of its lines contains, their priority
    let cut_off = ": cut off, perhaps while draining; a longer --grace waits longer, and the unit needs a TimeoutStartSec \
                   that is longer still";
    let table: [(_, _, &str, &[&str], u8); 5] = [
        (OnTerm::Exit, "ExecStartPre=PROGRAM --color auto PORT", "0", &[": cleared of "], 5),
        (
            OnTerm::Ignore,
            "ExecStartPre=PROGRAM --verbose --grace 100ms PORT",
            "0",
            &["; --grace 330s waits longer, and the unit needs TimeoutStartSec=332"],
            5,
        ),
        (OnTerm::Drain(60_000), "ExecStartPre=PROGRAM --grace 100ms --package x PORT", "0", &[cut_off], 5),
        (OnTerm::Ignore, "ExecStartPre=PROGRAM --no-kill --grace 100ms PORT", "5", &[": stale: ", "still there"], 3),
        (OnTerm::Exit, "ExecStartPre=PROGRAM PORT\nRestrictAddressFamilies=AF_UNIX", "1", &["could not find out: "], 3),
    ];
    for (at, (on_term, hook, status, wanted, priority)) in table.into_iter().enumerate() {
        let (unit, _files, leftover) = left_behind(sd, &format!("gw{at}.service"), on_term, hook);
        let process = sd.process(leftover);
        let run = unit.try_start();
        assert_eq!(run.status == 0, status == "0", "{hook}: {run}");
        if status != "0" {
            let end = format!("status={status}/");
            unit.until_line("the status", |line| line.message.contains(&end));
        }
        until("all its lines", || unit.journal_of("portclear").len() >= wanted.len());
        let lines = unit.journal_of("portclear");
        assert_eq!(lines.len(), wanted.len(), "{hook}: {lines:?}");
        for (line, wanted) in lines.iter().zip(wanted) {
            assert!(line.message.starts_with("portclear: port ") && line.message.contains(wanted), "{line:?}");
            assert!(!line.message.contains(char::is_control), "{line:?}");
            assert_eq!(line.priority, priority, "{line:?}");
        }
        if status == "0" {
            process.has_ended();
            assert!(lines[0].message.contains(&format!("(pid {leftover}, ")), "{lines:?}");
        } else {
            assert!(process.is_alive(), "{hook}");
        }
    }
    bystander.answers();
}

fn g01_what_is_no_journal_gets_no_prefix(sd: &Sd) {
    let bystander = sd.bystander();
    // JOURNAL_STREAM is set, but it names the shell's stream. The program writes to a file.
    let file = format!("{}/{}", sd.runtime_directory(), sd.named("line").name());
    let hook = format!("ExecStartPre=/bin/sh -c 'test -n \"$JOURNAL_STREAM\" && exec PROGRAM PORT >{file}'");
    let (unit, _files, leftover) = left_behind(sd, "gw.service", OnTerm::Exit, &hook);
    unit.start();
    let text = fs::read_to_string(sd.path(&file)).unwrap();
    fs::remove_file(sd.path(&file)).unwrap();
    assert!(text.starts_with("portclear: port ") && text.contains(&format!("(pid {leftover}, ")), "{text}");
    assert!(!text.contains('\u{1b}') && text.lines().all(|line| line.starts_with("portclear: ")), "{text}");
    assert_eq!(unit.journal_of("portclear"), []);
    bystander.answers();
}

fn g01_a_refusal_is_in_the_journal_and_in_the_file(sd: &Sd) {
    let bystander = sd.bystander();
    // Standard error has the refusal. The journal is the other stream.
    let file = format!("{}/{}", sd.runtime_directory(), sd.named("refusal").name());
    let hook = format!("ExecStartPre=/bin/sh -c 'exec PROGRAM --no-kill --grace 100ms PORT 2>{file}'");
    let (unit, _files, leftover) = left_behind(sd, "gw.service", OnTerm::Ignore, &hook);
    assert_ne!(unit.try_start().status, 0);
    let line = unit.until_line("the refusal", |line| line.message.contains(": still held: "));
    assert_eq!(line.priority, 3, "{line:?}");
    let text = fs::read_to_string(sd.path(&file)).unwrap();
    fs::remove_file(sd.path(&file)).unwrap();
    assert!(text.lines().all(|line| line.starts_with("portclear: port ")), "{text}");
    assert_eq!((text.lines().count(), text.matches(": still held: ").count()), (2, 1), "{text}");
    assert!(sd.process(leftover).is_alive());
    bystander.answers();
}

fn g01_a_free_port_is_not_worth_a_line(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("{}{gateway}", recipe(sd, BEFORE, port)));
    for _ in 0..2 {
        unit.start();
        assert_eq!(sd.until_answers(port), unit.main_pid());
        unit.stop();
    }
    // This line comes after all that the hook wrote, so the journal is complete up to here.
    unit.until_line("the last signal", |line| line.message.contains("TERM"));
    assert_eq!(unit.journal_of("portclear"), []);
    bystander.answers();
}
