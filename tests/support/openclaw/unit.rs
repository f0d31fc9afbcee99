//! The gateway's own unit, as its own installer writes it, in the systemd of the test run.

use std::fs;

use serde_json::Value;

use super::super::process::Proc;
use super::super::run::Running;
use super::super::sd::{Sd, text};
use super::super::systemd::USER;
use super::super::unit::Unit;
use super::super::wait::{tick_after, until_within};
use super::gateway::get;
use super::{START, settings, variables};

const HOME: &str = "/home/portclear";

/// The OpenClaw of the user who has a manager. All that he starts of it has one state folder.
pub(crate) struct Own<'a> {
    sd: &'a Sd,
    pub(crate) unit: Unit<'a>,
    pub(crate) port: u16,
}

impl<'a> Own<'a> {
    /// Installs the unit. That starts it.
    #[track_caller]
    pub(crate) fn install(sd: &'a Sd) -> Self {
        let write = r#"mkdir -p ~/.openclaw && printf %s "$0" >~/.openclaw/openclaw.json"#;
        sd.enter(&["sh", "-c", write, &settings(true)]).succeeded();
        let own = Self { sd, unit: sd.named("gw.service"), port: sd.port() };
        let port = own.port.to_string();
        let words = ["gateway", "install", "--port", &port, "--runtime", "node"];
        let mut command = own.command(&words);
        command.insert(1, format!("OPENCLAW_SYSTEMD_UNIT={}", own.unit.name()));
        sd.enter(&command).succeeded();
        own
    }

    /// A command of OpenClaw by hand.
    fn command(&self, words: &[&str]) -> Vec<String> {
        let programs = text(&self.sd.openclaw());
        let mut command = vec!["env".to_owned()];
        command.extend(variables(HOME, "OPENCLAW").into_iter().map(|(key, value)| format!("{key}={value}")));
        command.retain(|word| !word.starts_with("TMPDIR="));
        command.push(format!("{programs}/bin/node"));
        command.push(format!("{programs}/2026.9.6/node_modules/openclaw/dist/entry.js"));
        command.extend(words.iter().map(|&word| word.to_owned()));
        command
    }

    /// Starts a gateway by hand, and waits until all of it has started. The drop of the first ends it.
    #[track_caller]
    pub(crate) fn by_hand(&self) -> (Running, Proc) {
        let command = self.command(&["gateway", "run", "--port", &self.port.to_string()]);
        let running = self.sd.spawn(USER, &command);
        self.until_ready();
        (running, self.sd.process(self.locked_by()))
    }

    /// Waits until the gateway says that it is ready, and gives its inner pid.
    #[track_caller]
    pub(crate) fn until_ready(&self) -> u32 {
        let is_ready = || get(self.port, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
        until_within(START, "the gateway is ready", is_ready);
        let pid = self.locked_by();
        tick_after(self.sd.process(pid).stat().starttime);
        pid
    }

    /// The inner pid that the lock of the state folder names.
    #[track_caller]
    fn locked_by(&self) -> u32 {
        let path = self.sd.path(&format!("{HOME}/.openclaw/tmp/openclaw-{USER}/gateway.state.lock"));
        let lock: Value = serde_json::from_slice(&fs::read(path).expect("a lock")).expect("JSON");
        lock["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")
    }

    /// Waits until systemd has started it so many times again, and it is ready. Gives its inner pid.
    #[track_caller]
    pub(crate) fn until_restarted(&self, times: &str) -> u32 {
        until_within(START, "a restart", || self.unit.show("NRestarts") == times);
        self.until_ready()
    }
}
