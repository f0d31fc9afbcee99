//! A gateway of a current run is live, whatever else it looks like.

use serde_json::json;

use super::claims::{is_live, judge, until_greets};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![
        c05_a_child_that_listens_for_its_main_process_is_live,
        c06_a_freshly_restarted_gateway_is_spared_by_late_cleaners,
        c06_a_cleaner_that_began_before_the_start_spares_the_new_gateway,
        c08_a_unit_that_drains_is_live,
        c09_a_parent_of_1_tells_nothing,
    ]
}

fn c05_a_child_that_listens_for_its_main_process_is_live(sd: &Sd) {
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
            // 4: between bind and listen, a server cannot be seen.
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
    // The end of the first holder tells that the call has begun. The other one holds the call up.
    let [(_first, first), (_other, other)] = [("first.scope", 2, OnTerm::Exit), ("other.scope", 3, OnTerm::Ignore)]
        .map(|(name, host, on_term)| {
            let address = format!("127.0.0.{host}:{port}");
            let old = sd.install(Fixture::gateway_on(&address).on_term(on_term));
            let scope = sd.scope(name, &old.command());
            ((scope, old), sd.process(until_greets(&address)))
        });
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
    // The manager soon forgets how an inactive unit ended.
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
    // It is a main process: its parent is PID 1, or the user's manager.
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = unit.main_pid();
    let manager = sd.process(bystander.pid()).parent();
    assert_eq!(sd.process(pid).parent(), manager);
    assert_eq!(manager == sd.process(1).pid(), sd.manager() == Manager::System);
    is_live(sd, &unit, port, pid);
    // It is an orphan of a run that goes on. The unit has no main process at all.
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
