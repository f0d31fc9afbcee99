//! C, D. The healthy gateway in a real systemd: whatever it looks like, its run is the current one. And what
//! `--live` and `--offspring` may end.

use serde_json::json;

use crate::c_healthy::spared;
use crate::s_rivals::ended;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        c05_the_main_process_is_a_launcher_and_its_child_listens,
        c06_a_freshly_restarted_gateway_is_spared_by_late_cleaners,
        c06_a_cleaner_that_began_before_the_start_spares_the_new_gateway,
        c08_a_unit_that_drains_is_live,
        c09_a_parent_of_1_tells_nothing,
        d10_a_live_gateway_is_ended_and_started_again,
        d10_a_unit_takes_the_port_while_the_rest_is_ended,
        a05_offspring_of_a_live_run_is_live,
        a05_unsupervised_offspring_is_ended_if_asked,
        a01_live_and_offspring_end_nothing_foreign,
    ]
}

/// As portclear calls a unit.
pub(crate) fn called(sd: &Sd, unit: &Unit<'_>) -> String {
    match sd.manager() {
        Manager::System => unit.name().to_owned(),
        Manager::User => format!("{} of user {}", unit.name(), sd.uid()),
    }
}

#[track_caller]
fn judge(sd: &Sd, port: u16, more: &[&str]) -> Run {
    sd.portclear(&[&["--json", &port.to_string()], more].concat())
}

/// Two calls, one for each way of saying it.
#[track_caller]
fn is_live(sd: &Sd, unit: &Unit<'_>, port: u16, pid: u32) {
    let name = called(sd, unit);
    let reason = spared(&judge(sd, port, &[]), 3, pid, "live");
    assert!(reason.starts_with(&format!("unit {name} runs it now; ")), "{reason}");
    let run = sd.portclear(&[&port.to_string()]);
    let sentence = format!("held by unit {name}, which is running: nothing was signalled\n");
    assert!(run.status == 3 && run.stdout.ends_with(&sentence), "{run}");
    assert_eq!(sd.until_answers(port), pid);
}

