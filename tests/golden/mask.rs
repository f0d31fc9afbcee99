//! What differs from run to run, taken out of what the program prints. All else stays byte for byte as it was,
//! the order of the fields, too.

use std::cell::RefCell;
use std::{env, process};

use super::document::{TESTS, exe, laid_out, with_sorted_twins, without_ancestors};

/// Pids become P1, P2, …, inodes I1, …, runs R1, … and temporary folders D1, … in the order in which one document
/// or one text names them; moments, times and sizes become `#`.
#[derive(Default)]
pub(super) struct Mask {
    /// What the scene calls otherwise each time, and what it is called in the file.
    pub(super) words: Vec<(String, String)>,
    /// It is told among its own processes alone. Elsewhere the machine has others, some of which cannot be read.
    pub(super) inside: bool,
}

/// The names that were given so far.
#[derive(Default)]
struct Names {
    pids: RefCell<Vec<String>>,
    inodes: RefCell<Vec<String>>,
    runs: RefCell<Vec<String>>,
    folders: RefCell<Vec<String>>,
    /// This process, where the scene's are below it.
    tests: Option<String>,
    inside: bool,
}

impl Mask {
    /// A document, with a line for each field.
    pub(super) fn document(&self, printed: &str) -> String {
        let cut = without_ancestors(&laid_out(&self.worded(printed)));
        let tests = cut.contains(TESTS).then(|| process::id().to_string());
        let names = Names { tests, inside: self.inside, ..Names::default() };
        let masked: String = cut.lines().map(|line| names.field(line) + "\n").collect();
        with_sorted_twins(&masked)
    }

    /// What is said without `--json`.
    pub(super) fn text(&self, printed: &str) -> String {
        let names = Names::default();
        let (_, exe) = exe();
        let ancestors = format!("{exe}({}) → ", process::id());
        let mut text = String::new();
        for line in self.worded(printed).lines() {
            let mut line = line.to_owned();
            // The parents stand between two facts.
            if let Some((before, rest)) = line.split_once("; lineage: ") {
                let (parents, after) = rest.split_once("; ").unwrap_or((rest, ""));
                let below = parents.split_once(&ancestors).map(|(_, below)| format!("{TESTS} → {below}"));
                let parents = below.unwrap_or_else(|| parents.to_owned());
                let parents = behind(&parents, "(", |c| c.is_ascii_digit(), |pid| names.pid(pid));
                line = format!("{before}; lineage: {parents}; {after}");
            }
            text += &format!("{}\n", names.prose(&called(&line)));
        }
        text
    }

