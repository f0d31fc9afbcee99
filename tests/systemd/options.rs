//! `--live` and `--offspring` end what their names say, and nothing foreign.

use super::claims::{called, is_ended, is_live, judge, until_greets};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        d10_a_live_gateway_is_ended_and_started_again,
        d10_a_unit_that_takes_the_port_again_is_not_chased,
        a05_offspring_of_a_live_run_is_live,
        a05_unsupervised_offspring_is_ended_if_asked,
        a01_live_and_offspring_end_nothing_foreign,
    ]
}

fn d10_a_live_gateway_is_ended_and_started_again(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = unit.main_pid();
    is_live(sd, &unit, port, pid);
    is_ended(&judge(sd, port, &["--live"]), pid, "end-live");
    unit.until_state("inactive");
    assert!(can_bind(&format!("127.0.0.1:{port}")));
    unit.drop_in("50-restart.conf", "[Service]\nRestart=always\nRestartSec=2h\n");
    unit.start();
    let pid = unit.main_pid();
    is_ended(&judge(sd, port, &["--live"]), pid, "end-live");
    until("it is to be started again", || unit.show("SubState") == "auto-restart");
    unit.until_line("the signal", |line| line.message.contains(&format!(r#""pid": {pid}"#)));
    assert_eq!(unit.signals_of(pid), ["TERM"]);
    bystander.answers();
}

/// A second holder is in no hurry. portclear waits for it until the unit has taken the port again.
fn d10_a_unit_that_takes_the_port_again_is_not_chased(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let text = format!("[Service]\n{gateway}Restart=always\nRestartSec=0\n");
    let unit = sd.unit("gw.service", &text);
    unit.start();
    let first = unit.main_pid();
    let address = format!("127.0.0.2:{port}");
    let stubborn = sd.install(Fixture::gateway_on(&address).on_term(OnTerm::Ignore));
    let _scope = sd.scope("other.scope", &stubborn.command());
    let other = until_greets(&address);
    let [first_process, other_process] = [first, other].map(|pid| sd.process(pid));
    let words = [&sd.program()[..], "--json", "--live", "--grace=9s", &port.to_string()];
    let cleaner = sd.spawn(sd.uid(), &words);
    first_process.has_ended();
    let second = sd.until_answers(port);
    assert_ne!(second, first);
    other_process.kill();
    let run = cleaner.finish();
    assert_eq!(run.status, 6, "{run}");
    assert_eq!([run.sent(first), run.sent(other), run.sent(second)], [vec!["SIGTERM"], vec!["SIGTERM"], vec![]]);
    let sentence = run.json()["ports"][0]["sentence"].as_str().unwrap_or_default().to_owned();
    let said = format!("(pid {second}), in unit {}", called(sd, &unit));
    assert!(sentence.ends_with(&said), "{sentence}");
    assert_eq!(unit.show("NRestarts"), "1");
    assert_eq!((unit.main_pid(), sd.until_answers(port)), (second, second));
    assert_eq!(unit.signals_of(second), [""; 0]);
    bystander.answers();
}

fn a05_offspring_of_a_live_run_is_live(sd: &Sd) {
    let bystander = sd.bystander();
    let [port, web] = [sd.port(), sd.port()];
    let number = web.to_string();
    let agent = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", &number];
    let gateway = sd.install(sd.gateway(port).spawns(&agent));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    sd.until_listens(web);
    let main = unit.main_pid();
    let pids = unit.pids();
    let [agent] = pids.iter().copied().filter(|pid| *pid != main).collect::<Vec<_>>()[..] else { panic!("{pids:?}") };
    for more in [&[][..], &["--live"], &["--offspring"], &["--live", "--offspring", "--any-owner"]] {
        spared(&judge(sd, web, more), 3, agent, "live");
    }
    assert!(sd.process(agent).is_alive());
    assert_eq!(unit.signals_of(main), [""; 0]);
    bystander.answers();
}

fn a05_unsupervised_offspring_is_ended_if_asked(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let offspring = sd.install(sd.gateway(port).env("OPENCLAW_SHELL", "exec"));
    let scope = sd.scope("agent.scope", &offspring.command());
    let pid = sd.until_answers(port);
    let _ = sd.process(pid);
    for more in [&[][..], &["--live"], &["--any-owner"]] {
        spared(&judge(sd, port, more), 3, pid, "offspring");
    }
    assert_eq!(sd.until_answers(port), pid);
    is_ended(&judge(sd, port, &["--offspring"]), pid, "end-offspring");
    assert_eq!(scope.finish().status, 0);
    bystander.answers();
}

fn a01_live_and_offspring_end_nothing_foreign(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let other = sd.install(Fixture::other(&format!("127.0.0.1:{port}")));
    let _scope = sd.scope("other.scope", &other.command());
    let pid = sd.until_answers(port);
    for more in [&["--live"][..], &["--offspring"], &["--live", "--offspring"]] {
        spared(&judge(sd, port, more), 3, pid, "foreign");
        spared(&judge(sd, bystander.port(), more), 3, bystander.pid(), "foreign");
    }
    assert_eq!(sd.until_answers(port), pid);
    bystander.answers();
}
