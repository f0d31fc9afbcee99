//! A pid file names an instance of any service. It must have been written by that process: an older file may name a
//! process that is long gone, and its pid somebody else's by now.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b06_a_pid_file_names_an_instance),
        case!(b06_what_was_forked_from_it_belongs_to_it),
        case!(a02_a_pid_file_of_another_process_is_no_evidence),
        case!(a02_a_pid_file_of_another_user_is_no_evidence, Needs::Root),
        case!(e05_a_pid_file_that_is_none_stops_nobody),
    ]
}

fn asked(path: &Path) -> Run {
    portclear(&["18789", "--json", "--pid-file", path.to_str().unwrap()])
}

fn b06_a_pid_file_names_an_instance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postmaster.pid");
    for rest in ["", "\n", "\n/var/lib/data\n1700000000\n", " x"] {
        let bystander = Bystander::start();
        let server = Fixture::other(GATEWAY).start();
        left_alone(&portclear(&JSON), &[(server.process(), "foreign")]);
        fs::write(&path, format!("{}{rest}", server.pid())).unwrap();
        let run = asked(&path);
        instances_ended(&run, &[server.process()]);
        let said = reason(&run, server.process());
        assert!(said.ends_with(&format!("the pid file {} names it", path.display())), "{said}");
        bystander.answers();
    }
}

fn b06_what_was_forked_from_it_belongs_to_it() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gunicorn.pid");
    let server = Fixture::other(GATEWAY).start();
    let worker = server.fork();
    fs::write(&path, server.pid().to_string()).unwrap();
    let run = asked(&path);
    instances_ended(&run, &[server.process(), &worker]);
    assert!(reason(&run, &worker).contains(&format!("it belongs to its ancestor {}", server.pid())), "{run}");
    bystander.answers();
}

fn a02_a_pid_file_of_another_process_is_no_evidence() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pid");
    let server = Fixture::other(GATEWAY).start();
    let pid = server.pid();
    for text in [format!("{}", pid + 1), format!("-{pid}"), format!("x{pid}"), String::new()] {
        fs::write(&path, text).unwrap();
        left_alone(&asked(&path), &[(server.process(), "foreign")]);
    }
    // Left over from an earlier process with the same pid, or from a clock that was wrong.
    fs::write(&path, pid.to_string()).unwrap();
    let hour = Duration::from_secs(3600);
    for time in [SystemTime::now() - hour, SystemTime::now() + hour] {
        File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        left_alone(&asked(&path), &[(server.process(), "foreign")]);
    }
    untouched(&server);
    bystander.answers();
}

fn a02_a_pid_file_of_another_user_is_no_evidence() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pid");
    let server = Fixture::other(GATEWAY).start();
    fs::write(&path, server.pid().to_string()).unwrap();
    std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
    left_alone(&asked(&path), &[(server.process(), "foreign")]);
    untouched(&server);
    bystander.answers();
}

fn e05_a_pid_file_that_is_none_stops_nobody() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let huge = folder.path().join("huge");
    File::create(&huge).unwrap().set_len(1 << 30).unwrap();
    let server = Fixture::other(GATEWAY).start();
    for path in [&fifo, &huge, folder.path(), Path::new("/dev/null"), &folder.path().join("none")] {
        let run = asked(path);
        left_alone(&run, &[(server.process(), "foreign")]);
        assert!(run.elapsed < SLACK, "{run}");
    }
    untouched(&server);
    bystander.answers();
}