    pub(super) fn worded(&self, printed: &str) -> String {
        self.words.iter().fold(printed.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

impl Names {
    /// 0 is no process, and 1 is the same one everywhere.
    fn pid(&self, pid: &str) -> String {
        match pid {
            "0" | "1" => pid.to_owned(),
            _ if self.tests.as_deref() == Some(pid) => TESTS.to_owned(),
            _ => named(&self.pids, 'P', pid),
        }
    }

    fn run(&self, run: &str) -> String {
        if run.len() == 32 { named(&self.runs, 'R', run) } else { run.to_owned() }
    }

    /// One line of a document that is laid out.
    fn field(&self, line: &str) -> String {
        let (start, rest) = line.split_at(line.len() - line.trim_start().len());
        let (rest, comma) = rest.strip_suffix(',').map_or((rest, ""), |rest| (rest, ","));
        let key = rest.split_once("\":").map(|(key, _)| key.trim_start_matches('"'));
        let value = key.map_or(rest, |key| &rest[key.len() + 3..]);
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let masked = match key {
            Some("pid" | "ppid") if digits && !matches!(value, "0" | "1") => Some(self.pid(value)),
            // The only numbers without a key are a holder's inodes.
            Some("inode") | None if digits => Some(named(&self.inodes, 'I', value)),
            Some("start_ticks" | "age_ms" | "elapsed_ms" | "ended_after_ms" | "after_ms" | "rss_bytes") if digits => {
                Some("#".to_owned())
            }
            Some("version") => Some("#".to_owned()),
            Some("unreadable_processes") if digits && !self.inside => Some("#".to_owned()),
            Some("bytes" | "watched_ms") if digits && value != "0" => Some("#".to_owned()),
            Some("started") if value.len() == r#""2026-01-01T00:00:00Z""#.len() => Some("#".to_owned()),
            Some("run") if value.starts_with('"') => Some(self.run(value.trim_matches('"'))),
            Some("state") if matches!(value, r#""R""# | r#""D""#) => Some("S".to_owned()),
            _ => None,
        };
        let value = masked.map_or_else(|| self.prose(value), |masked| format!("\"{masked}\""));
        key.map_or(format!("{start}{value}{comma}"), |key| format!("{start}\"{key}\":{value}{comma}"))
    }

    /// In a sentence, a command line or a path.
    fn prose(&self, text: &str) -> String {
        let digit = |c: char| c.is_ascii_digit();
        let mut text = self.folders(text);
        for before in ["pid ", "process ", "ancestor ", "`kill ", " -p ", "/proc/"] {
            text = behind(&text, before, digit, |pid| self.pid(pid));
        }
        let list = |c: char| digit(c) || ", ".contains(c);
        let each = |pids: &str| behind(pids, " ", digit, |pid| self.pid(pid));
        text = behind(&text, "pids", list, each);
        text = behind(&text, "run ", |c| c.is_ascii_hexdigit(), |run| self.run(run));
        text = behind(&text, ", age ", |c| c != ')', |_| "#".to_owned());
        text = ahead(&ahead(&text, " ms"), " MiB").replace("# ms to # ms", "# ms");
        // What sleeps may be awake at the moment.
        text = text.replace("(state R)", "(state S)").replace("(state D)", "(state S)");
        // The tests themselves may run in a container.
        let unnamed = "it runs in a pid namespace of its own, as in a container, and the";
        match text.split_once("it runs in a container (") {
            Some((before, name)) => match name.split_once("), and the") {
                Some((_, after)) => format!("{before}{unnamed}{after}"),
                None => text,
            },
            None => text,
        }
    }

    /// Those of the fixtures, of systemd's tests, too.
    fn folders(&self, text: &str) -> String {
        let temporary = format!("{}/portclear-", env::temp_dir().display());
        let mut left = text;
        let mut masked = String::new();
        while let Some((before, path)) = left.split_once(&temporary) {
            let inner = "/share/portclear-";
            let from = path.find(inner).filter(|_| path.starts_with("systemd-")).map_or(0, |at| at + inner.len());
            let is_other = |c: char| !c.is_ascii_alphanumeric();
            let end = path[from..].find(is_other).map_or(path.len(), |at| from + at);
            masked += &format!("{before}/{}", named(&self.folders, 'D', &path[..end]));
            left = &path[end..];
        }
        masked + left
    }
}

/// Wherever the program lies, it is called by its name.
fn called(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.rsplit_once('/') {
        Some((folder, "portclear")) if folder.starts_with('`') => "`portclear",
        Some((_, "portclear")) => "portclear",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn named(known: &RefCell<Vec<String>>, letter: char, what: &str) -> String {
    let mut known = known.borrow_mut();
    if !known.iter().any(|one| one == what) {
        known.push(what.to_owned());
    }
    let at = known.iter().position(|one| one == what).unwrap();
    format!("{letter}{}", at + 1)
}

/// Replaces the characters of this kind that stand right behind some words.
fn behind(text: &str, words: &str, is: impl Fn(char) -> bool, by: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(words);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c| !is(c)).unwrap_or(part.len());
        masked += words;
        if end > 0 {
            masked += &by(&part[..end]);
        }
        masked += &part[end..];
    }
    masked
}

/// Replaces the number before a unit of measure.
fn ahead(text: &str, unit: &str) -> String {
    let mut parts: Vec<String> = text.split(unit).map(str::to_owned).collect();
    let last = parts.pop().unwrap_or_default();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    for part in &mut parts {
        if part.ends_with(is_number) {
            *part = format!("{}#", part.trim_end_matches(is_number));
        }
    }
    parts.push(last);
    parts.join(unit)
}
