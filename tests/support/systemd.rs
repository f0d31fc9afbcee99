//! The one real systemd of a test run, in namespaces of its own.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use super::layout::copy;
use super::openclaw;
use super::run::{PROGRAM, Running};
use super::wait::{DEADLINE, until};

/// The user who has a manager of his own there.
pub(crate) const USER: u32 = 4711;

/// Every process in it has two pids. systemd knows the "inner" ones.
pub(super) struct Booted {
    /// The outer pid of its PID 1.
    pub(super) leader: u32,
    /// A folder with the same path inside and outside.
    pub(super) share: PathBuf,
    pub(super) network: File,
    /// Takes all down when its standard input ends. This process's own end ends that, too.
    keeper: Mutex<Option<Child>>,
}

static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();

/// Boots it, if nobody has yet.
#[track_caller]
pub(super) fn booted() -> &'static Booted {
    match BOOTED.get_or_init(boot) {
        Ok(booted) => booted,
        Err(error) => panic!("systemd does not boot: {error}"),
    }
}

/// Must be called once, after the last test. Returns when nothing is left.
pub(crate) fn take_down() {
    let Some(Ok(booted)) = BOOTED.get() else { return };
    if let Some(mut keeper) = booted.keeper.lock().ok().and_then(|mut keeper| keeper.take()) {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
    let folder = booted.share.parent().expect("a folder");
    assert!(!folder.exists(), "cannot be taken down: {}", log(folder));
}

impl Booted {
    /// Its root folder, as this process can open it.
    pub(super) fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.leader).into()
    }

    pub(super) fn program(&self) -> PathBuf {
        self.share.join("portclear")
    }

    /// The wrapper that runs its arguments inside, in no unit.
    pub(super) fn entering(&self) -> Vec<String> {
        let target = format!("--target={}", self.leader);
        let nsenter = ["nsenter", &target, "-m", "-u", "-i", "-n", "-p", "-C", "--"];
        let shell = ["sh", "-c", r#"echo 0 >/sys/fs/cgroup/hand/cgroup.procs; exec "$@""#, "sh"];
        nsenter.into_iter().chain(shell).map(str::to_owned).collect()
    }

    fn wait_for_boot(&self, start: Instant) {
        until("the socket of systemd", || self.root().join("run/systemd/private").exists());
        let run = |line: &str| {
            let mut argv = self.entering();
            argv.extend(line.split(' ').map(str::to_owned));
            let mut command = Command::new(&argv[0]);
            command.args(&argv[1..]).stdin(Stdio::null());
            Running::start(command, false, None, [None, None]).finish()
        };
        let state = run("systemctl is-system-running --wait").stdout;
        let version = run("systemctl --version").stdout;
        let version = version.lines().next().unwrap_or_default();
        eprintln!("booted {version} in {:.2?}: {}", start.elapsed(), state.trim());
        if state.trim() != "running" {
            eprintln!("{}", run("systemctl --failed --no-pager").stdout);
        }
    }
}

fn boot() -> Result<Booted, String> {
    let start = Instant::now();
    // Another user must be able to start the files.
    let all = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().prefix("portclear-systemd-").permissions(all).tempdir();
    // The keeper removes it.
    let folder = folder.map_err(|error| error.to_string())?.keep();
    keep(&folder).and_then(|(keeper, leader)| {
        let network = File::open(format!("/proc/{leader}/ns/net")).map_err(|_| log(&folder))?;
        let share = folder.join("share");
        let booted = Booted { leader, share, network, keeper: Mutex::new(Some(keeper)) };
        copy(Path::new(PROGRAM), &booted.program());
        booted.wait_for_boot(start);
        Ok(booted)
    })
}

fn keep(folder: &Path) -> Result<(Child, u32), String> {
    let script = folder.join("systemd.sh");
    let prepare = || -> std::io::Result<Child> {
        fs::create_dir(folder.join("share"))?;
        fs::write(&script, include_str!("systemd.sh"))?;
        let log = File::create(folder.join("log"))?;
        let mut keeper = Command::new("unshare");
        keeper.args(["--mount", "--propagation", "private", "--", "sh"]).arg(&script);
        keeper.arg("keep").arg(folder).arg(USER.to_string());
        keeper.env("OPENCLAW", openclaw::installed().unwrap_or_default());
        // A Ctrl-C is meant for the test run. The keeper has to outlive it.
        keeper.process_group(0);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()
    };
    let mut keeper = prepare().map_err(|error| error.to_string())?;
    let output = keeper.stdout.take().expect("a pipe");
    let mut line = String::new();
    if super::wait::readable(&output, DEADLINE) {
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    match line.trim().parse() {
        Ok(leader) => Ok((keeper, leader)),
        Err(_) => Err(log(folder)),
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_else(|error| error.to_string())
}
