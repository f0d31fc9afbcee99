//! Three ended runs of a unit, and the page that shows them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::*;
use crate::systemd::service::{Service, pids, with_servers};

pub(super) const PAGE: &str = include_str!("../../../docs/sweep.md");

/// How many MCP servers each of the three runs left behind.
const LEFT: [usize; 3] = [29, 29, 28];

/// How many the run after them has.
pub(super) const LIVE: usize = 14;

/// A unit whose three runs have ended, and all that they left.
pub(super) struct Left<'a> {
    sd: &'a Sd,
    pub(super) service: Service<'a>,
    pub(super) unit: Unit<'a>,
    pub(super) port: u16,
    pub(super) orphans: BTreeSet<u32>,
    runs: BTreeSet<String>,
    files: Vec<Installed>,
}

impl<'a> Left<'a> {
    /// `listens`: the last run also leaves a child that holds the port.
    #[track_caller]
    pub(super) fn behind(sd: &'a Sd, listens: bool) -> Self {
        let (service, port) = (Service::new(sd), sd.port());
        let unit = sd.named("gw.service");
        let none = BTreeSet::new;
        let mut left = Self { sd, service, unit, port, orphans: none(), runs: BTreeSet::new(), files: vec![] };
        for (at, servers) in LEFT.into_iter().enumerate() {
            let gateway = with_servers(left.service.gateway(port), servers);
            let last = at + 1 == LEFT.len();
            left.write(if last && listens { gateway.forks_listener() } else { gateway }, "");
            left.unit.start();
            sd.until_answers(port);
            left.runs.insert(left.unit.invocation().expect("a run"));
            left.unit.stop();
        }
        left.orphans = pids(&left.unit);
        if listens {
            left.orphans.remove(&sd.until_answers(port));
        }
        assert_eq!((left.orphans.len(), left.runs.len()), (86, 3));
        left
    }

    #[track_caller]
    fn write(&mut self, gateway: Builder, hook: &str) {
        let gateway = self.sd.install(gateway);
        self.unit.write(&format!("[Service]\n{gateway}KillMode=process\n{hook}"));
        self.files.push(gateway);
    }

    /// Starts the next run, with MCP servers of its own.
    #[track_caller]
    pub(super) fn go_on(&mut self, hook: &str) -> u32 {
        let gateway = with_servers(self.service.gateway(self.port), LIVE);
        self.write(gateway, hook);
        let start = self.unit.try_start();
        start.succeeded();
        // portclear would have waited for the whole grace, had one of them not ended.
        assert!(start.elapsed < DEADLINE, "{start}");
        let main = self.sd.until_answers(self.port);
        assert_eq!(main, self.unit.main_pid());
        main
    }

    /// The gateway of the current run lives, and these are all the processes of the unit.
    #[track_caller]
    pub(super) fn lives(&self, main: u32, all: &BTreeSet<u32>) {
        assert_eq!(pids(&self.unit), *all);
        assert_eq!((self.sd.until_answers(self.port), self.unit.main_pid()), (main, main));
        assert_eq!((self.unit.show("NRestarts").as_str(), self.unit.signals_of(main)), ("0", vec![]));
    }

    /// The document calls each of them left over, by itself.
    #[track_caller]
    pub(super) fn are_in(&self, run: &Run, rule: &str, outcome: &str, sent: &[&str]) {
        let swept = run.json()["swept"]["processes"].take();
        let swept = swept.as_array().expect("a list");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pids = swept.iter().filter_map(|process| process["pid"].as_u64()?.try_into().ok());
        assert_eq!(pids.collect::<BTreeSet<u32>>(), self.orphans, "{run}");
        let runs: BTreeSet<String> = swept.iter().map(|process| text(&process["run"])).collect();
        assert_eq!((swept.len(), runs), (86, self.runs.clone()), "{run}");
        for process in swept {
            let fields = ["role", "identity", "liveness", "rule", "outcome"].map(|key| text(&process[key]));
            assert_eq!(fields, ["leftover", "offspring", "leftover", rule, outcome], "{process:#}");
            let signals = process["signals"].as_array().unwrap().iter();
            assert_eq!(signals.map(|signal| text(&signal["signal"])).collect::<Vec<_>>(), sent, "{process:#}");
        }
        let memory = run.json()["swept"]["memory"].take();
        assert_eq!(memory["count"], 86, "{run}");
        assert!(memory["bytes"].as_u64() > Some(86 * 4096), "{run}");
    }

    /// The page shows what was printed, except for what differs each time.
    #[track_caller]
    pub(super) fn is_on_the_page(&self, block: usize, printed: &str) {
        let user = if self.sd.uid() == 0 { "uid 0 root" } else { "uid 4711 portclear" };
        let printed = printed
            .replace(&self.sd.program(), "portclear")
            // The page describes no service.
            .replace(&format!(" --package {0} --marker SWEPT_SERVICE={0}", self.service.name), "")
            .replace(self.unit.name(), "openclaw-gateway.service")
            .replace(&self.service.name, "openclaw")
            .replace(&self.port.to_string(), "18789")
            .replace(user, "uid 0 root")
            .replace(" of user 4711", "");
        let shown = PAGE.split("```").nth(2 * block + 1).expect("a block").lines().skip(1);
        let shown: Vec<String> = shown.filter(|line| line.starts_with("portclear: ")).map(masked).collect();
        assert_eq!(printed.lines().map(masked).collect::<Vec<_>>(), shown, "block {block} of docs/sweep.md");
    }

    #[track_caller]
    pub(super) fn journal(&self) -> String {
        self.unit.until_line("what was done", |line| {
            line.identifier == "portclear" && line.message.contains("process") && !line.message.contains("×")
        });
        let lines = self.unit.journal_of("portclear");
        assert!(lines.iter().all(|line| line.priority == 5), "{lines:#?}");
        lines.iter().map(|line| format!("{}\n", line.message)).collect()
    }
}

/// The line without pids, runs, times, sizes and folders. Counts stay.
fn masked(line: &str) -> String {
    let mut words = line.split(' ').peekable();
    let mut masked = Vec::new();
    while let Some(word) = words.next() {
        // A user's manager has another command than the page shows.
        if word == "as" && words.next_if_eq(&"uid").is_some() {
            words.next();
            continue;
        }
        masked.push(word);
        match word.trim_start_matches('(') {
            "`systemctl" => drop(words.next_if_eq(&"--user")),
            "pid" => masked.extend(words.next().map(|_| "#,")),
            "run" if words.peek().is_some_and(|run| run.len() == 33) => masked.extend(words.next().map(|_| "#,")),
            "exe" => masked.extend(words.next().and_then(|path| path.rsplit('/').next())),
            "pids" => while words.next_if(|pid| pid.starts_with(|c: char| c.is_ascii_digit())).is_some() {},
            "age" | "after" => while words.next().is_some_and(|word| !word.ends_with([',', ')', ':'])) {},
            _ if words.peek().is_some_and(|next| next.starts_with("MiB")) => {
                masked.pop();
            }
            _ => {}
        }
    }
    masked.join(" ")
}
