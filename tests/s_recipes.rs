//! docs/systemd.md, run: its recipes as they stand there, and what the journal then says.

use std::fs;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        g03_before_each_start,
        g03_a_foreign_holder_fails_the_start,
        g03_try_and_start_all_the_same,
        g03_skip_the_start_instead_of_looping,
        g01_the_journal_has_a_line_per_event,
        g01_what_is_no_journal_gets_no_prefix,
        g01_a_free_port_is_not_worth_a_line,
    ];
    cases.push(case!(g03_every_recipe_is_one_of_these));
    cases
}

const DOCUMENT: &str = include_str!("../docs/systemd.md");
const BEFORE: &str = "Before each start";
const TRY: &str = "Try, and start all the same";
const SKIP: &str = "Skip the start instead of looping";

/// Each ini block of the document, with its heading.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut blocks = Vec::new();
    for part in DOCUMENT.split("\n## ").skip(1) {
        let heading = part.lines().next().unwrap();
        let mut rest = part;
        while let Some((_, after)) = rest.split_once("```ini\n") {
            let (block, after) = after.split_once("```").expect("an end");
            blocks.push((heading, block));
            rest = after;
        }
    }
    blocks
}

/// A unit's text: the recipe as it is documented, with a path and a port that exist here.
fn recipe(sd: &Sd, heading: &str, port: u16) -> String {
    let (_, block) = blocks().into_iter().find(|(other, _)| *other == heading).expect(heading);
    let text = block.replace("/usr/bin/portclear", &sd.program()).replace("18789", &port.to_string());
    assert!(text.starts_with("[Service]\n") && text.contains(&format!("{} {port}", sd.program())), "{text}");
    text
}

fn g03_every_recipe_is_one_of_these() {
    let headings: Vec<&str> = blocks().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, [BEFORE, TRY, SKIP]);
    assert_eq!(DOCUMENT.matches("```").count(), 2 * headings.len(), "a block that is not ini");
}

fn g03_before_each_start(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let leftover = sd.process(sd.until_answers(port));
    unit.stop();
    unit.write(&format!("{}{gateway}", recipe(sd, BEFORE, port)));
    unit.start();
    leftover.has_ended();
    let (child, main) = (sd.process(sd.until_answers(port)), sd.process(unit.main_pid()));
    assert_eq!(unit.show("NRestarts"), "0");
    // The other half of the recipe: nothing is left behind any more, and the stop is no failure.
    unit.stop();
    child.has_ended();
    main.has_ended();
    assert_eq!((unit.show("ActiveState").as_str(), unit.show("Result").as_str()), ("inactive", "success"));
    bystander.answers();
}

fn g03_a_foreign_holder_fails_the_start(sd: &Sd) {
    let bystander = sd.bystander();
    let port = bystander.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("{}{gateway}", recipe(sd, BEFORE, port)));
    let run = unit.try_start();
    assert_eq!(run.status, 1, "{run}");
    assert_eq!((unit.show("ActiveState").as_str(), unit.show("Result").as_str()), ("failed", "exit-code"));
    unit.until_line("the status", |line| line.message.contains("status=3/"));
    let who = format!("(pid {}, ", bystander.pid());
    let line = unit.until_line("who it is", |line| line.message.contains(&who));
    assert!(line.message.contains(&format!("unit {}", bystander.unit().name())), "{line:?}");
    assert!(line.message.contains(": spared: "), "{line:?}");
    assert!(unit.journal_of("portclear").iter().all(|line| line.priority == 4));
    bystander.answers();
}

