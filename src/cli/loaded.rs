//! The settings that a unit is loaded with, as far as its files tell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const SERVICE: &str = "[Service]";

/// The [Service] settings of a unit.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// All that it is loaded with.
    pub(crate) all: Settings,
    /// The same without drop-ins that call portclear: a new one stands in their place.
    pub(crate) own: Settings,
    /// The manager's DefaultTimeoutStopSec, where its files have one.
    pub(crate) default_stop: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// A user's unit and a system unit may have the same name. The user's is the likelier one. `None`: no file was found.
pub(crate) fn loaded(unit: &str) -> Option<Loaded> {
    let of = |folders: Vec<PathBuf>, manager| {
        let loaded = loaded_from(&folders, unit)?;
        Some(Loaded { default_stop: default_stop(&manager_folders(manager == "user.conf"), manager), ..loaded })
    };
    of(user_folders(), "user.conf").or_else(|| of(system_folders(), "system.conf"))
}

fn user_folders() -> Vec<PathBuf> {
    let home = |path: &str| variable("HOME").map(|home| home.join(path));
    let fixed = |path: &str| Some(PathBuf::from(path));
    let config = user_config();
    let data = variable("XDG_DATA_HOME").or_else(|| home(".local/share"));
    let runtime = variable("XDG_RUNTIME_DIR");
    let all = [config, fixed("/etc"), runtime, fixed("/run"), data, fixed("/usr/local/lib"), fixed("/usr/lib")];
    all.into_iter().flatten().map(|folder| folder.join("systemd/user")).collect()
}

/// An empty variable counts as unset (XDG Base Directory Specification).
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn user_config() -> Option<PathBuf> {
    variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")))
}

fn system_folders() -> Vec<PathBuf> {
    let folders = [
        "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/etc/systemd/system",
        "/run/systemd/system", "/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ];
    folders.map(PathBuf::from).to_vec()
}

/// Of systemd-system.conf(5). A user's manager also has a file of its user.
fn manager_folders(is_user: bool) -> Vec<PathBuf> {
    let of_user = user_config().filter(|_| is_user).map(|config| config.join("systemd"));
    let all = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];
    of_user.into_iter().chain(all.map(PathBuf::from)).collect()
}

fn default_stop(folders: &[PathBuf], file: &str) -> Option<String> {
    let Files { fragment, dropins } = Files::read(folders, &[file.to_owned()], &[file.to_owned()]);
    let lines = fragment.iter().chain(&dropins).flat_map(|text| lines(text, "[Manager]"));
    lines.rev().find(|(key, value)| key == "DefaultTimeoutStopSec" && !value.is_empty()).map(|(_, value)| value)
}

fn loaded_from(folders: &[PathBuf], unit: &str) -> Option<Loaded> {
    let names = names(unit);
    let places: Vec<String> = names.iter().cloned().chain(prefixes(unit)).chain(["service".to_owned()]).collect();
    let Files { fragment, dropins } = Files::read(folders, &names, &places);
    let fragment = fragment?;
    let mut loaded = Loaded::default();
    read_into(&mut loaded.all, &fragment);
    read_into(&mut loaded.own, &fragment);
    for text in dropins {
        read_into(&mut loaded.all, &text);
        if !calls_portclear(&text) {
            read_into(&mut loaded.own, &text);
        }
    }
    Some(loaded)
}

/// The texts that a unit or a manager is loaded from.
struct Files {
    fragment: Option<String>,
    dropins: Vec<String>,
}

impl Files {
    /// The first fragment found, and the drop-ins by name. Of two drop-ins with one name, the first found counts
    /// (systemd.unit(5)).
    fn read(folders: &[PathBuf], names: &[String], places: &[String]) -> Self {
        let below = |name: &str| -> Vec<PathBuf> { folders.iter().map(|folder| folder.join(name)).collect() };
        let fragment = names.iter().flat_map(|name| below(name)).find_map(|path| fs::read_to_string(path).ok());
        let mut dropins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
        for folder in places.iter().flat_map(|name| below(&format!("{name}.d"))) {
            for file in fs::read_dir(folder).into_iter().flatten().flatten() {
                if file.path().extension().is_some_and(|extension| extension == "conf") {
                    dropins.entry(file.file_name()).or_insert_with(|| file.path());
                }
            }
        }
        Self { fragment, dropins: dropins.values().filter_map(|path| fs::read_to_string(path).ok()).collect() }
    }
}

