//! What is seen of one tool in one scene, and how the table says it.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::tools::Tool;
use crate::support::*;

/// How a process fared.
#[derive(Debug)]
pub(super) enum Fate {
    Unsignalled,
    /// It lives, and got these.
    Signalled(Vec<String>),
    /// It got these, and it ended as the wait status says.
    Ended(Vec<String>, i32),
}

/// A row of the table.
pub(super) struct Scene {
    pub(super) title: &'static str,
    /// A cell for each tool.
    pub(super) cells: Vec<String>,
    /// What each has said.
    pub(super) said: Vec<String>,
}

/// A run of a tool.
pub(super) struct Call {
    pub(super) has_status: bool,
    pub(super) status: i32,
    pub(super) free: bool,
    pub(super) took: Duration,
    pub(super) said: String,
}

/// After a tool has returned, what it has asked to end may take its time.
const AFTER: Duration = Duration::from_secs(4);

impl Call {
    /// Runs it in the test's network, as this user.
    pub(super) fn new(tool: &Tool, uid: u32, home: &Path) -> Self {
        let uid = format!("--reuid={uid}");
        let mut command = Command::new("timeout");
        command.args(["60", "setpriv", &uid, "--clear-groups", "--"]).args(&tool.argv);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home).stdin(Stdio::null());
        let start = Instant::now();
        let output = command.output().expect("timeout");
        let (took, free) = (start.elapsed(), can_bind(GATEWAY));
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let status = output.status.code().expect("an exit status");
        Self { has_status: tool.has_status, status, free, took, said: one_line(&text) }
    }

    /// A cell: the fate, the port when the tool has returned, and whether its status tells that.
    pub(super) fn cell(&self, fate: &str) -> String {
        let port = if self.free { "port free" } else { "port held" };
        let status = match (self.has_status, self.status, self.free) {
            (false, ..) => "no status".to_owned(),
            (true, 0, false) => "**exit 0**".to_owned(),
            (true, status, _) => format!("exit {status}"),
        };
        format!("{fate}<br>{port}, {status}<br>{:.1} s", self.took.as_secs_f64())
    }
}

pub(super) fn one_line(text: &str) -> String {
    // fuser says this of each descriptor that it may not read, to root as well.
    let lines = text.lines().filter(|line| !line.contains("Cannot stat file"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

impl Fate {
    pub(super) fn of(fixture: &Fixture) -> Self {
        match Self::of_process(fixture.process()) {
            Self::Ended(_, status) => Self::Ended(fixture.signals(), status),
            _ if fixture.signals().is_empty() => Self::Unsignalled,
            _ => Self::Signalled(fixture.signals()),
        }
    }

    /// Of one that does not report its signals.
    pub(super) fn of_process(process: &Proc) -> Self {
        if process.ends_within(AFTER) {
            // It is a zombie as long as the test holds it.
            return Self::Ended(Vec::new(), process.stat().exit_code.unwrap_or_default());
        }
        Self::Unsignalled
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Unsignalled => "left alone".to_owned(),
            Self::Signalled(signals) => format!("lives after {}", list(signals)),
            Self::Ended(signals, status) => {
                let mut signals = signals.clone();
                // The wait status of one that a signal has ended.
                match status & 0x7f {
                    9 => signals.push("KILL".to_owned()),
                    15 => signals.push("TERM".to_owned()),
                    _ => {}
                }
                match signals.is_empty() {
                    true => format!("ended: its own exit {}", status >> 8),
                    false => format!("ended: {}", list(&signals)),
                }
            }
        }
    }
}

fn list(signals: &[String]) -> String {
    let mut text = String::new();
    for (at, signal) in signals.iter().enumerate() {
        let _ = write!(text, "{}SIG{signal}", if at > 0 { ", " } else { "" });
    }
    text
}
