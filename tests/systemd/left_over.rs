//! A process is judged by its run: it is live while the run is on record, and left over after that.

use super::claims::{fails, hook, is_judged};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        a05_an_agents_web_server_lives_as_long_as_its_run,
        b03_a_leftover_of_a_unit_that_is_gone_is_ended,
        c05_a_transient_unit_is_live_then_left_over,
        c05_a_unit_in_a_slice_is_live_then_left_over,
        c05_a_template_unit_is_live_then_left_over,
        c05_a_unit_with_an_escaped_name_is_live_then_left_over,
        c05_a_process_without_a_run_is_judged_by_its_unit,
    ]
}

fn a05_an_agents_web_server_lives_as_long_as_its_run(sd: &Sd) {
    let bystander = sd.bystander();
    let [port, web] = [sd.port(), sd.port()];
    let number = web.to_string();
    let agent = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", &number];
    let gateway = sd.install(sd.gateway(port).spawns(&agent));
    let first = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    first.start();
    sd.until_listens(web);
    let main = first.main_pid();
    let pids = first.pids();
    let agents: Vec<u32> = pids.into_iter().filter(|pid| *pid != main).collect();
    let [agent] = agents[..] else { panic!("{agents:?}") };
    let process = sd.process(agent);

    let other = sd.install(sd.gateway(web));
    let second = sd.unit("second.service", &format!("[Service]\n{other}{}", hook(sd, web)));
    is_judged(sd, web, agent, 3, &[("identity", "offspring"), ("liveness", "live"), ("rule", "live")]);
    fails(&second, &format!("unit {}", first.name()));
    assert!(process.is_alive());
    sd.until_listens(web);
    assert_eq!(first.main_pid(), main);

    first.stop();
    assert_eq!(first.pids(), [agent]);
    let leftover = [("identity", "offspring"), ("liveness", "leftover"), ("rule", "stale-leftover")];
    is_judged(sd, web, agent, 0, &leftover);
    second.start();
    process.has_ended();
    assert_eq!(sd.until_answers(web), second.main_pid());
    bystander.answers();
}

fn b03_a_leftover_of_a_unit_that_is_gone_is_ended(sd: &Sd) {
    let bystander = sd.bystander();
    let [port, web] = [sd.port(), sd.port()];
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let plain = sd.plain(Plain::Python, web);
    let old = [("old.service", &gateway, port), ("web.service", &plain, web)];
    let [ours, theirs] = old.map(|(name, server, port)| {
        let unit = sd.unit(name, &format!("[Service]\n{server}KillMode=process\n"));
        unit.start();
        let pid = sd.until_answers(port);
        unit.stop();
        unit.remove();
        assert_eq!(unit.show("LoadState"), "not-found");
        assert_eq!(sd.until_answers(port), pid);
        (unit, pid)
    });
    let leftover =
        [("identity", "instance"), ("liveness", "leftover"), ("rule", "stale-leftover"), ("unit", ours.0.name())];
    is_judged(sd, port, ours.1, 0, &leftover);
    let foreign = [("identity", "foreign"), ("liveness", "leftover"), ("rule", "foreign"), ("unit", theirs.0.name())];
    is_judged(sd, web, theirs.1, 3, &foreign);

    let process = sd.process(ours.1);
    let server = sd.install(sd.gateway(port));
    let new = sd.unit("new.service", &format!("[Service]\n{server}{}", hook(sd, port)));
    new.start();
    process.has_ended();
    assert_eq!(sd.until_answers(port), new.main_pid());
    let server = sd.install(sd.gateway(web));
    let new = sd.unit("other.service", &format!("[Service]\n{server}{}", hook(sd, web)));
    fails(&new, ": spared: not recognised as ");
    assert_eq!(sd.until_answers(web), theirs.1);
    bystander.answers();
}

fn c05_a_transient_unit_is_live_then_left_over(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let options = ["--property=KillMode=process", &format!("--property={}", hook(sd, port).trim_end())];
    let unit = sd.transient("tr.service", &options, &gateway.command());
    live_then_left_over(sd, port, &unit);
}

fn c05_a_unit_in_a_slice_is_live_then_left_over(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let more = "KillMode=process\nSlice=portclear-some.slice\n";
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{}{more}", hook(sd, port)));
    unit.start();
    let group = unit.show("ControlGroup");
    assert!(group.contains("/portclear.slice/portclear-some.slice/"), "{group}");
    live_then_left_over(sd, port, &unit);
}

