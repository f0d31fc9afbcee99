//! Anybody may have written a manifest, and a process lays out its own memory. portclear trusts neither blindly.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a04_a_manifest_that_is_no_plain_file_is_not_believed),
        case!(a04_a_manifest_that_cannot_be_read_to_its_end_is_not_believed),
        case!(a04_a_manifest_of_another_user_is_not_believed, Needs::Root),
        case!(e05_a_process_that_claims_gigabytes_is_not_read_to_their_end),
    ]
}

const MANIFEST: &str = r#"{"name":"openclaw","version":"2026.9.1"}"#;

/// Its script alone would make it an instance. The manifest that says so is missing.
fn without_manifest() -> Builder {
    Fixture::gateway().marked(false).no_package()
}

/// It is taken neither for the service's nor for somebody else's, and portclear does not hang on it.
#[track_caller]
fn is_unknown(gateway: &Fixture, what: &str) {
    let run = portclear(&JSON);
    assert_eq!(run.status, 4, "{what}: {run}");
    assert!(run.elapsed < Duration::from_secs(5), "{what}: {run}");
    spared(&run, 4, gateway.pid(), "unknown");
    untouched(gateway);
}

/// The same process is ended once its manifest can be believed.
#[track_caller]
fn is_ended_with(gateway: &Fixture, manifest: &Path) {
    fs::write(manifest, MANIFEST).unwrap();
    cleared(&portclear(&JSON), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
}

fn a04_a_manifest_that_is_no_plain_file_is_not_believed() {
    let bystander = Bystander::start();
    let gateway = without_manifest().start();
    let manifest = gateway.root().join("openclaw/package.json");
    let real = gateway.root().join("package.json");
    fs::write(&real, MANIFEST).unwrap();

    symlink(&real, &manifest).unwrap();
    is_unknown(&gateway, "a link to the service's");
    fs::remove_file(&manifest).unwrap();
    symlink("/nowhere", &manifest).unwrap();
    is_unknown(&gateway, "a link to nothing");
    fs::remove_file(&manifest).unwrap();
    nix::unistd::mkfifo(&manifest, nix::sys::stat::Mode::S_IRWXU).unwrap();
    is_unknown(&gateway, "a FIFO");
    fs::remove_file(&manifest).unwrap();
    let socket = UnixListener::bind(&manifest).unwrap();
    is_unknown(&gateway, "a socket");
    drop(socket);
    fs::remove_file(&manifest).unwrap();
    fs::create_dir(&manifest).unwrap();
    is_unknown(&gateway, "a directory");
    fs::remove_dir(&manifest).unwrap();

    is_ended_with(&gateway, &manifest);
    bystander.answers();
}

fn a04_a_manifest_that_cannot_be_read_to_its_end_is_not_believed() {
    let bystander = Bystander::start();
    let gateway = without_manifest().start();
    let manifest = gateway.root().join("openclaw/package.json");
    let padding = 2 << 20;
    let broken = [
        ("nothing", String::new()),
        ("half of it", r#"{"name":"openclaw","#.to_owned()),
        ("something after it", format!("{MANIFEST} x")),
        ("2 MiB", format!(r#"{{"name":"openclaw","x":"{}"}}"#, "x".repeat(padding))),
        ("2 MiB, and all in the first line", format!("{MANIFEST}{}x", "\n".repeat(padding))),
    ];
    for (what, text) in broken {
        fs::write(&manifest, text).unwrap();
        is_unknown(&gateway, what);
    }
    is_ended_with(&gateway, &manifest);
    bystander.answers();
}

fn a04_a_manifest_of_another_user_is_not_believed() {
    let bystander = Bystander::start();
    let gateway = without_manifest().start();
    let folder = gateway.root().join("openclaw");
    // The folder is like /tmp: anybody may put a file there.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    let manifest = folder.join("package.json");
    fs::write(&manifest, MANIFEST).unwrap();
    chown(&manifest, Some(NOBODY), Some(NOBODY)).unwrap();
    is_unknown(&gateway, "another user's");
    chown(&manifest, Some(0), Some(0)).unwrap();
    is_ended_with(&gateway, &manifest);
    bystander.answers();
}

fn e05_a_process_that_claims_gigabytes_is_not_read_to_their_end() {
    let bystander = Bystander::start();
    // This limit is more than the program needs, and far less than the process claims.
    let limited = || Portclear::new(&JSON).through(&["prlimit", "--as=100663296", "--"]).run();
    for what in ["environment", "arguments"] {
        let gateway = Fixture::gateway().start();
        gateway.seems_vast(what, 4 << 30);
        let run = limited();
        assert!(run.elapsed < Duration::from_secs(5), "{what}: {run}");
        spared(&run, 4, gateway.pid(), "unknown");
        untouched(&gateway);
    }
    let gateway = Fixture::gateway().start();
    cleared(&limited(), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}
