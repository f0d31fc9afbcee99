//! `examples/demo.rs` shows what it says, and leaves nothing behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::layout::copy;
use crate::support::needs::missing;
use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(the_demo_shows_an_end_and_a_refusal), case!(a_killed_demo_leaves_nothing)]
}

/// The demo in a folder of its own, which every user can read, and where it puts its files.
struct Demo {
    folder: TempDir,
}

impl Demo {
    fn new() -> Self {
        // `cargo test` builds it beside the tests.
        let example = Path::new(PROGRAM).with_file_name("examples").join("demo");
        assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
        let demo = Self { folder: tempfile::tempdir().unwrap() };
        for part in ["examples", "files"] {
            fs::create_dir(demo.path(part)).unwrap();
        }
        fs::set_permissions(demo.folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(demo.path("files"), Permissions::from_mode(0o777)).unwrap();
        copy(&example, &demo.path("examples/demo"));
        copy(Path::new(PROGRAM), &demo.path("portclear"));
        demo
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// As an ordinary user, where the test can be one. It has no CARGO, so it takes the program as it is.
    fn start(&self) -> Server {
        let (program, files) = (self.path("examples/demo"), self.path("files"));
        let uid = NOBODY.to_string();
        let mut argv = vec!["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups", "--"];
        if missing(&[Needs::Root]).is_some() {
            argv.clear();
        }
        argv.push(program.to_str().unwrap());
        Server::start(&argv, &[("TMPDIR", files.to_str().unwrap())])
    }

    #[track_caller]
    fn leaves_nothing(&self) {
        let files = self.path("files");
        until("no file is left", || fs::read_dir(&files).unwrap().next().is_none());
        let of_demo = |pid: &Path| {
            let exe = fs::read_link(pid.join("exe")).unwrap_or_default();
            exe.starts_with(self.folder.path())
        };
        until("no process is left", || !fs::read_dir("/proc").unwrap().flatten().any(|entry| of_demo(&entry.path())));
    }
}

fn the_demo_shows_an_end_and_a_refusal() {
    let bystander = Bystander::start();
    let demo = Demo::new();
    let mut server = demo.start();
    let lines: Vec<String> = std::iter::from_fn(|| server.line()).collect();
    let (status, errors) = server.ended();
    let text = lines.join("\n");
    assert_eq!(status.code(), Some(0), "{errors}{text}");
    let said = |start: &str| -> Vec<&str> { lines.iter().filter_map(|line| line.strip_prefix(start)).collect() };
    let commands = said("$ portclear ");
    let port = commands[0].rsplit(' ').next().unwrap();
    let [look, end] = ["-n ", ""].map(|option| format!("{option}--package my-app {port}"));
    assert_eq!(commands, [&look[..], &end, &end]);
    let statuses = lines.windows(2).filter(|pair| pair[0] == "$ echo $?").map(|pair| &pair[1][..]);
    assert_eq!(statuses.collect::<Vec<_>>(), ["0", "0", "3"], "{text}");
    assert!(text.contains("cleared") && text.contains("SIGTERM after "), "{text}");
    demo.leaves_nothing();
    assert!(can_bind(&format!("127.0.0.1:{port}")));
    bystander.answers();
}

fn a_killed_demo_leaves_nothing() {
    let bystander = Bystander::start();
    let demo = Demo::new();
    let mut server = demo.start();
    let line = server.line().unwrap_or_default();
    assert!(line.starts_with("# A server of the package my-app listens on port "), "{line}");
    server.process().kill();
    server.process().has_ended();
    demo.leaves_nothing();
    bystander.answers();
}
