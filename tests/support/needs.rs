//! What this machine lets a test do. Each skipped test says why, and CI skips none.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::supervisors::installed;
use super::{node, openclaw};

/// The user nobody, who owns nothing.
pub(crate) const NOBODY: u32 = 65534;

/// What a test needs beyond namespaces and the tools of the harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Root in the initial user namespace: other users, cgroups.
    Root,
    /// cargo, with the crates of this project at hand.
    Cargo,
    /// A node binary.
    Node,
    /// Namespaces for a user who is not root there.
    UserNamespace,
    /// Root, and what `.ci/openclaw` installs.
    OpenClaw,
    /// Root, and a systemd that [`super::Sd`] can boot, with a user manager.
    Systemd,
    /// A program that `.ci/supervisors` installs.
    Supervisor(&'static str),
}

/// The second start of this program knows by this that it is the second.
const ENTERED: &str = "PORTCLEAR_TESTS_IN_USER_NAMESPACE";

/// An ordinary user may make namespaces inside a user namespace. The process must enter that before its first thread
/// starts. This does not return where it does.
pub(crate) fn enter_user_namespace() {
    let enter = ["--user", "--map-root-user"];
    if nix::unistd::geteuid().is_root() || std::env::var_os(ENTERED).is_some() || !works(&enter) {
        return;
    }
    let error = Command::new("unshare")
        .args(enter)
        .arg(std::env::current_exe().expect("the path of this program"))
        .args(std::env::args_os().skip(1))
        .env(ENTERED, "1")
        .exec();
    eprintln!("cannot start again in a user namespace: {error}");
}

/// What is missing, in a few words.
pub(crate) fn missing(needs: &[Needs]) -> Option<String> {
    static NAMESPACES: OnceLock<Option<String>> = OnceLock::new();
    let missing = NAMESPACES.get_or_init(missing_tool).clone();
    missing.or_else(|| needs.iter().find_map(|need| missing_one(*need)))
}

pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

fn missing_tool() -> Option<String> {
    let tools = ["/usr/bin/python3", "ip", "nsenter", "setpriv", "unshare"];
    let tool = tools.iter().find(|tool| !succeeds(tool, &["-V"]));
    tool.map(|tool| format!("needs {tool}"))
        .or_else(|| (!works(&[])).then(|| "needs namespaces (root, or user namespaces)".to_owned()))
}

fn missing_one(need: Needs) -> Option<String> {
    match need {
        Needs::Root => (!is_root()).then(|| "needs root".to_owned()),
        Needs::Cargo => (!succeeds(&cargo(), &["--version"])).then(|| "needs cargo".to_owned()),
        Needs::Node => node::binary().is_none().then(|| "needs node".to_owned()),
        Needs::UserNamespace => (!works(&["--user", "--map-user=1000", "--map-group=1000", "--keep-caps"]))
            .then(|| "needs user namespaces (util-linux 2.38)".to_owned()),
        Needs::Supervisor(program) => {
            installed(program).is_none().then(|| format!("needs {program} (.ci/supervisors)"))
        }
        Needs::OpenClaw => missing_one(Needs::Root)
            .or_else(|| openclaw::installed().is_none().then(|| "needs OpenClaw (.ci/openclaw)".to_owned())),
        Needs::Systemd => missing_one(Needs::Root).or_else(missing_systemd),
    }
}

/// The cargo that runs the tests.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn missing_systemd() -> Option<String> {
    let programs = ["dbus-daemon", "journalctl", "mount", "perl", "pivot_root", "runuser", "systemd-run"];
    // A user's manager needs a bus, and pam_systemd.so for its runtime directory.
    let files = ["/lib/systemd/systemd", "/usr/lib/systemd/user/dbus.socket"];
    let library = |folder: &str| Path::new(folder).join("security/pam_systemd.so").exists();
    let machine = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let program = programs.iter().find(|program| !succeeds(program, &["--version"]));
    let file = files.iter().find(|file| !Path::new(file).exists());
    let pam = ["/usr/lib", "/usr/lib64", &machine].iter().any(|folder| library(folder));
    let missing = program.or(file).copied().or((!pam).then_some("pam_systemd.so"));
    missing.map(|missing| format!("needs systemd to boot: no {missing}"))
}

/// Root in a user namespace of its own has no rights outside it.
fn is_root() -> bool {
    let identity = ["0", "0", "4294967295"];
    nix::unistd::geteuid().is_root()
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_whitespace().eq(identity))
}

fn works(more: &[&str]) -> bool {
    let all = ["--net", "--pid", "--fork", "--mount", "--mount-proc", "true"];
    succeeds("unshare", &[more, &all].concat())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
