//! The hook of README.md works as it is written there, after the install that README.md shows.

use std::fs;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(b13_the_hook_of_the_readme_works_after_its_install, Needs::Systemd)]
}

const README: &str = include_str!("../../README.md");

/// The commands in the first block of a chapter.
fn commands(chapter: &str) -> Vec<&'static str> {
    let text = README.split("\n## ").find(|text| text.starts_with(chapter)).expect("the chapter");
    let block = text.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    block.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

fn b13_the_hook_of_the_readme_works_after_its_install() {
    let sd = &Sd::new(Manager::User);
    let bystander = sd.bystander();
    let port = sd.port();
    // `cargo install` puts the program there, and rustup puts the folder into the PATH.
    assert!(commands("Install").iter().any(|line| line.starts_with("cargo install ") && !line.contains("--root")));
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let unit = sd.named_exactly("openclaw-gateway.service");
    unit.write(&format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let leftover = sd.process(sd.until_answers(port));
    unit.stop();
    let hook = commands("As a systemd hook").join("\n").replace("18789", &port.to_string());
    let install = format!("mkdir -p ~/.cargo/bin && cp '{}' ~/.cargo/bin/ && PATH=$PATH:~/.cargo/bin\n", sd.program());
    let run = sd.enter(&["sh", "-ec", &(install + &hook)]);
    assert_eq!((run.status, &run.stdout[..]), (0, ""), "{run}");
    unit.start();
    leftover.has_ended();
    let child = sd.process(sd.until_answers(port));
    unit.stop();
    child.has_ended();
    // The journal of the tests is not split by users, so it is root who reads it.
    unit.until_line("the hook's", |line| {
        line.identifier == "portclear" && line.message.contains(&format!("port {port}: cleared of node (pid "))
    });
    fs::remove_dir_all(sd.path("/home/portclear/.cargo")).unwrap();
    bystander.answers();
}
