//! A unit, and what it left in the journal.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use procfs::process::Process;
use serde_json::Value;

use super::fixture::Fixture;
use super::run::Run;
use super::sd::{Manager, Sd};
use super::wait::until;

/// [`Sd::unit`], [`Sd::named`] and [`Sd::transient`] make it.
pub(crate) struct Unit<'a> {
    pub(super) sd: &'a Sd,
    pub(super) name: String,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// 0 (emergency) to 7 (debug).
    pub(crate) priority: u8,
    /// The file name of the program. The manager's own lines have `systemd`.
    pub(crate) identifier: String,
    /// The inner pid.
    pub(crate) pid: u32,
    pub(crate) message: String,
}

impl Unit<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `gw@.service` and "work": `gw@work.service`.
    pub(crate) fn instance(&self, instance: &str) -> Self {
        self.sd.named_exactly(&self.name.replacen('@', &format!("@{instance}"), 1))
    }

    /// Writes its file anew and loads it.
    #[track_caller]
    pub(crate) fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("a unit file");
        self.sd.systemctl(&["daemon-reload"]).succeeded();
    }

    /// `drop_in("50-x.conf", "[Service]\n…")`
    #[track_caller]
    pub(crate) fn drop_in(&self, name: &str, text: &str) {
        let folder = self.sd.unit_folder().join(format!("{}.d", self.name));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), text).expect("a drop-in");
        self.sd.systemctl(&["daemon-reload"]).succeeded();
    }

    /// Removes its file. What runs goes on.
    #[track_caller]
    pub(crate) fn remove(&self) {
        fs::remove_file(self.file()).expect("a unit file");
        self.sd.systemctl(&["daemon-reload"]).succeeded();
    }

    #[track_caller]
    pub(crate) fn start(&self) {
        self.try_start().succeeded();
    }

    /// Starts it. The start may fail.
    #[track_caller]
    pub(crate) fn try_start(&self) -> Run {
        self.sd.systemctl(&["start", &self.name])
    }

    #[track_caller]
    pub(crate) fn restart(&self) {
        self.sd.systemctl(&["restart", &self.name]).succeeded();
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        self.sd.systemctl(&["stop", &self.name]).succeeded();
    }

    /// Begins a stop, and does not wait for its end.
    #[track_caller]
    pub(crate) fn begin_stop(&self) {
        self.sd.systemctl(&["stop", "--no-block", &self.name]).succeeded();
    }

    /// A property: `MainPID`, `NRestarts`, `Result`, `ActiveState`.
    #[track_caller]
    pub(crate) fn show(&self, property: &str) -> String {
        let run = self.sd.systemctl(&["show", "--value", "--property", property, &self.name]);
        run.succeeded();
        run.stdout.trim_end().to_owned()
    }

    /// The inner pid. 0: there is none.
    #[track_caller]
    pub(crate) fn main_pid(&self) -> u32 {
        self.show("MainPID").parse().expect("a pid")
    }

    #[track_caller]
    pub(crate) fn until_state(&self, state: &str) {
        until(&format!("{} is {state}", self.name), || self.show("ActiveState") == state);
    }

    /// The run that systemd's own record names.
    pub(crate) fn invocation(&self) -> Option<String> {
        let link = format!("{}/systemd/units/invocation:{}", self.sd.runtime_directory(), self.name);
        Some(fs::read_link(self.sd.path(&link)).ok()?.to_str()?.to_owned())
    }

    /// The inner pids of all processes in its cgroup, even after its end.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let group = self.show("ControlGroup");
        if group.is_empty() {
            return Vec::new();
        }
        let file = self.sd.path(&format!("/sys/fs/cgroup{group}/cgroup.procs"));
        // Each reader of this file sees the pids of his own namespace.
        let outer = fs::read_to_string(file).unwrap_or_default();
        let inner = |outer: &str| Process::new(outer.parse().ok()?).ok()?.status().ok()?.nspid?.pop();
        outer.lines().filter_map(inner).filter_map(|pid| pid.try_into().ok()).collect()
    }

    /// All lines so far, the unit's own and the manager's about it. A line that was just written may not be there
    /// yet: see [`Unit::until_line`].
    #[track_caller]
    pub(crate) fn journal(&self) -> Vec<Line> {
        self.sd.enter_as(0, &["journalctl", "--sync"]).succeeded();
        let mut matches = self.sd.journal_matches(&self.name).to_vec();
        let mut entries = self.entries(&matches);
        if self.sd.manager() == Manager::User {
            // Processes that were forked for the unit: the journal takes one that has just started for a part of the
            // manager, and knows no unit of one that has ended.
            let forked: HashSet<u32> = entries.iter().filter_map(forked).collect();
            matches.extend(forked.iter().flat_map(|pid| ["+".to_owned(), format!("_PID={pid}")]));
            entries = self.entries(&matches);
        }
        let own = |entry: &Value| {
            let units = ["_SYSTEMD_USER_UNIT", "USER_UNIT", "_SYSTEMD_UNIT", "UNIT"];
            let mut units = units.iter().filter_map(|key| entry[*key].as_str());
            let assigned = entry["_SYSTEMD_USER_UNIT"].as_str();
            units.any(|unit| unit == self.name) || assigned.is_none_or(|unit| unit == "init.scope")
        };
        let lines = entries.iter().filter(|entry| own(entry)).map(line);
        // The manager, and its child before that is the program, say these at debug level only.
        lines.filter(|line| line.priority < 7 || !is_manager(&line.identifier)).collect()
    }

    fn entries(&self, matches: &[String]) -> Vec<Value> {
        let words = ["journalctl", "--output=json", "--all"].map(str::to_owned);
        let run = self.sd.enter_as(0, &[&words, matches].concat());
        run.succeeded();
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The lines of a program with this name.
    #[track_caller]
    pub(crate) fn journal_of(&self, identifier: &str) -> Vec<Line> {
        self.journal().into_iter().filter(|line| line.identifier == identifier).collect()
    }

    /// Waits for a line. Gives the first one.
    #[track_caller]
    pub(crate) fn until_line(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        let mut found = None;
        until(&format!("a line in the journal of {}: {what}", self.name), || {
            found = self.journal().into_iter().find(&wanted);
            found.is_some()
        });
        found.unwrap()
    }

    /// The signals that a fixture with this inner pid got, as in [`super::Fixture::signals`].
    #[track_caller]
    pub(crate) fn signals_of(&self, pid: u32) -> Vec<String> {
        self.sd.enter_as(0, &["journalctl", "--sync"]).succeeded();
        // It searches the whole journal: the journal may know no unit of a process that ended at once.
        let entries = self.entries(&["PRIORITY=6".to_owned()]);
        let lines = entries.iter().map(line);
        let said = lines.filter_map(|line| serde_json::from_str::<Value>(&line.message).ok());
        let mine = said.filter(|said| said["pid"] == pid);
        mine.filter_map(|said| Some(said["signal"].as_str()?.to_owned())).collect()
    }

    fn file(&self) -> PathBuf {
        self.sd.unit_folder().join(&self.name)
    }
}

