//! The recipes of docs/systemd.md work as they stand there.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        g03_the_recipe_before_each_start_clears_and_starts,
        g03_a_foreign_holder_fails_the_start,
        g03_the_recipe_that_tries_starts_all_the_same,
        g03_the_recipe_that_skips_does_not_loop
    ];
    cases.push(case!(g03_every_recipe_is_tested));
    cases
}

const DOCUMENT: &str = include_str!("../../docs/systemd.md");

pub(super) const BEFORE: &str = "Before each start";

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

/// A unit's text: the recipe of the document, with a path and a port that exist here.
pub(super) fn recipe(sd: &Sd, heading: &str, port: u16) -> String {
    let (_, block) = blocks().into_iter().find(|(other, _)| *other == heading).expect(heading);
    let text = block.replace("/usr/bin/portclear", &sd.program()).replace("18789", &port.to_string());
    assert!(text.starts_with("[Service]\n") && text.contains(&format!("{} {port}", sd.program())), "{text}");
    text
}

fn g03_every_recipe_is_tested() {
    let headings: Vec<&str> = blocks().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, [BEFORE, TRY, SKIP]);
    assert_eq!(DOCUMENT.matches("```").count(), 2 * headings.len(), "a block that is not ini");
}

fn g03_the_recipe_before_each_start_clears_and_starts(sd: &Sd) {
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
    // The other half of the recipe: the stop leaves nothing behind, and is no failure.
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

fn g03_the_recipe_that_tries_starts_all_the_same(sd: &Sd) {
    let bystander = sd.bystander();
    let port = bystander.port();
    let other = sd.port();
    // It starts although the port that the recipe names is held.
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

fn g03_the_recipe_that_skips_does_not_loop(sd: &Sd) {
    let bystander = sd.bystander();
    let port = bystander.port();
    let gateway = sd.install(sd.gateway(port));
    let quick = "RestartSec=20ms\n";
    let unit = sd.unit("gw.service", &format!("{}{gateway}{quick}", recipe(sd, SKIP, port)));
    // systemd forgets an inactive unit that nobody refers to, with its result and its count.
    bystander.unit().drop_in("after.conf", &format!("[Unit]\nAfter={}\n", unit.name()));
    unit.try_start();
    unit.until_state("inactive");
    assert_eq!(unit.show("Result"), "exec-condition");
    assert_eq!(unit.show("ExecMainPID"), "0");

    // The same with ExecStartPre= does loop. It shows how often the first unit would have started.
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

    // It starts once nobody is in the way.
    bystander.unit().stop();
    unit.start();
    assert_eq!(sd.until_answers(port), unit.main_pid());
}
