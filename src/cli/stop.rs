//! Which settings of a stop a drop-in has: only what the unit lacks, and no stop gets shorter.

use std::time::Duration;

use portclear::Service;
use portclear::report::escape;

use crate::cli::loaded::{Loaded, span};

/// The default of DefaultTimeoutStopSec (systemd-system.conf(5)).
const DEFAULT_STOP: Duration = Duration::from_secs(90);

/// The units that OpenClaw installs, under its three names.
const GATEWAYS: [&str; 3] = ["openclaw-gateway", "clawdbot-gateway", "moltbot-gateway"];

const MIXED: &str = "\
At a stop, systemd sends SIGTERM to the main process alone, so that it can finish its work. Then it sends SIGKILL
# to the rest of the run. KillMode=process leaves that rest behind: orphans that hold the port, and their memory.
# If ExecStart= is a shell script, the script must start the server with exec. Else the shell is the main process.";

const TIMEOUT: &str = "TimeoutStopSec";

/// What becomes of one setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    key: &'static str,
    /// `None`: the drop-in leaves it out.
    pub(crate) value: Option<String>,
    /// The comment about it.
    comment: String,
    /// What the person is told beside.
    pub(crate) note: Option<String>,
}

impl Setting {
    /// Its lines in the drop-in.
    pub(crate) fn lines(&self) -> String {
        let line = self.value.as_ref().map(|value| format!("{}={value}\n", self.key)).unwrap_or_default();
        format!("# {}\n{line}", self.comment)
    }

    fn kept(key: &'static str, loaded: &str, why: &str) -> Self {
        let kept = format!("{key}={} is kept: {why}", escape(loaded.as_bytes()));
        Self { key, value: None, comment: format!("{kept}."), note: Some(kept) }
    }
}

/// Its name is one that OpenClaw gives to a unit.
pub(crate) fn is_gateway(unit: &str) -> bool {
    GATEWAYS.iter().any(|name| unit.starts_with(name))
}

/// `None`: no file of the unit was found.
pub(crate) fn settings(unit: &str, loaded: Option<&Loaded>) -> [Setting; 3] {
    let nothing = Loaded::default();
    let found = loaded.unwrap_or(&nothing);
    [kill_mode(found), stop_timeout(unit, found, loaded.is_some()), success(found)]
}

fn kill_mode(loaded: &Loaded) -> Setting {
    let key = "KillMode";
    let [own, all] = [&loaded.own, &loaded.all].map(|settings| settings.get(key));
    let leaves_behind = |mode: Option<&str>| matches!(mode, Some("process" | "none"));
    let lacks = |mode: Option<&str>| mode.is_none() || leaves_behind(mode);
    match own {
        Some(mode) if !lacks(own) && !lacks(all) => Setting::kept(key, mode, "it leaves nothing behind"),
        _ => Setting {
            key,
            value: Some("mixed".to_owned()),
            comment: MIXED.to_owned(),
            note: all.filter(|_| leaves_behind(all)).map(|mode| {
                format!("it is loaded with KillMode={mode}, which leaves orphans behind; the drop-in sets mixed")
            }),
        },
    }
}

/// Never shorter than it is. `found`: the unit's files are known.
fn stop_timeout(unit: &str, loaded: &Loaded, found: bool) -> Setting {
    let times = Times::of(loaded);
    let is_gateway = is_gateway(unit);
    match (times.missing(is_gateway), times.own) {
        (Some(value), _) => times.written(value, is_gateway, found),
        (None, Some(text)) => {
            let kept = Setting::kept(TIMEOUT, text, "no stop gets shorter");
            Setting { note: times.shortened().or(kept.note), ..kept }
        }
        (None, None) => {
            let default = times.default.map_or_else(|| "usually 90 s".to_owned(), |text| escape(text.as_bytes()));
            let comment = format!("{TIMEOUT} stays at the manager's default ({default}): no stop gets shorter.");
            Setting { key: TIMEOUT, value: None, comment, note: times.shortened() }
        }
    }
}