fn is_manager(identifier: &str) -> bool {
    identifier == "systemd" || identifier.starts_with('(')
}

/// "gw.service: Forked /usr/bin/x as 123"
fn forked(entry: &Value) -> Option<u32> {
    let (_, forked) = entry["MESSAGE"].as_str()?.split_once(": Forked ")?;
    let digits = forked.rsplit_once(" as ")?.1.split(' ').next()?;
    digits.parse().ok()
}

#[track_caller]
fn line(entry: &Value) -> Line {
    let text = |key: &str| match &entry[key] {
        Value::String(text) => text.clone(),
        // The journal gives a message that is not plain text as a list of bytes.
        Value::Array(bytes) => {
            let bytes = bytes.iter().filter_map(|byte| byte.as_u64()?.try_into().ok()).collect();
            String::from_utf8(bytes).expect("UTF-8")
        }
        _ => String::new(),
    };
    Line {
        priority: text("PRIORITY").parse().expect("a priority"),
        identifier: text("SYSLOG_IDENTIFIER"),
        pid: text("_PID").parse().unwrap_or_default(),
        message: text("MESSAGE"),
    }
}

/// [`Sd::bystander`] makes it.
pub(crate) struct UnitBystander<'a> {
    unit: Unit<'a>,
    port: u16,
    pid: u32,
    _files: super::Installed,
}

impl<'a> UnitBystander<'a> {
    #[track_caller]
    pub(super) fn start(sd: &'a Sd) -> Self {
        let port = sd.port();
        let files = sd.install(Fixture::other(&format!("127.0.0.1:{port}")));
        let unit = sd.unit("bystander.service", &format!("[Service]\n{files}"));
        unit.start();
        let pid = unit.main_pid();
        Self { unit, port, pid, _files: files }
    }

    /// It is the same process, has got no signal, and serves.
    #[track_caller]
    pub(crate) fn answers(&self) {
        assert_eq!(self.unit.sd.until_answers(self.port), self.pid, "somebody else answers");
        assert_eq!(self.unit.show("NRestarts"), "0", "the bystander was restarted");
        assert_eq!(self.unit.signals_of(self.pid), [""; 0], "the bystander was signalled");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The inner pid.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn unit(&self) -> &Unit<'a> {
        &self.unit
    }
}
