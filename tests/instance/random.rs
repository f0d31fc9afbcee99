//! Random trees of real processes. Who is ended is compared with what each process was made to be.
//!
//! The trees are the same each time, so another answer comes from another program. `PORTCLEAR_SEED=N
//! PORTCLEAR_TREES=1` grows the tree of one seed again. `PORTCLEAR_SEED=$(date +%s) PORTCLEAR_TREES=3000` grows many
//! new ones.

mod oracle;
mod plant;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::channel::{Channel, RUN};
use crate::support::layout::copy;
use crate::support::run::PROGRAM;
use crate::support::*;
use oracle::{Expected, expected};
use plant::{CGROUPS, Node, Random, tree};

/// Two cases for two cores: each grows half of the trees.
pub(crate) fn cases() -> Vec<Case> {
    vec![case!(random_trees_end_as_expected), case!(more_random_trees_end_as_expected)]
}

fn random_trees_end_as_expected() {
    grow(0);
}

fn more_random_trees_end_as_expected() {
    grow(1);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn grow(half: u64) {
    let trees = number("PORTCLEAR_TREES").unwrap_or(200);
    let first = number("PORTCLEAR_SEED").unwrap_or(18_789);
    let mut ground = Ground::new(half);
    let mut seen = Seen::default();
    for at in (0..trees).filter(|at| at % 2 == half) {
        one_tree(&mut ground, first.wrapping_add(at), &mut seen);
    }
    // So many trees bring about everything, or they are no good trees.
    if trees >= 100 {
        let cgroups = ground.cgroups.is_some();
        let all = [seen.held, seen.unread, seen.protected, seen.orphans, seen.launchers, seen.workers, seen.kept];
        assert!(all.iter().all(|seen| *seen > 0) && (seen.moved > 0) == cgroups, "from seed {first}: {seen:?}");
    }
}

/// How often each thing came about.
#[derive(Debug, Default)]
struct Seen {
    held: usize,
    unread: usize,
    /// Trees in which other processes would have ended without `--protect`.
    protected: usize,
    orphans: usize,
    launchers: usize,
    workers: usize,
    /// Offspring that a call without `--tree` left alive.
    kept: usize,
    /// Processes that live in a cgroup of their own, below one that was ended.
    moved: usize,
}

fn one_tree(ground: &mut Ground, seed: u64, seen: &mut Seen) {
    let mut random = Random(seed);
    let nodes = tree(&mut random, seed / 2, ground.cgroups.is_some());
    let (with_tree, protects) = match random.below(5) {
        0 => (false, false),
        1 | 2 => (true, false),
        _ => (true, true),
    };
    let protect = protects.then(|| usize::try_from(random.below(nodes.len() as u64)).unwrap());
    let mut words = vec![json!(PROGRAM), json!("--json"), json!("127.0.0.1:18789")];
    words.extend(with_tree.then(|| json!("--tree")));
    words.extend(protect.iter().flat_map(|at| [json!("--protect"), json!(at)]));
    let reply = ground.zygote.ask(&ground.order(&nodes, words), RUN);

    let Expected { status, mut roles, by_run } = expected(&nodes, protect);
    let all = roles.len();
    if !with_tree {
        roles.retain(|_, role| *role != "offspring");
    }
    let kept = all - roles.len();
    let said = Said::of(&reply);
    let dead: Vec<bool> = (0..nodes.len()).map(|at| roles.contains_key(&at)).collect();
    let lives: Vec<bool> = dead.iter().map(|dead| !dead).collect();
    let told: BTreeMap<u64, String> = roles.iter().map(|(at, role)| (said.pids[*at], (*role).to_owned())).collect();
    let right = said.status == status
        && said.lives == lives
        // Where nothing is ended, the document speaks of the holders alone.
        && (status != 0 || said.roles == told && said.once && said.remainder == kept as u64);
    let options = format!("--tree {with_tree}, --protect {protect:?}");
    assert!(right, "seed {seed} ({options}):\n{}", difference(&nodes, &roles, status, kept, &said));

    seen.held += usize::from(status == 3);
    seen.unread += usize::from(status == 4);
    seen.protected += usize::from(expected(&nodes, None).roles.len() != all);
    seen.orphans += by_run * usize::from(with_tree);
    seen.kept += kept;
    seen.launchers += roles.values().filter(|role| **role == "launcher").count();
    seen.workers += roles.values().filter(|role| **role == "worker").count();
    let moved =
        |node: &&Node| node.parent().is_some_and(|from| roles.contains_key(&from) && nodes[from].cgroup != node.cgroup);
    seen.moved += nodes.iter().filter(moved).count();
}

/// What a call said and did.
struct Said {
    pids: Vec<u64>,
    lives: Vec<bool>,
    status: i64,
    roles: BTreeMap<u64, String>,
    /// Each process got one SIGTERM and nothing else, and ended.
    once: bool,
    remainder: u64,
    output: String,
}

impl Said {
    fn of(reply: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let output = format!("{}{}", reply["stdout"].as_str().unwrap(), reply["stderr"].as_str().unwrap());
        let document = schema::document(reply["stdout"].as_str().unwrap()).unwrap_or_default();
        let port = &document["ports"][0];
        let processes = [list(&port["holders"]), list(&port["members"])].concat();
        let once = |process: &Value| {
            let signals = list(&process["signals"]);
            signals.len() == 1 && signals[0]["signal"] == "SIGTERM" && process["outcome"] == "ended"
        };
        let role = |process: &Value| (process["pid"].as_u64().unwrap(), process["role"].as_str().unwrap().to_owned());
        Self {
            pids: list(&reply["pids"]).iter().map(|pid| pid.as_u64().unwrap()).collect(),
            lives: list(&reply["lives"]).iter().map(|lives| lives.as_bool().unwrap()).collect(),
            status: reply["status"].as_i64().unwrap(),
            roles: processes.iter().map(role).collect(),
            once: processes.iter().all(once),
            remainder: port["remainder"]["count"].as_u64().unwrap_or(u64::MAX),
            output,
        }
    }
}

/// The whole tree for a reader, with a mark at each process that is not as expected.
fn difference(nodes: &[Node], roles: &BTreeMap<usize, &str>, status: i64, kept: usize, said: &Said) -> String {
    let mut text = format!(
        "status {status} expected, and {}; remainder {kept}, and {}; each signalled once: {}\n",
        said.status, said.remainder, said.once
    );
    for (at, node) in nodes.iter().enumerate() {
        let role = roles.get(&at).copied().unwrap_or("lives");
        let said_role = said.roles.get(&said.pids[at]).map_or("-", String::as_str);
        let is = if said.lives[at] { "lives" } else { said_role };
        let mark = if role == is { ' ' } else { '!' };
        let pid = said.pids[at];
        let _ = writeln!(text, "{mark} {at} (pid {pid}): expected {role}, and {is} ({said_role}): {node:?}");
    }
    text + &said.output
}

/// The ground that trees grow on: a pid namespace, files, cgroups. All of it goes with the value.
struct Ground {
    zygote: Channel,
    process: Child,
    files: TempDir,
    cgroups: Option<Cgroups>,
}

impl Ground {
    fn new(half: u64) -> Self {
        let files = tempfile::Builder::new().prefix("portclear-").tempdir().expect("a temporary folder");
        let root = files.path();
        let shell = Path::new("/bin/sh").canonicalize().expect("a shell");
        for name in ["node", "tool"] {
            copy(&shell, &root.join(name));
        }
        // The last argument is its number.
        let script = r#"for number; do :; done; echo "$number $$"; read -r line"#;
        for package in ["openclaw", "other", "plain", "veiled"] {
            let folder = root.join(package);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("index.js"), script).unwrap();
            let manifest = folder.join("package.json");
            match package {
                "plain" => {}
                "veiled" => std::os::unix::fs::symlink("../openclaw/package.json", manifest).unwrap(),
                name => fs::write(manifest, json!({ "name": name }).to_string()).unwrap(),
            }
        }
        let cgroups = Cgroups::new(half);
        if cgroups.is_none() {
            eprintln!("random trees without cgroups of their own: no cgroup of version 2 that may be written");
        }
        // unshare itself must end with the test, and PID 1 with unshare.
        let words = "--pdeathsig KILL -- unshare --fork --pid --mount --mount-proc --kill-child -- \
                     /usr/bin/python3 -c";
        let mut process = Command::new("setpriv")
            .args(words.split_whitespace())
            .arg(include_str!("random/zygote.py"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv");
        let zygote = Channel::new(process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { zygote, process, files, cgroups }
    }

    fn order(&self, nodes: &[Node], run: Vec<Value>) -> Value {
        let files = self.files.path().to_str().expect("plain text");
        let cgroups = self.cgroups.as_ref().map(|cgroups| cgroups.0.as_str());
        let grown = |(at, node): (usize, &Node)| node.json(at, nodes, files, cgroups);
        let top: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].from.is_none()).collect();
        json!({ "nodes": nodes.iter().enumerate().map(grown).collect::<Vec<_>>(), "top": top, "run": run })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The cgroups are dropped after this, and are empty then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Cgroups below that of the tests. The value is their path without the number.
struct Cgroups(String);

impl Cgroups {
    fn new(half: u64) -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.iter().find(|root| root.join("cgroup.procs").exists())?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let name = format!("portclear-{}-{half}", std::process::id());
        let cgroups = Self(root.join(own).join(name).to_str()?.to_owned());
        // If one cannot be made, the drop removes the others.
        cgroups.paths().try_for_each(|path| fs::create_dir(&path)).ok()?;
        Some(cgroups)
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (1..=CGROUPS).map(|number| format!("{}-{number}", self.0).into())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let gone = |path: &Path| fs::remove_dir(path).is_ok() || !path.exists();
        self.paths().for_each(|path| until("an empty cgroup", || gone(&path)));
    }
}