fn c05_a_template_unit_is_live_then_left_over(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let text = format!("[Service]\n{gateway}{}KillMode=process\n", hook(sd, port));
    let template = sd.unit("gw@.service", &text);
    let unit = template.instance("work");
    unit.start();
    live_then_left_over(sd, port, &unit);
    // Another instance of the template is another unit.
    let pid = sd.until_answers(port);
    let home = template.instance("home");
    fails(&home, &format!("unit {}", unit.name()));
    assert_eq!(sd.until_answers(port), pid);
}

fn c05_a_unit_with_an_escaped_name_is_live_then_left_over(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let text = format!("[Service]\n{gateway}{}KillMode=process\n", hook(sd, port));
    let unit = sd.unit(r"my\x2dgw.service", &text);
    assert!(unit.name().ends_with(r"my\x2dgw.service"));
    unit.start();
    live_then_left_over(sd, port, &unit);
}

/// While the unit is active, its process is live: a call by hand spares it, and so does a rival's hook. After a stop,
/// the unit's next start ends what it left.
#[track_caller]
fn live_then_left_over(sd: &Sd, port: u16, unit: &Unit<'_>) {
    let bystander = sd.bystander();
    let old = sd.until_answers(port);
    let (main, run) = (unit.main_pid(), unit.invocation().expect("a run"));
    assert_ne!(old, main);
    // portclear doubles a backslash: a single one begins an escape.
    let name = unit.name().replace('\\', r"\\");
    let live = [("liveness", "live"), ("rule", "live"), ("unit", &name), ("run", &run)];
    is_judged(sd, port, old, 3, &live);
    let server = sd.install(sd.gateway(port));
    let rival = sd.unit("rival.service", &format!("[Service]\n{server}{}", hook(sd, port)));
    fails(&rival, &format!("unit {name}"));
    assert_eq!((sd.until_answers(port), unit.main_pid()), (old, main));

    let process = sd.process(old);
    unit.stop();
    assert_eq!(unit.invocation(), None);
    assert_eq!(sd.until_answers(port), old);
    let leftover = [("liveness", "leftover"), ("rule", "stale-leftover"), ("unit", &name), ("run", &run)];
    is_judged(sd, port, old, 0, &leftover);
    unit.start();
    process.has_ended();
    assert_ne!(sd.until_answers(port), old);
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    unit.until_line("what was done", |line| line.message.contains(": cleared of node "));
    let lines = unit.journal_of("portclear");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0].priority, 5, "{lines:#?}");
    assert!(lines[0].message.contains("an ended run of this unit"), "{lines:#?}");
    assert!(lines[0].message.contains(&format!("(pid {old}, ")), "{lines:#?}");
    bystander.answers();
}

fn c05_a_process_without_a_run_is_judged_by_its_unit(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let without = ["/usr/bin/env", "-u", "INVOCATION_ID"];
    let gateway = sd.install(sd.gateway(port).forks_listener().behind(&without));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{}KillMode=process\n", hook(sd, port)));
    unit.start();
    let old = sd.until_answers(port);
    let process = sd.process(old);
    let environ = std::fs::read_to_string(format!("/proc/{}/environ", process.pid())).unwrap();
    assert!(!environ.contains("INVOCATION_ID="), "{environ}");
    is_judged(sd, port, old, 3, &[("liveness", "live"), ("rule", "live"), ("unit", unit.name())]);
    let server = sd.install(sd.gateway(port));
    let rival = sd.unit("rival.service", &format!("[Service]\n{server}{}", hook(sd, port)));
    fails(&rival, &format!("unit {}", unit.name()));
    assert_eq!(sd.until_answers(port), old);

    unit.stop();
    is_judged(sd, port, old, 0, &[("liveness", "leftover"), ("rule", "stale-leftover")]);
    unit.start();
    process.has_ended();
    let new = sd.until_answers(port);
    assert_ne!(new, old);
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    let line = unit.until_line("what was done", |line| line.message.contains(": cleared of node "));
    assert!(line.priority == 5 && line.message.contains(", run -, "), "{line:?}");
    is_judged(sd, port, new, 3, &[("liveness", "live"), ("rule", "live"), ("unit", unit.name())]);
    bystander.answers();
}
