//! What is measured, and under which load.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

pub(crate) const PORT: &str = "18789";

/// One run of one program.
pub(crate) struct Sample {
    pub(crate) millis: f64,
    /// KiB, at its peak.
    pub(crate) memory: u64,
    /// When it ended, in milliseconds of CLOCK_MONOTONIC.
    pub(crate) ended: f64,
}

pub(crate) struct Tools {
    bare: PathBuf,
    run: PathBuf,
    load: PathBuf,
    killport: PathBuf,
}

/// Where all that the benchmark makes is kept.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn compile(name: &str, options: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare").join(name).with_extension("c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall"]).args(options).arg(source).arg("-o").arg(folder().join(name));
    assert!(compiler.status().expect("cc").success(), "{name} does not compile");
}

impl Tools {
    /// Before the network is left behind: killport comes from crates.io.
    pub(crate) fn make() {
        compile("bare", &[]);
        compile("load", &[]);
        // Static: what starts a program is the beginning of its peak, and is to be smaller than any.
        compile("run", &["-static"]);
        let root = folder().join("killport");
        if !root.join("bin/killport").exists() {
            let mut install = Command::new(env!("CARGO"));
            install.args(["install", "--locked", "--root"]).arg(&root).arg("killport");
            assert!(install.status().expect("cargo").success(), "killport does not install");
        }
    }

    pub(crate) fn find() -> Self {
        let [bare, run, load, killport] =
            ["bare", "run", "load", "killport/bin/killport"].map(|name| folder().join(name));
        Self { bare, run, load, killport }
    }

    fn portclear(&self, options: &[&str]) -> Vec<String> {
        let mut command = vec![env!("CARGO_BIN_EXE_portclear").to_owned(), "--exe".to_owned(), text(&self.load)];
        command.extend(options.iter().map(|option| (*option).to_owned()));
        command.push(PORT.to_owned());
        command
    }

    /// What tells who listens on the port, and touches nobody.
    pub(crate) fn lookers(&self) -> [(&'static str, Vec<String>); 6] {
        [
            ("bare", vec![text(&self.bare), PORT.to_owned()]),
            ("portclear", self.portclear(&["-n"])),
            ("lsof", words(&format!("/usr/bin/lsof -nP -iTCP:{PORT} -sTCP:LISTEN"))),
            ("fuser", words(&format!("/usr/bin/fuser {PORT}/tcp"))),
            ("ss", words("/usr/bin/ss -ltnp")),
            ("killport", words(&format!("{} -m process --dry-run {PORT}", text(&self.killport)))),
        ]
    }

    pub(crate) fn enders(&self, stubborn: bool) -> [(&'static str, Vec<String>); 3] {
        let signal = if stubborn { "KILL" } else { "TERM" };
        let signalled = signal.to_lowercase();
        [
            ("portclear", self.portclear(&["--grace", if stubborn { "500ms" } else { "10s" }])),
            ("fuser", words(&format!("/usr/bin/fuser -k -{signal} {PORT}/tcp"))),
            ("killport", words(&format!("{} -m process -s sig{signalled} {PORT}", text(&self.killport)))),
        ]
    }

    pub(crate) fn run(&self, command: &[String]) -> Sample {
        let output = Command::new(&self.run).args(command).output().expect("a run");
        let line = String::from_utf8(output.stdout).expect("numbers");
        let numbers: Vec<u64> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [nanos, memory, status, ended] = numbers[..] else { panic!("{command:?}: {line:?}") };
        // 127: it was not there; and a signal is no answer.
        assert!(status & 0x7f == 0 && status >> 8 != 127, "{command:?}: wait status {status}");
        Sample { millis: millis(nanos), memory, ended: millis(ended) }
    }
}

pub(crate) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn text(path: &Path) -> String {
    path.to_str().expect("plain text").to_owned()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(ToOwned::to_owned).collect()
}

/// portclear spares what did not start in an earlier clock tick than itself.
pub(crate) fn next_tick() {
    std::thread::park_timeout(Duration::from_millis(20));
}

/// A load, ended when dropped.
pub(crate) struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(folder().join("load"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a load");
        let mut load = Self { output: BufReader::new(child.stdout.take().unwrap()), child };
        assert_eq!(load.line(), "ready", "{arguments:?}");
        load
    }

    /// Waits for its end, which it tells in milliseconds of CLOCK_MONOTONIC. `None`: it was killed.
    pub(crate) fn end(&mut self) -> Option<f64> {
        self.line().parse().ok().map(millis)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
