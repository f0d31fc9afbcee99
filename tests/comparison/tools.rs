//! The tools, and how each is called.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::openclaw;
use crate::support::run::PROGRAM;

/// A tool, as a scene calls it.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) argv: Vec<String>,
    /// Its exit status says something. A function of OpenClaw has none.
    pub(super) has_status: bool,
}

/// Where the tools lie.
pub(super) struct Places {
    pub(super) portclear: String,
    /// The folder of `.ci/comparison`.
    pub(super) folder: PathBuf,
    /// The folder of `.ci/openclaw`.
    pub(super) openclaw: PathBuf,
}

/// What `.ci/comparison` has filled.
pub(super) fn folder() -> Option<PathBuf> {
    std::env::var_os("PORTCLEAR_COMPARISON").map(PathBuf::from)
}

impl Places {
    pub(super) fn here() -> Self {
        let folder = folder().expect("the tools");
        Self { portclear: PROGRAM.to_owned(), folder, openclaw: openclaw::installed().expect("OpenClaw") }
    }

    /// Calls them for this port.
    pub(super) fn tools(&self, port: u16) -> Vec<Tool> {
        let tool = |name, argv: &[&str]| {
            let argv = argv.iter().map(|&word| word.to_owned()).collect();
            Tool { name, argv, has_status: true }
        };
        let below = |path: &str| text(&self.folder.join(path));
        let number = port.to_string();
        let lsof = format!("lsof -ti :{port} | xargs kill");
        let clean = format!("(await import(FILE)).cleanStaleGatewayProcessesSync({port})");
        let force = format!(
            "await (await import(FILE)).forceFreePortAndWait({port}, \
             {{ timeoutMs: 2000, intervalMs: 100, sigtermTimeoutMs: 700 }})"
        );
        let module = |start: &str, what: &str, script: &str| {
            let script = script.replace("FILE", &format!("{:?}", text(&self.openclaw.join(exporting(start, what)))));
            format!("console.log(JSON.stringify({script}))")
        };
        let clean = module("restart-stale-pids-", "cleanStaleGatewayProcessesSync", &clean);
        let force = module("ports-", "forceFreePortAndWait", &force);
        let node = ["node", "--input-type=module", "-e"];
        vec![
            tool("`lsof -ti :PORT \\| xargs kill`", &["sh", "-c", &lsof]),
            tool("`fuser -k PORT/tcp`", &["fuser", "-k", &format!("{port}/tcp")]),
            tool("`killport PORT`", &[&below("bin/killport"), &number]),
            tool("`npx kill-port PORT`", &["node", &below("node_modules/kill-port/cli.js"), &number]),
            Tool { has_status: false, ..tool("OpenClaw's cleaner", &[&node[..], &[&clean]].concat()) },
            tool("OpenClaw's `--force`", &[&node[..], &[&force]].concat()),
            tool("`portclear PORT`", &[&self.portclear, &number]),
        ]
    }
}

/// The file of OpenClaw that exports this function by its name. The names of the files differ in each release.
fn exporting(start: &str, function: &str) -> PathBuf {
    let dist = Path::new("2026.9.6/node_modules/openclaw/dist");
    let folder = openclaw::installed().expect("OpenClaw").join(dist);
    let mut files = fs::read_dir(folder).expect("OpenClaw").flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let exports = || fs::read_to_string(path).unwrap_or_default();
        let mine = |line: &str| {
            let names = line.trim_start_matches("export {").trim_end_matches("};").split(',').map(str::trim);
            line.starts_with("export {") && names.clone().any(|name| name == function)
        };
        name.starts_with(start) && name.ends_with(".mjs") && exports().lines().any(mine)
    };
    let found = files.find(is_it).unwrap_or_else(|| panic!("no file of OpenClaw exports {function}"));
    dist.join(found.file_name().unwrap())
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().expect("plain text").to_owned()
}