/// The inner pid of a fixture at any address.
#[track_caller]
fn until_greets(address: &str) -> u32 {
    let mut pid = None;
    until("a fixture answers", || {
        pid = ask(address).ok().and_then(|line| line.split(' ').next()?.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

fn c05_the_main_process_is_a_launcher_and_its_child_listens(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}Restart=always\nRestartSec=0\n"));
    unit.start();
    let (main, child) = (unit.main_pid(), sd.until_answers(port));
    assert_ne!(main, child);
    is_live(sd, &unit, port, child);
    assert_eq!((unit.main_pid(), unit.show("NRestarts").as_str()), (main, "0"));
    assert_eq!([unit.signals_of(main), unit.signals_of(child)], [[""; 0]; 2]);
    bystander.answers();
}

fn c06_a_freshly_restarted_gateway_is_spared_by_late_cleaners(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    // A second signal would end it with status 1.
    let gateway = sd.install(sd.gateway(port).on_term(OnTerm::Drain(200)));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let mut mains = vec![unit.main_pid()];
    for _ in 0..4 {
        let manager = if sd.manager() == Manager::User { "--user" } else { "--system" };
        let restart = sd.spawn(sd.uid(), &["systemctl", manager, "restart", unit.name()]);
        while restart.process().is_alive() {
            let run = judge(sd, port, &[]);
            // 4: between a server's bind and its listen nobody can be seen.
            assert!([0, 3].contains(&run.status) || run.json()["ports"][0]["holders"] == json!([]), "{run}");
            assert!(!run.stdout.contains(r#""signal":"#), "{run}");
        }
        restart.finish().succeeded();
        let main = unit.main_pid();
        spared(&judge(sd, port, &[]), 3, main, "live");
        assert_eq!(sd.until_answers(port), main);
        mains.push(main);
    }
    let last = mains.pop().unwrap();
    let others = || mains.iter().map(|pid| unit.signals_of(*pid));
    until("their signals", || others().all(|signals| signals == ["TERM"]));
    assert_eq!(unit.signals_of(last), [""; 0]);
    assert_eq!((unit.show("Result").as_str(), unit.show("NRestarts").as_str()), ("success", "0"));
    assert!(unit.journal().iter().all(|line| !line.message.contains("status=1")), "{:?}", unit.journal());
    bystander.answers();
}

fn c06_a_cleaner_that_began_before_the_start_spares_the_new_gateway(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    // The end of the one tells that the call has begun, the other one holds it up.
    let [(_first, first), (_other, other)] =
        [("first.scope", 2, OnTerm::Exit), ("other.scope", 3, OnTerm::Ignore)].map(
            |(name, host, on_term)| {
                let address = format!("127.0.0.{host}:{port}");
                let old = sd.install(Fixture::gateway_on(&address).on_term(on_term));
                let scope = sd.scope(name, &old.command());
                ((scope, old), sd.process(until_greets(&address)))
            },
        );
    let cleaner = sd.spawn(sd.uid(), &[&sd.program()[..], "--json", "--grace=9s", &port.to_string()]);
    first.has_ended();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let main = sd.until_answers(port);
    other.kill();
    let run = cleaner.finish();
    assert_eq!(run.status, 6, "{run}");
    assert_eq!((run.sent(main), &run.process(main)["rule"]), (Vec::new(), &json!("live")), "{run}");
    assert_eq!(sd.until_answers(port), main);
    assert_eq!(unit.signals_of(main), [""; 0]);
    is_live(sd, &unit, port, main);
    bystander.answers();
}

fn c08_a_unit_that_drains_is_live(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).on_term(OnTerm::Drain(3000)));
    let ended = r#"ExecStopPost=/bin/sh -c 'echo "ended: $$EXIT_CODE $$EXIT_STATUS"'"#;
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{ended}\n"));
    unit.start();
    let pid = unit.main_pid();
    let process = sd.process(pid);
    unit.begin_stop();
    unit.until_state("deactivating");
    is_live(sd, &unit, port, pid);
    assert_eq!(unit.show("ActiveState"), "deactivating");
    process.has_ended();
    unit.until_state("inactive");
    // Of an inactive unit the manager soon forgets how it ended.
    unit.until_line("how it ended", |line| line.message == "ended: exited 0");
    unit.until_line("the signal", |line| line.message.contains(r#""TERM""#));
    assert_eq!(unit.signals_of(pid), ["TERM"]);
    assert!(can_bind(&format!("127.0.0.1:{port}")));
    let run = sd.portclear(&[&port.to_string()]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run}");
    bystander.answers();
}

fn c09_a_parent_of_1_tells_nothing(sd: &Sd) {
    let bystander = sd.bystander();
    let [port, other] = [sd.port(), sd.port()];
    // A main process: PID 1 started it, or the user's manager.
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = unit.main_pid();
    let manager = sd.process(bystander.pid()).parent();
    assert_eq!(sd.process(pid).parent(), manager);
    assert_eq!(manager == sd.process(1).pid(), sd.manager() == Manager::System);
    is_live(sd, &unit, port, pid);
    // An orphan of a run that is not over: there is no main process at all.
    let orphan_files = sd.install(sd.gateway(other));
    let orphan = orphan_files.to_string().replace("Type=notify", "Type=oneshot\nRemainAfterExit=yes");
    let orphan = orphan.replace("ExecStart=", r#"ExecStart=/bin/sh -c '"$$0" "$$@" &' "#);
    let orphaned = sd.unit("orphan.service", &format!("[Service]\n{orphan}"));
    orphaned.start();
    let child = sd.until_answers(other);
    assert_eq!((orphaned.main_pid(), orphaned.show("ActiveState").as_str()), (0, "active"));
    assert_eq!(sd.process(child).parent(), manager);
    is_live(sd, &orphaned, other, child);
    assert_eq!([unit.signals_of(pid), orphaned.signals_of(child)], [[""; 0]; 2]);
    bystander.answers();
}

fn d10_a_live_gateway_is_ended_and_started_again(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = unit.main_pid();
    is_live(sd, &unit, port, pid);
    ended(&judge(sd, port, &["--live"]), pid, "end-live");
    unit.until_state("inactive");
    assert!(can_bind(&format!("127.0.0.1:{port}")));
    unit.drop_in("50-restart.conf", "[Service]\nRestart=always\nRestartSec=2h\n");
    unit.start();
    let pid = unit.main_pid();
    ended(&judge(sd, port, &["--live"]), pid, "end-live");
    until("it is to be started again", || unit.show("SubState") == "auto-restart");
    unit.until_line("the signal", |line| line.message.contains(&format!(r#""pid": {pid}"#)));
    assert_eq!(unit.signals_of(pid), ["TERM"]);
    bystander.answers();
}

/// A second holder, which is in no hurry, keeps portclear waiting until the unit has taken the port again.
fn d10_a_unit_takes_the_port_while_the_rest_is_ended(sd: &Sd) {
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
    assert_eq!(
        [run.sent(first), run.sent(other), run.sent(second)],
        [vec!["SIGTERM"], vec!["SIGTERM"], vec![]]
    );
    let sentence = run.json()["ports"][0]["sentence"].as_str().unwrap_or_default().to_owned();
    let said = format!("(pid {second}) in unit {}: stop that first", called(sd, &unit));
    assert!(sentence.contains(&said), "{sentence}");
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
    let [agent] = pids.iter().copied().filter(|pid| *pid != main).collect::<Vec<_>>()[..] else {
        panic!("{pids:?}")
    };
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
    ended(&judge(sd, port, &["--offspring"]), pid, "end-offspring");
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
