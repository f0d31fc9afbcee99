//! A unit may have a shell above its gateways. The shell is judged by itself, not as a part of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::claims::told;
use super::service::{Service, pids, shell, with_servers};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![f03_of_two_gateways_below_one_shell_one_is_ended, d12_a_left_over_shell_and_its_gateway_get_one_signal_each,]
}

/// Half of the default grace. A process that waits for another in vain waits so long.
const HALF: Duration = Duration::from_secs(5);

fn children(sd: &Sd, unit: &Unit<'_>, of: u32) -> BTreeSet<u32> {
    let of = sd.outer(of);
    pids(unit).into_iter().filter(|pid| sd.process(*pid).parent() == of).collect()
}

fn f03_of_two_gateways_below_one_shell_one_is_ended(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [own, one, two]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let files = [one, two].map(|port| sd.install(with_servers(service.gateway(port), 1)));
    let both = sd.install(shell(&service, own, &files.each_ref()));
    let unit = sd.unit("two.service", &format!("[Service]\n{both}"));
    unit.start();
    let main = unit.main_pid();
    let [ended, lives] = [one, two].map(|port| sd.until_answers(port));
    assert_eq!(children(sd, &unit, main), BTreeSet::from([ended, lives]));
    let [server, other] = [ended, lives].map(|gateway| {
        let servers: Vec<u32> = children(sd, &unit, gateway).into_iter().collect();
        let [server] = servers[..] else { panic!("{servers:?}") };
        server
    });
    let run = service.portclear(&["--live", "--tree", "--json", &one.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert!(run.elapsed < HALF, "{run}");
    assert_eq!(run.processes().len(), 2, "{run}");
    assert_eq!(told(&run, ended), "holder end-live ended SIGTERM");
    assert_eq!(told(&run, server), "offspring tree ended SIGTERM");
    assert_eq!(pids(&unit), BTreeSet::from([main, lives, other]), "{run}");
    assert_eq!((sd.until_answers(two), sd.until_answers(own)), (lives, main));
    assert_eq!(unit.signals_of(ended), ["TERM"]);
    for pid in [main, lives] {
        assert_eq!(unit.signals_of(pid), [""; 0], "{run}");
    }
    assert_eq!((unit.main_pid(), unit.show("NRestarts").as_str()), (main, "0"));
    bystander.answers();
}

/// The shell is above the gateway, and both are left over from one run. Neither may wait for the other in vain.
fn d12_a_left_over_shell_and_its_gateway_get_one_signal_each(sd: &Sd) {
    let bystander = sd.bystander();
    let (service, [main, own, port]) = (Service::new(sd), [(); 3].map(|()| sd.port()));
    let gateway = sd.install(with_servers(service.gateway(port), 1));
    let between = sd.install(shell(&service, own, &[&gateway]));
    let top = sd.install(shell(&service, main, &[&between]));
    let unit = sd.unit("gw.service", &format!("[Service]\n{top}KillMode=process\n"));
    for options in [["--tree", "--json"], ["--sweep", "--json"]] {
        unit.start();
        sd.until_answers(main);
        let [shell, gateway] = [own, port].map(|port| sd.until_answers(port));
        assert_eq!(children(sd, &unit, shell), BTreeSet::from([gateway]));
        unit.stop();
        assert_eq!(pids(&unit).len(), 3);
        let run = service.portclear(&[&options[..], &[&port.to_string()]].concat());
        assert_eq!(run.status, 0, "{run}");
        assert!(run.elapsed < HALF, "{run}");
        assert_eq!(told(&run, gateway), "holder stale-leftover ended SIGTERM", "{run}");
        assert_eq!(unit.signals_of(gateway), ["TERM"]);
        // The shell is left over itself.
        assert_eq!(pids(&unit), BTreeSet::new(), "{run}");
        assert_eq!(unit.signals_of(shell), ["TERM"]);
    }
    bystander.answers();
}