fn g03_try_and_start_all_the_same(sd: &Sd) {
    let bystander = sd.bystander();
    let port = bystander.port();
    let other = sd.port();
    // It starts, though the port that it asked for is held.
    let gateway = sd.install(sd.gateway(other));
    let unit = sd.unit("gw.service", &format!("{}{gateway}", recipe(sd, TRY, port)));
    unit.start();
    assert_eq!(sd.until_answers(other), unit.main_pid());
    unit.until_line("who it is", |line| line.message.contains(&format!("(pid {}, ", bystander.pid())));
    unit.stop();

    // The server's own error is the one that counts.
    let server = sd.plain(Plain::Perl, port);
    unit.write(&format!("{}{server}", recipe(sd, TRY, port)));
    unit.try_start();
    unit.until_state("failed");
    unit.until_line("the bind's error", |line| line.message.contains("cannot bind"));
    bystander.answers();
}

fn g03_skip_the_start_instead_of_looping(sd: &Sd) {
    let bystander = sd.bystander();
    let port = bystander.port();
    let gateway = sd.install(sd.gateway(port));
    let quick = "RestartSec=20ms\n";
    let unit = sd.unit("gw.service", &format!("{}{gateway}{quick}", recipe(sd, SKIP, port)));
    // A unit that nobody refers to is forgotten once it is inactive, with its result and its count.
    bystander.unit().drop_in("after.conf", &format!("[Unit]\nAfter={}\n", unit.name()));
    unit.try_start();
    unit.until_state("inactive");
    assert_eq!(unit.show("Result"), "exec-condition");
    assert_eq!(unit.show("ExecMainPID"), "0");

    // A unit that does loop, as often as that one would have: the same with ExecStartPre.
    let looping = recipe(sd, SKIP, port).replace("ExecCondition", "ExecStartPre");
    let other = sd.unit("loop.service", &format!("{looping}{gateway}{quick}StartLimitIntervalSec=0\n"));
    other.drop_in("limit.conf", "[Unit]\nStartLimitIntervalSec=0\n");
    other.try_start();
    until("five restarts", || other.show("NRestarts").parse::<u32>().is_ok_and(|restarts| restarts >= 5));
    other.stop();
    assert_eq!((unit.show("ActiveState").as_str(), unit.show("NRestarts").as_str()), ("inactive", "0"));
    let asked = unit.journal_of("portclear");
    let asked: std::collections::HashSet<u32> = asked.iter().map(|line| line.pid).collect();
    assert_eq!(asked.len(), 1, "it was asked again");
    bystander.answers();

    // With nobody in the way it starts.
    bystander.unit().stop();
    unit.start();
    assert_eq!(sd.until_answers(port), unit.main_pid());
}

/// A unit with this hook, that has left its server behind.
fn left_behind<'a>(sd: &'a Sd, name: &str, on_term: OnTerm, hook: &str) -> (Unit<'a>, Installed, u32) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener().on_term(on_term));
    // SIGTERM is for portclear: the main process alone would act upon that of a stop.
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
    // What is left behind, the hook; its status, what each of its lines contains, their priority.
    let table: [(_, _, &str, &[&str], u8); 4] = [
        (OnTerm::Exit, "ExecStartPre=PROGRAM --color auto PORT", "0", &[": cleared of "], 5),
        (OnTerm::Ignore, "ExecStartPre=PROGRAM --verbose --grace 100ms PORT", "0", &[", SIGKILL after "], 5),
        (
            OnTerm::Ignore,
            "ExecStartPre=PROGRAM --no-kill --grace 100ms PORT",
            "5",
            &[": stale: ", "still there"],
            3,
        ),
        (
            OnTerm::Exit,
            "ExecStartPre=PROGRAM PORT\nRestrictAddressFamilies=AF_UNIX",
            "1",
            &["could not find out: "],
            3,
        ),
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
            assert!(
                line.message.starts_with("portclear: port ") && line.message.contains(wanted),
                "{line:?}"
            );
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
    // JOURNAL_STREAM is set, and names the stream that the shell had: this one is another.
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
    // The journal is complete up to here: this comes after whatever the hook wrote.
    unit.until_line("the last signal", |line| line.message.contains("TERM"));
    assert_eq!(unit.journal_of("portclear"), []);
    bystander.answers();
}