/// An instance of a template is looked up under its own name, then under its template's.
fn names(unit: &str) -> Vec<String> {
    let template = unit.split_once('@').map(|(template, _)| format!("{template}@.service"));
    std::iter::once(unit.to_owned()).chain(template.filter(|template| template != unit)).collect()
}

/// `a-b-c.service` also has the drop-ins of `a-b-.service` and `a-.service`.
fn prefixes(unit: &str) -> Vec<String> {
    let stem = unit.strip_suffix(".service").unwrap_or(unit);
    let dashes = stem.match_indices('-').filter_map(|(at, _)| stem.get(..=at));
    dashes.map(|prefix| format!("{prefix}.service")).rev().collect()
}

/// The lines of one kind of its sections, as key and value.
fn lines(text: &str, wanted: &str) -> Vec<(String, String)> {
    let text = text.replace("\\\n", " ");
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=')
            && section == wanted
        {
            lines.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    lines
}

fn calls_portclear(text: &str) -> bool {
    let is_hook = |key: &str| matches!(key, "ExecStartPre" | "ExecCondition");
    lines(text, SERVICE).iter().any(|(key, value)| is_hook(key) && value.contains("portclear"))
}

fn read_into(settings: &mut Settings, text: &str) {
    for (key, value) in lines(text, SERVICE) {
        let keys: &[&str] = match key.as_str() {
            // One for both.
            "TimeoutSec" => &["TimeoutStartSec", "TimeoutStopSec"],
            key => &[key],
        };
        for key in keys {
            // A list adds up. Of other settings the last line counts. An empty line takes back those before it, but for
            // a time: there systemd ignores it.
            match *key {
                "SuccessExitStatus" if !value.is_empty() => {
                    let list = settings.0.entry((*key).to_owned()).or_default();
                    *list = format!("{list} {value}").trim_start().to_owned();
                }
                key if value.is_empty() && key.starts_with("Timeout") => {}
                key if value.is_empty() => drop(settings.0.remove(key)),
                _ => drop(settings.0.insert((*key).to_owned(), value.clone())),
            }
        }
    }
}

/// A time span of systemd (systemd.time(7)): a number without a unit is seconds. `None`: no limit, or not
/// understood.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let is_number = |word: &str| word.parse::<u64>().is_ok();
    let mut words = text.split_whitespace().peekable();
    let mut span = String::new();
    while let Some(word) = words.next() {
        // The unit may stand apart from its number.
        let unit = if !is_number(word) {
            ""
        } else {
            words.next_if(|next| next.starts_with(|c: char| c.is_alphabetic())).unwrap_or("s")
        };
        span.push_str(&format!("{word}{unit} "));
    }
    humantime::parse_duration(span.trim_end()).ok().filter(|span| !span.is_zero())
}

