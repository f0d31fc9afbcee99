//! A supervisor's note of its child is somebody else's file. Whatever is wrong with it is no reason to fail.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(e05_a_note_that_cannot_be_read_spares_its_child), case!(a02_a_note_of_another_process_spares_nobody)]
}

/// A gateway below a process that executes a file of this name in this folder.
fn below_runsv(folder: &Path) -> (Fixture, Fixture) {
    let runsv = Fixture::silent().marked(false).package("other").exe_name("runsv").cwd(folder).start();
    let gateway = Fixture::gateway().start_below(&runsv);
    (runsv, gateway)
}

fn e05_a_note_that_cannot_be_read_spares_its_child() {
    let bystander = Bystander::start();
    let spoil: [fn(&Path); 3] = [
        |folder| fs::write(folder.join("supervise"), "").unwrap(),
        |folder| {
            fs::create_dir(folder.join("supervise")).unwrap();
            symlink("pid", folder.join("supervise/pid")).unwrap();
        },
        |folder| {
            fs::create_dir(folder.join("supervise")).unwrap();
            drop(UnixListener::bind(folder.join("supervise/pid")).unwrap());
        },
    ];
    for spoil in spoil {
        let folder = tempfile::tempdir().unwrap();
        spoil(folder.path());
        let (_runsv, gateway) = below_runsv(folder.path());
        let other = Fixture::gateway_on(SECOND).start();
        let run = portclear(&["18789", "18791", "--json"]);
        assert_eq!((run.status, &run.json()["ports"][1]["status"]), (3, &"cleared".into()), "{run}");
        assert_eq!(run.process(gateway.pid())["rule"], "live", "{run}");
        untouched(&gateway);
        other.has_ended();
    }
    bystander.answers();
}

fn a02_a_note_of_another_process_spares_nobody() {
    let bystander = Bystander::start();
    for note in [None, Some(""), Some("1\n"), Some("4294967295"), Some("x")] {
        let folder = tempfile::tempdir().unwrap();
        if let Some(note) = note {
            fs::create_dir(folder.path().join("supervise")).unwrap();
            fs::write(folder.path().join("supervise/pid"), note).unwrap();
        }
        let (runsv, gateway) = below_runsv(folder.path());
        let run = portclear(&["18789", "--json", "--settle", "0s"]);
        cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
        lives(&run, &runsv);
    }
    bystander.answers();
}