/// How long a stop may take.
struct Times<'a> {
    own: Option<&'a str>,
    all: Option<&'a str>,
    default: Option<&'a str>,
}

impl<'a> Times<'a> {
    fn of(loaded: &'a Loaded) -> Self {
        let [own, all] = [&loaded.own, &loaded.all].map(|settings| settings.get(TIMEOUT));
        Self { own, all, default: loaded.default_stop.as_deref() }
    }

    /// What is not understood is not shortened either.
    fn length(&self, text: Option<&str>) -> Duration {
        text.or(self.default).map_or(DEFAULT_STOP, |text| span(text).unwrap_or(Duration::MAX))
    }

    /// The value that the unit lacks.
    fn missing(&self, is_gateway: bool) -> Option<String> {
        let [own, all] = [self.own, self.all].map(|text| self.length(text));
        // The drop-in in whose place this one stands may have lengthened it.
        let earlier = self.all.filter(|_| all > own).map(|text| (all, text.to_owned()));
        let drain = is_gateway.then(|| (Service::OPENCLAW_DRAIN, Service::OPENCLAW_DRAIN.as_secs().to_string()));
        let (wanted, value) = earlier.into_iter().chain(drain).max()?;
        (own.min(all) < wanted).then_some(value)
    }

    fn written(&self, value: String, is_gateway: bool, found: bool) -> Setting {
        let busy = if is_gateway { ": a busy gateway needs up to 315 s" } else { "" };
        let unknown =
            "\n# portclear found no file of the unit here. If the unit has a longer time, leave this line out.";
        let comment = format!("How long a stop may take{busy}.{}", if found { "" } else { unknown });
        let shorter = self.all.filter(|_| is_gateway && self.length(self.all) < Service::OPENCLAW_DRAIN);
        let note = shorter.map(|text| {
            let text = escape(text.as_bytes());
            format!("it is loaded with {TIMEOUT}={text}, too short for a busy gateway; the drop-in sets {value}")
        });
        Setting { key: TIMEOUT, value: Some(value), comment, note }
    }

    fn shortened(&self) -> Option<String> {
        let text = self.all.filter(|_| self.length(self.all) < self.length(self.own))?;
        let text = escape(text.as_bytes());
        Some(format!(
            "an earlier drop-in for portclear sets {TIMEOUT}={text}, which is shorter; replace that drop-in with this one"
        ))
    }
}

