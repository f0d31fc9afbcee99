//! docs/performance.md: the part between its two marks.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use super::ROUNDS;
use super::tools::Sample;

const PROGRAMS: [&str; 6] = ["bare", "portclear", "lsof", "fuser", "ss", "killport"];
const BEGIN: &str = "<!-- written by `cargo bench --bench compare` -->\n";
const END: &str = "<!-- end -->\n";

/// What one program took to look, in one case.
pub(crate) struct Look {
    held: bool,
    load: String,
    program: String,
    millis: f64,
    memory: u64,
}

/// What one program took to end a holder, in one case.
pub(crate) struct Ending {
    case: String,
    program: String,
    millis: f64,
    /// Milliseconds after the last holder's exit.
    after: f64,
    memory: u64,
    freed: usize,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn peak(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| sample.memory).max().unwrap()
}

impl Look {
    pub(crate) fn new(held: bool, load: &str, program: &str, samples: &[Sample]) -> Self {
        let millis = median(samples.iter().map(|sample| sample.millis).collect());
        Self { held, load: load.to_owned(), program: program.to_owned(), millis, memory: peak(samples) }
    }
}

impl Ending {
    pub(crate) fn new(case: &str, program: &str, samples: &[Sample], after: &[f64], freed: usize) -> Self {
        Self {
            case: case.to_owned(),
            program: program.to_owned(),
            millis: median(samples.iter().map(|sample| sample.millis).collect()),
            after: median(after.to_vec()),
            memory: peak(samples),
            freed,
        }
    }
}

/// From one stage to the next.
pub(crate) fn lines(looks: &[Look]) -> String {
    let line = |look: &Look| {
        let Look { held, load, program, millis, memory } = look;
        format!("{held}\t{load}\t{program}\t{millis}\t{memory}\n")
    };
    looks.iter().map(line).collect()
}

pub(crate) fn parse(lines: &str) -> Vec<Look> {
    let look = |line: &str| {
        let [held, load, program, millis, memory] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Look {
            held: held == "true",
            load: load.to_owned(),
            program: program.to_owned(),
            millis: millis.parse().unwrap(),
            memory: memory.parse().unwrap(),
        }
    };
    lines.lines().map(look).collect()
}

pub(crate) struct Page {
    pub(crate) looks: Vec<Look>,
    pub(crate) endings: Vec<Ending>,
}

impl Page {
    pub(crate) fn write(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        let page = std::fs::read_to_string(&path).expect("docs/performance.md");
        let (before, rest) = page.split_once(BEGIN).expect("the first mark");
        let (_, after) = rest.split_once(END).expect("the second mark");
        let tables = self.tables();
        eprintln!("{tables}");
        std::fs::write(path, format!("{before}{BEGIN}\n{tables}\n{END}{after}")).expect("docs/performance.md");
    }

    fn tables(&self) -> String {
        let mut text = machine();
        let _ = write!(text, "\nMedians of {ROUNDS} runs in turn, in ms; in brackets, times bare.\n\n");
        self.table(&mut text, |look, bare| format!("{:.2} ({:.2})", look.millis, look.millis / bare.millis));
        let _ = write!(text, "\nPeak memory (ru_maxrss), in MB.\n\n");
        self.table(&mut text, |look, _| megabytes(look.memory));
        let _ = write!(
            text,
            "\nA holder is ended: from the command to its return, and from the last exit to the return, in ms; how often a bind \
             right after it succeeded; peak memory in MB. Against those that ignore SIGTERM the peers are told to send \
             SIGKILL at once.\n\n| holder | program | to return | after the exit | free | memory |\n|---|---|--:|--:|--:|--:|\n"
        );
        for ending in &self.endings {
            let Ending { case, program, millis, after, memory, freed } = ending;
            let after = if is_stubborn(case) { "-".to_owned() } else { format!("{after:.2}") };
            let memory = megabytes(*memory);
            let _ = writeln!(text, "| {case} | {program} | {millis:.2} | {after} | {freed} of {ROUNDS} | {memory} |");
        }
        text.push('\n');
        self.goals(&mut text);
        text
    }

    fn table(&self, text: &mut String, cell: impl Fn(&Look, &Look) -> String) {
        let _ =
            write!(text, "| port | machine | {} |\n|---|---|{}\n", PROGRAMS.join(" | "), "--:|".repeat(PROGRAMS.len()));
        for case in self.looks.chunk_by(|one, two| (one.held, &one.load) == (two.held, &two.load)) {
            let of = |program: &str| case.iter().find(|look| look.program == program).unwrap();
            let cells = PROGRAMS.map(|program| cell(of(program), of("bare")));
            let port = if case[0].held { "held" } else { "free" };
            let _ = writeln!(text, "| {port} | {} | {} |", case[0].load, cells.join(" | "));
        }
    }

