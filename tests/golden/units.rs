//! The scenes that a systemd makes.

use std::fs;

use super::book::{Calls, says};
use super::mask::Mask;
use crate::support::*;
use crate::systemd::service::{Service, with_servers};

pub(super) fn cases() -> Vec<Case> {
    vec![case!(unit, Needs::Systemd), case!(leftover, Needs::Systemd), case!(sweep, Needs::Systemd)]
}

/// A unit with a server and what that started: it runs now, or its run has ended and left all but the main process.
fn holds(name: &str, options: &[&str], is_left: bool) {
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    // A sweep looks into all units there are, and other tests have theirs.
    let service = Service::new(&sd);
    let number = sd.port();
    let port = number.to_string();
    let sleep = fs::canonicalize("/bin/sleep").unwrap().display().to_string();
    let words = [(port.clone(), "18789".to_owned()), (sleep, "/usr/bin/sleep".to_owned())];
    let mask = Mask { words: words.into(), inside: true };
    says(name, Calls::Both, &[options, &[&port]].concat(), &mask, |line| {
        let gateway = with_servers(service.gateway(number), 2);
        let files = sd.install(if is_left { gateway.forks_listener() } else { gateway });
        let unit = sd.unit("gw.service", &format!("[Service]\n{files}KillMode=process\n"));
        unit.start();
        sd.until_answers(number);
        if is_left {
            unit.stop();
        }
        let run = service.portclear(line);
        unit.stop();
        unit.pids().into_iter().for_each(|pid| sd.process(pid).kill());
        run
    });
    bystander.answers();
}

fn unit() {
    holds("unit", &[], false);
}

fn leftover() {
    holds("leftover", &[], true);
}

fn sweep() {
    holds("sweep", &["--sweep"], true);
}
