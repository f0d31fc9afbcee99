//! Units that want the same port do not end each other. Another user ends neither.

use super::claims::called;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![c07_two_units_do_not_end_each_other];
    cases.extend([
        case!(c07_a_system_and_a_user_unit_do_not_end_each_other, Needs::Systemd),
        case!(c07_a_unit_of_root_is_out_of_a_users_reach, Needs::Systemd),
        case!(d06_another_users_gateway_is_out_of_reach, Needs::Systemd),
    ]);
    cases
}

fn clears(sd: &Sd, gateway: &Installed, port: u16, more: &str) -> String {
    let clear = format!("ExecStartPre={} {port}\nRestart=always\nRestartSec=200ms\n", sd.program());
    format!("[Unit]\nStartLimitIntervalSec=0\n[Service]\n{gateway}{clear}{more}")
}

/// The first unit runs. The second one tries until systemd has restarted it ten times.
#[track_caller]
fn rivals(first: (&Sd, &str), second: &Sd, port: u16, said: impl Fn(&Unit<'_>, &Unit<'_>) -> String) {
    let (holder, more) = first;
    let bystanders = [holder.bystander()];
    let [one, two] = [holder, second].map(|sd| sd.install(sd.gateway(port)));
    let unit = holder.unit("first.service", &clears(holder, &one, port, more));
    unit.start();
    let pid = holder.until_answers(port);
    let rival = second.unit("second.service", &clears(second, &two, port, ""));
    let run = rival.try_start();
    assert_ne!(run.status, 0, "{run}");
    until("ten restarts", || rival.show("NRestarts").parse::<u32>().unwrap() >= 10);
    let said = said(&unit, &rival);
    let line = rival.until_line("who holds the port", |line| line.message.contains(&said));
    assert_eq!((line.priority, line.identifier.as_str()), (4, "portclear"), "{line:?}");
    assert_eq!(rival.main_pid(), 0);
    assert_eq!((unit.main_pid(), holder.until_answers(port)), (pid, pid));
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    assert_eq!(unit.signals_of(pid), [""; 0]);
    bystanders[0].answers();
}

fn names_both(sds: [&Sd; 2], [unit, rival]: [&Unit<'_>; 2]) -> String {
    let (unit, rival) = (called(sds[0], unit), called(sds[1], rival));
    format!(": held by unit {unit}, which is running (this call is in {rival}): nothing was signalled; next: `")
}

fn c07_two_units_do_not_end_each_other(sd: &Sd) {
    rivals((sd, ""), sd, sd.port(), |unit, rival| names_both([sd, sd], [unit, rival]));
}

/// Root's unit sees the user's unit. The user's unit sees the system's, where that runs as the same user.
fn c07_a_system_and_a_user_unit_do_not_end_each_other() {
    {
        let [system, user] = [Manager::System, Manager::User].map(Sd::new);
        rivals((&user, ""), &system, user.port(), |unit, rival| names_both([&user, &system], [unit, rival]));
    }
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let first = (&system, "User=portclear\n");
    rivals(first, &user, user.port(), |unit, rival| names_both([&system, &user], [unit, rival]));
}

fn c07_a_unit_of_root_is_out_of_a_users_reach() {
    let [system, user] = [Manager::System, Manager::User].map(Sd::new);
    let port = user.port();
    rivals((&system, ""), &user, port, |_, _| {
        format!("held by a process of uid 0 that cannot be seen from here; next: `sudo {} {port}` (", user.program())
    });
}

fn d06_another_users_gateway_is_out_of_reach() {
    let sd = Sd::new(Manager::User);
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = unit.main_pid();
    for more in [&[][..], &["--live", "--any-owner", "--offspring"]] {
        let run = sd.enter_as(NOBODY, &[&[&sd.program()[..], &port.to_string()], more].concat());
        let said = format!("held by a process of uid {} that cannot be seen from here; ", sd.uid());
        assert!(run.status == 4 && run.stderr.contains(&said), "{run}");
    }
    assert_eq!(sd.until_answers(port), pid);
    assert_eq!(unit.signals_of(pid), [""; 0]);
    bystander.answers();
}