fn success(loaded: &Loaded) -> Setting {
    let key = "SuccessExitStatus";
    let [own, all] = [&loaded.own, &loaded.all].map(|settings| settings.get(key).unwrap_or_default());
    let has = |list: &str| list.split_whitespace().any(|status| status == "143");
    if has(own) && has(all) {
        return Setting::kept(key, own, "it has 143, the status of a process that SIGTERM ended");
    }
    let others =
        if own.is_empty() { String::new() } else { format!(" {} stays: the list adds up.", escape(own.as_bytes())) };
    let comment = format!("143: SIGTERM ended the process. After a stop that is no failure.{others}");
    Setting { key, value: Some("143".to_owned()), comment, note: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::loaded::Settings;

    /// The lines of the drop-in, and how many notes there are, for what the unit has of its own and by a drop-in that
    /// calls portclear.
    fn of(unit: &str, own: &str, hook: &str) -> (Vec<String>, usize) {
        let all = Settings::of(&format!("{own}\n{hook}"));
        let loaded = Loaded { own: Settings::of(own), all, default_stop: None };
        let settings = settings(unit, Some(&loaded));
        for setting in &settings {
            assert!(setting.lines().starts_with("# "), "{setting:?}");
        }
        let written = settings.iter().filter_map(|one| Some(format!("{}={}", one.key, one.value.as_ref()?)));
        (written.collect(), settings.iter().filter(|one| one.note.is_some()).count())
    }

    #[test]
    fn a_drop_in_has_what_the_unit_lacks_and_shortens_nothing() {
        let (mixed, drain, success) = ("KillMode=mixed", "TimeoutStopSec=330", "SuccessExitStatus=143");
        let whole = "KillMode=mixed\nTimeoutStopSec=330\nSuccessExitStatus=0 143";
        let old = "KillMode=mixed\nTimeoutStopSec=30\nSuccessExitStatus=0 143";
        // unit, its own settings, those of an earlier drop-in → the drop-in's, and how many notes
        let table: [(&str, &str, &str, &[&str], usize); 24] = [
            ("gw", "", "", &[mixed, success], 0),
            ("openclaw-gateway", "", "", &[mixed, drain, success], 0),
            ("openclaw-gateway-work", "", "", &[mixed, drain, success], 0),
            ("clawdbot-gateway@a", "", "", &[mixed, drain, success], 0),
            ("moltbot-gateway", "", "", &[mixed, drain, success], 0),
            ("my-openclaw-gateway", "", "", &[mixed, success], 0),
            // All is there.
            ("openclaw-gateway", whole, "", &[], 3),
            ("gw", whole, "", &[], 3),
            // How a stop ends it.
            ("gw", "KillMode=process", "", &[mixed, success], 1),
            ("gw", "KillMode=none", "", &[mixed, success], 1),
            ("gw", "KillMode=control-group", "", &[success], 1),
            // How long it takes.
            ("gw", "TimeoutStopSec=5", "", &[mixed, success], 1),
            ("openclaw-gateway", "TimeoutStopSec=5", "", &[mixed, drain, success], 1),
            ("openclaw-gateway", "TimeoutSec=5min 30s", "", &[mixed, success], 1),
            ("openclaw-gateway", "TimeoutStopSec=infinity", "", &[mixed, success], 1),
            ("openclaw-gateway", "TimeoutStopSec=0", "", &[mixed, success], 1),
            ("openclaw-gateway", "TimeoutStopSec=1.5h", "", &[mixed, success], 1),
            // The list adds up.
            ("gw", "SuccessExitStatus=75", "", &[mixed, success], 0),
            ("gw", "SuccessExitStatus=75\nSuccessExitStatus=143", "", &[mixed], 1),
            // What the earlier drop-in had of its own, and this one replaces.
            ("gw", "KillMode=process", old, &[mixed, success], 1),
            ("openclaw-gateway", whole, "TimeoutStopSec=30", &[drain], 3),
            (
                "openclaw-gateway",
                "TimeoutStopSec=330",
                "TimeoutStopSec=600",
                &[mixed, "TimeoutStopSec=600", success],
                0,
            ),
            ("gw", "TimeoutStopSec=5", "TimeoutStopSec=600", &[mixed, "TimeoutStopSec=600", success], 0),
            ("gw", "TimeoutStopSec=40", "TimeoutStopSec=30", &[mixed, success], 1),
        ];
        for (unit, own, hook, lines, notes) in table {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(of(&format!("{unit}.service"), own, hook), (lines, notes), "{unit} {own:?} {hook:?}");
        }
    }

    #[test]
    fn a_manager_that_gives_more_time_is_not_overruled() {
        let table = [(None, true), (Some("45s"), true), (Some("10min"), false), (Some("infinity"), false)];
        for (default, written) in table {
            let loaded = Loaded { default_stop: default.map(str::to_owned), ..Loaded::default() };
            let [_, stop, _] = settings("openclaw-gateway.service", Some(&loaded));
            assert_eq!(stop.value.is_some(), written, "{default:?}: {stop:?}");
        }
    }

    #[test]
    fn a_unit_that_was_not_found_is_said_to_be() {
        let told = |unit| settings(unit, None).iter().any(|one| one.lines().contains("found no file of the unit"));
        assert_eq!(["openclaw-gateway.service", "gw.service"].map(told), [true, false]);
        assert!(settings("openclaw-gateway.service", None).iter().all(|setting| setting.note.is_none()));
    }
}