    fn goals(&self, text: &mut String) {
        let of = |held: bool, load: &str, program: &str| {
            let look = |look: &&Look| look.held == held && look.load.contains(load) && look.program == program;
            self.looks.iter().find(look).unwrap().millis
        };
        let to_bare = |held, load| of(held, load, "portclear") / of(held, load, "bare");
        let peers = |held, load| {
            let fastest = PROGRAMS[2..].iter().map(|peer| of(held, load, peer)).fold(f64::MAX, f64::min);
            fastest / of(held, load, "portclear")
        };
        let [idle, descriptors, sockets] = ["idle", "2,000", "50,000"];
        let ours = self.endings.iter().filter(|ending| ending.program == "portclear");
        let beyond = ours.clone().find(|ending| is_stubborn(&ending.case)).unwrap().millis - super::GRACE;
        let exits = ours.clone().filter(|ending| !is_stubborn(&ending.case));
        let after = exits.map(|ending| ending.after).fold(0.0, f64::max);
        let looks = self.looks.iter().filter(|look| look.program == "portclear").map(|look| look.memory);
        let memory = looks.chain(ours.map(|ending| ending.memory)).max().unwrap() as f64 / 1024.0;
        let size = std::fs::metadata(env!("CARGO_BIN_EXE_portclear")).unwrap().len() as f64 / 1e6;
        let most = |value: f64, limit: f64| (value, limit, value <= limit, "at most");
        let least = |value: f64, limit: f64| (value, limit, value >= limit, "at least");
        let table = [
            ("free, idle: times bare", most(to_bare(false, idle), 1.5)),
            ("free, 200,000 descriptors: times bare", most(to_bare(false, descriptors), 1.5)),
            ("free, 50,000 sockets: times bare", most(to_bare(false, sockets), 1.5)),
            ("free, idle: the fastest peer, times portclear", least(peers(false, idle), 8.0)),
            ("free, 200,000 descriptors: the fastest peer, times portclear", least(peers(false, descriptors), 8.0)),
            ("free, 50,000 sockets: the fastest peer, times portclear", least(peers(false, sockets), 8.0)),
            ("held, 200,000 descriptors: times bare", most(to_bare(true, descriptors), 0.7)),
            (
                "held, 200,000 descriptors: lsof, times portclear",
                least(of(true, descriptors, "lsof") / of(true, descriptors, "portclear"), 4.0),
            ),
            ("held, idle: times bare", most(to_bare(true, idle), 1.1)),
            ("held, 50,000 sockets: times bare", most(to_bare(true, sockets), 1.1)),
            ("return after the last exit, ms", most(after, 2.0)),
            ("ten that ignore SIGTERM: beyond one grace, ms", most(beyond, 25.0)),
            ("peak memory, MB", most(memory, 8.0)),
            ("stripped program, MB", most(size, 2.0)),
        ];
        let _ = write!(text, "| goal | wanted | measured | reached |\n|---|--:|--:|---|\n");
        for (goal, (value, limit, reached, word)) in table {
            let reached = if reached { "yes" } else { "**no**" };
            let _ = writeln!(text, "| {goal} | {word} {limit} | {value:.2} | {reached} |");
        }
    }
}

/// They are killed, and tell nobody when they ended.
fn is_stubborn(case: &str) -> bool {
    case.starts_with("ten")
}

fn megabytes(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn machine() -> String {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = first_line(&["uname", "-sr"]);
    let versions = ["lsof", "psmisc", "iproute2", "libc6", "gcc"].map(|package| {
        let version = first_line(&["dpkg-query", "-W", "-f", "${Version}", package]);
        format!("{package} {version}")
    });
    format!(
        "{}: {} cores of {}, {kernel}, {}; {}, killport {}.\n",
        &date[..10],
        cores,
        model.trim_start_matches([' ', '\t', ':']),
        first_line(&["rustc", "-V"]),
        versions.join(", "),
        killport(),
    )
}

fn killport() -> String {
    let program = super::tools::folder().join("killport/bin/killport");
    first_line(&[program.to_str().unwrap(), "--version"]).replace("killport ", "")
}

fn first_line(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