#[cfg(test)]
impl Settings {
    /// Those of a [Service] section with these lines.
    pub(crate) fn of(lines: &str) -> Self {
        let mut settings = Self::default();
        read_into(&mut settings, &format!("[Service]\n{lines}\n"));
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_systemd() {
        let table = [
            ("5", Some(5)),
            ("5s 3", Some(8)),
            ("1min 30s", Some(90)),
            ("30 s", Some(30)),
            ("1 min 5", Some(65)),
            ("0", None),
            ("infinity", None),
        ];
        for (text, seconds) in table {
            assert_eq!(span(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn the_last_line_counts_and_a_list_adds_up() {
        let table = [
            ("KillMode=process\nKillMode=mixed", "KillMode", Some("mixed")),
            ("KillMode=process\nKillMode=", "KillMode", None),
            ("TimeoutStopSec=330\nTimeoutStopSec=", "TimeoutStopSec", Some("330")),
            ("#KillMode=process\n; KillMode=none", "KillMode", None),
            ("TimeoutSec=5", "TimeoutStopSec", Some("5")),
            ("TimeoutStopSec = 330\nTimeoutStartSec=30", "TimeoutStopSec", Some("330")),
            ("SuccessExitStatus=0 143\nSuccessExitStatus=75", "SuccessExitStatus", Some("0 143 75")),
            ("SuccessExitStatus=0 143\nSuccessExitStatus=\nSuccessExitStatus=75", "SuccessExitStatus", Some("75")),
            ("SuccessExitStatus=0 \\\n143", "SuccessExitStatus", Some("0  143")),
            ("[Unit]\nKillMode=process", "KillMode", None),
        ];
        for (text, key, value) in table {
            assert_eq!(Settings::of(text).get(key), value, "{text:?}");
        }
    }

    #[test]
    fn the_managers_default_is_read() {
        let top = tempfile::tempdir().unwrap();
        let folders = [top.path().join("etc"), top.path().join("usr")];
        let write = |path: &str, text: &str| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("[Manager]\n{text}\n")).unwrap();
        };
        let of = || default_stop(&folders, "system.conf");
        assert_eq!(of(), None);
        write("usr/system.conf.d/10.conf", "DefaultTimeoutStopSec=20min");
        assert_eq!(of().as_deref(), Some("20min"));
        write("etc/system.conf", "DefaultTimeoutStopSec=45s\n#DefaultTimeoutStopSec=1");
        assert_eq!(of().as_deref(), Some("20min"));
        write("etc/system.conf.d/10.conf", "DefaultTimeoutStopSec=");
        assert_eq!(of().as_deref(), Some("45s"));
        write("etc/user.conf", "DefaultTimeoutStopSec=1");
        assert_eq!(of().as_deref(), Some("45s"));
    }

    #[test]
    fn the_loaded_settings_are_those_of_fragment_and_drop_ins() {
        let top = tempfile::tempdir().unwrap();
        let folders = [top.path().join("etc"), top.path().join("usr")];
        let write = |path: &str, text: &str| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let of = |unit: &str| {
            let loaded = loaded_from(&folders, unit).unwrap_or_default();
            let get = |settings: &Settings, key: &str| settings.get(key).unwrap_or("-").to_owned();
            [&loaded.all, &loaded.own].map(|settings| ["KillMode", "TimeoutStopSec"].map(|key| get(settings, key)))
        };
        let both = |values: [&str; 2]| [values.map(str::to_owned), values.map(str::to_owned)];
        write("usr/gw@.service", "[Unit]\nKillMode=unit\n[Service]\nKillMode = process\nTimeoutStopSec=5\n");
        assert_eq!(of("gw@a.service"), both(["process", "5"]));
        write("usr/gw@.service.d/50.conf", "[Service]\nTimeoutStopSec=6\n");
        assert_eq!(of("gw@a.service"), both(["process", "6"]));
        write("etc/gw@a.service.d/60.conf", "[Service]\nKillMode=mixed\nTimeoutStopSec=7\n");
        assert_eq!(of("gw@a.service"), both(["mixed", "7"]));
        // The same name hides the one below.
        write("etc/gw@a.service.d/50.conf", "[Service]\nKillMode=control-group\n");
        write("etc/gw@a.service.d/60.conf", "");
        assert_eq!(of("gw@a.service"), both(["control-group", "5"]));
        assert!(loaded_from(&folders, "none.service").is_none());
        write("usr/a-b-c.service", "[Service]\n");
        write("usr/a-.service.d/1.conf", "[Service]\nKillMode=none\n");
        write("usr/a-b-.service.d/2.conf", "[Service]\nTimeoutSec=8\n");
        assert_eq!(of("a-b-c.service"), both(["none", "8"]));
        // A drop-in that this one will replace.
        write(
            "etc/a-b-c.service.d/3.conf",
            "[Service]\nExecStartPre=-/opt/portclear 1\nKillMode=mixed\nTimeoutSec=30\n",
        );
        let [all, own] = of("a-b-c.service");
        assert_eq!((all, own), (["mixed", "30"].map(str::to_owned), ["none", "8"].map(str::to_owned)));
    }
}
