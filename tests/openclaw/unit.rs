//! The gateway's own unit, with the drop-in of portclear.

use crate::support::openclaw::unit::Own;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case {
        path: concat!(module_path!(), "::b06_one_started_by_hand_gives_way_to_its_unit"),
        needs: &[Needs::Systemd, Needs::OpenClaw],
        run: || one_started_by_hand_gives_way_to_its_unit(&Sd::new(Manager::User)),
    }]
}

/// Beside another gateway of its state folder the unit ends with status 78, and systemd does not start it again.
fn one_started_by_hand_gives_way_to_its_unit(sd: &Sd) {
    let bystander = sd.bystander();
    let own = Own::install(sd);
    let unit = &own.unit;
    unit.stop();
    let port = own.port.to_string();
    let run = sd.portclear(&["unit", "--unit", unit.name(), &port]);
    run.succeeded();
    unit.drop_in("portclear.conf", &run.stdout);
    assert_eq!(unit.show("TimeoutStopUSec"), "5min 30s", "{run}");

    let (_hand, by_hand) = own.by_hand();
    unit.start();
    by_hand.has_ended();
    let first = own.until_ready();
    assert_eq!((first, unit.show("NRestarts").as_str()), (unit.main_pid(), "0"));
    let line = unit.until_line("what was done", |line| line.identifier == "portclear");
    assert!(line.message.contains(": cleared of node ") && line.message.contains("lock /home/"), "{line:?}");
    let reason = spared(&sd.portclear(&["--json", &port]), 3, first, "live");
    assert!(reason.contains(unit.name()), "{reason}");

    // In a unit it restarts as another process, and systemd starts that.
    sd.process(first).signal(Signal::SIGUSR2);
    let second = own.until_restarted("1");
    assert_ne!(first, second);
    assert_eq!((unit.main_pid(), unit.show("ActiveState").as_str()), (second, "active"));
    let said = unit.journal_of("portclear");
    assert_eq!(said, [line], "the restart was no business of portclear's");
    unit.stop();
    assert_eq!(unit.pids(), [0; 0]);
    bystander.answers();
}
