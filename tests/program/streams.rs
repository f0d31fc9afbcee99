//! The exit status is right even if nobody reads, or if there is nothing to write to.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(quiet_is_silent_but_for_errors),
        case!(a_closed_reader_changes_no_status),
        case!(what_one_stream_lost_the_other_still_says),
        case!(closed_descriptors_change_no_status),
    ]
}

const CLOSED: [&str; 3] = ["/bin/sh", "-c", r#"exec "$0" "$@" <&- >&- 2>&-"#];

fn quiet_is_silent_but_for_errors() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    for (line, status) in [(["-q", "1002"], 3), (["-q", "18789"], 0), (["-q", "18789"], 0)] {
        let run = portclear(&line);
        assert_eq!((run.status, &run.stdout[..], &run.stderr[..]), (status, "", ""), "{line:?}");
    }
    gateway.has_ended();
    let run = portclear(&["-q", "1002", NOT_OURS]);
    assert_eq!((run.status, &run.stdout[..]), (3, ""), "{run}");
    let sentence = format!("portclear: port {NOT_OURS}: could not find out: cannot try to bind {NOT_OURS}: ");
    assert!(run.stderr.starts_with(&sentence) && run.stderr.lines().count() == 1, "{run}");
    foreign.answers();
    bystander.answers();
}

/// Standard error is on a full disk.
const DEAF: [&str; 3] = ["/bin/sh", "-c", r#"exec "$0" "$@" 2>/dev/full"#];

/// The writing end of a pipe that nobody reads.
fn unread() -> OwnedFd {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

const WAYS: [&[&str]; 4] = [&[], &["-v"], &["--json"], &["--color", "always"]];

fn a_closed_reader_changes_no_status() {
    let bystander = Bystander::start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    for way in WAYS {
        let gateway = Fixture::gateway().start();
        let line = [&["1002", NOT_OURS, "18789"], way].concat();
        let run = Portclear::new(&line).stdout(unread()).run();
        assert_eq!(run.status, 3, "{line:?}: {run}");
        assert!(!run.stderr.contains("panicked"), "{line:?}: {run}");
        gateway.has_ended();
        let run = Portclear::new(&line).stdout(unread()).stderr(unread()).run();
        assert_eq!(run.status, 3, "{line:?}: {run}");
    }
    for (line, status) in [(["--help", "1"], 0), (["1", "0"], 2)] {
        assert_eq!(Portclear::new(&line).stdout(unread()).stderr(unread()).run().status, status);
    }
    foreign.answers();
    bystander.answers();
}

fn what_one_stream_lost_the_other_still_says() {
    let bystander = Bystander::start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    for way in WAYS {
        let run = Portclear::new(&[&[NOT_OURS, "1002"], way].concat()).stderr(unread()).run();
        assert_eq!(run.status, 3, "{way:?}: {run}");
        assert!(run.stdout.contains("1002"), "{way:?}: {run}");
        let run = Portclear::new(&[&[NOT_OURS, "1002"], way].concat()).through(&DEAF).run();
        assert_eq!(run.status, 3, "{way:?}: {run}");
        assert!(run.stdout.contains("1002"), "{way:?}: {run}");
    }
    foreign.answers();
    bystander.answers();
}

fn closed_descriptors_change_no_status() {
    let bystander = Bystander::start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    for way in WAYS {
        let gateway = Fixture::gateway().on_term(OnTerm::Drain(300)).start();
        let line = [&["18789"], way].concat();
        let run = Portclear::new(&line).through(&CLOSED).run();
        assert_eq!(run.status, 0, "{line:?}: {run}");
        assert_eq!(gateway.status().code(), Some(0));
        assert!(run.elapsed >= Duration::from_millis(300), "{line:?}: {run}");
        let run = Portclear::new(&[&["1002", NOT_OURS], way].concat()).through(&CLOSED).run();
        assert_eq!((run.status, &run.stdout[..], &run.stderr[..]), (3, "", ""), "{line:?}");
    }
    for (line, status) in [(["--help", "1"], 0), (["1", "0"], 2), ([NOT_OURS, "1"], 1)] {
        assert_eq!(Portclear::new(&line).through(&CLOSED).run().status, status);
    }
    foreign.answers();
    bystander.answers();
}
