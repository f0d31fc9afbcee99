//! What is shipped: the npm package as it lies in npm/, and the files that dist/build makes. PORTCLEAR_DIST names their
//! folder. Without it their tests have no cases.

mod deb;
mod files;
mod node;
mod npm;
mod types;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::needs::is_ci;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = [types::cases(), node::cases()];
    let shipped = || [files::cases(), deb::cases(), npm::cases()];
    let shipped = folder().map(|_| shipped()).into_iter().flatten();
    cases.iter_mut().flat_map(std::mem::take).chain(shipped.flatten()).collect()
}

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("PORTCLEAR_DIST")?);
    Some(folder.canonicalize().unwrap_or_else(|error| panic!("PORTCLEAR_DIST: {}: {error}", folder.display())))
}

/// A file that dist/build made for this machine, by the two ends of its name.
#[track_caller]
fn file(begin: &str, end: &str) -> PathBuf {
    let folder = folder().expect("PORTCLEAR_DIST");
    let path = folder.join(format!("{begin}{}{end}", env!("CARGO_PKG_VERSION")));
    assert!(path.exists(), "{} is missing: run dist/build", path.display());
    path
}

/// Whether this machine has a program that a test cannot do without. CI has it.
#[track_caller]
fn has(program: &str) -> bool {
    let found = Path::new("/usr/bin").join(program).exists();
    assert!(found || !is_ci(), "needs {program}");
    if !found {
        eprintln!("nothing was seen by {program}: it is not installed");
    }
    found
}

/// Runs a program in the test's network, with a home of its own and no variable of the test run's.
#[track_caller]
fn run(argv: &[&str], folder: &Path) -> Run {
    Running::start(command(argv, folder), false, None, [None, None]).finish()
}

fn command(argv: &[&str], folder: &Path) -> Command {
    let node = folder_of_node();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(argv).current_dir(folder).stdin(Stdio::null());
    command.env_clear().env("PATH", format!("/usr/sbin:/usr/bin:/sbin:/bin{node}")).env("HOME", folder);
    command
}

/// Where node lies, if that is another folder than usual.
fn folder_of_node() -> String {
    let folder = crate::support::node::binary().and_then(|node| Some(node.parent()?.to_str()?.to_owned()));
    folder.map(|folder| format!(":{folder}")).unwrap_or_default()
}
