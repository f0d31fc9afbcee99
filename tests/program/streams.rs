//! Results stand on standard output, refusals and errors on standard error. The exit status is right even if nobody
//! reads, or if there is nothing to write to.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(each_port_is_told_on_its_own_stream_in_their_order),
        case!(quiet_is_silent_but_for_refusals_and_errors),
        case!(several_ports_are_summed_up),
        case!(a_closed_reader_changes_no_status),
        case!(what_one_stream_lost_the_other_still_says),
        case!(closed_descriptors_change_no_status),
    ]
}

const CLOSED: [&str; 3] = ["/bin/sh", "-c", r#"exec "$0" "$@" <&- >&- 2>&-"#];

const TWO_IN_ONE: [&str; 3] = ["/bin/sh", "-c", r#"exec "$0" "$@" 2>&1"#];

/// The titles of the lines, as far as the second colon.
fn titles(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split(": ").nth(1).unwrap()).collect()
}

fn each_port_is_told_on_its_own_stream_in_their_order() {
    let bystander = Bystander::start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let line = ["-v", "18791", "1002", NOT_OURS, "18789"];
    let not_ours = format!("port {NOT_OURS}");
    let gateway = Fixture::gateway().start();
    let run = portclear(&line);
    assert_eq!(run.status, 3, "{run}");
    gateway.has_ended();
    assert_eq!(titles(&run.stdout), ["port 18791", "port 18789", "port 18789"], "{run}");
    assert_eq!(titles(&run.stderr), ["port 1002", "port 1002", &not_ours, "4 ports"], "{run}");
    // A line has all that is known of the holder.
    let known = ["; command: ", "; lineage: ", "; memory: "];
    assert!(known.iter().all(|known| run.stderr.contains(known) && run.stdout.contains(known)), "{run}");
    assert!(run.stdout.contains("; markers: OPENCLAW_SERVICE_MARKER=openclaw "), "{run}");

    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&line).through(&TWO_IN_ONE).run();
    gateway.has_ended();
    let all = ["port 18791", "port 1002", "port 1002", &not_ours, "port 18789", "port 18789", "4 ports"];
    assert_eq!(titles(&run.stdout), all, "{run}");
    foreign.answers();
    bystander.answers();
}

fn quiet_is_silent_but_for_refusals_and_errors() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    for _ in 0..2 {
        let run = portclear(&["-q", "18789", "18791"]);
        assert_eq!((run.status, &run.stdout[..], &run.stderr[..]), (0, "", ""), "{run}");
    }
    gateway.has_ended();
    let run = portclear(&["-q", "1002"]);
    assert_eq!((run.status, &run.stdout[..], titles(&run.stderr)), (3, "", vec!["port 1002"; 2]), "{run}");
    let answer = run.stderr.lines().last().unwrap();
    assert!(answer.contains(": held, and left alone: nothing was signalled; next: `"), "{run}");
    let run = portclear(&["-q", NOT_OURS]);
    assert_eq!((run.status, &run.stdout[..]), (1, ""), "{run}");
    let sentence = format!("portclear: port {NOT_OURS}: could not find out: cannot try to bind {NOT_OURS}: ");
    assert!(run.stderr.starts_with(&sentence) && run.stderr.lines().count() == 1, "{run}");
    // A person at a terminal reads the same lines.
    let run = Portclear::new(&["-q", "1002"]).on_terminal(Terminal::Both);
    assert_eq!((run.status, titles(&run.stderr)), (3, vec!["port 1002"; 2]), "{run}");
    foreign.answers();
    bystander.answers();
}

fn several_ports_are_summed_up() {
    let bystander = Bystander::start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let gateway = Fixture::gateway().start();
    let run = portclear(&["18789", "18791", "1002", "18792"]);
    gateway.has_ended();
    assert_eq!(run.stderr.lines().last(), Some("portclear: 4 ports: 1 cleared, 2 free, 1 held"), "{run}");
    // Without a refusal it is a result.
    let gateway = Fixture::gateway().start();
    let run = portclear(&["-n", "18789", "18791"]);
    assert_eq!((run.status, &run.stderr[..]), (0, ""), "{run}");
    assert_eq!(run.stdout.lines().last(), Some("portclear: 2 ports: 1 would be cleared, 1 free"), "{run}");
    // Of one port, and where nothing else is said, there is nothing to sum up.
    for line in [&["-n", "18789"][..], &["18791", "18792"], &["18791", "18791"], &["-q", "-n", "18789", "18791"]] {
        assert!(!portclear(line).said().contains("ports: "), "{line:?}");
    }
    let run = Portclear::new(&["-n", "18789", "18791", "--color", "never"]).on_terminal(Terminal::Both);
    assert!(run.stdout.ends_with("\n\n2 ports: 1 would be cleared, 1 free\n"), "{run}");
    let run = portclear(&["1002", NOT_OURS]);
    assert_eq!(run.stderr.lines().last(), Some("portclear: 2 ports: 1 held, 1 unknown"), "{run}");
    untouched(&gateway);
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
        let gateway = Fixture::gateway().start();
        let line = [&[NOT_OURS, "1002", "18789"], way].concat();
        let run = Portclear::new(&line).stderr(unread()).run();
        gateway.has_ended();
        assert_eq!(run.status, 3, "{way:?}: {run}");
        assert!(run.stdout.contains("18789"), "{way:?}: {run}");
        let gateway = Fixture::gateway().start();
        let run = Portclear::new(&line).through(&DEAF).run();
        gateway.has_ended();
        assert_eq!(run.status, 3, "{way:?}: {run}");
        assert!(run.stdout.contains("18789"), "{way:?}: {run}");
        // A refusal after a result that nobody reads is said all the same.
        let gateway = Fixture::gateway().start();
        let run = Portclear::new(&[&["18789", "1002"], way].concat()).stdout(unread()).run();
        gateway.has_ended();
        assert_eq!(run.status, 3, "{way:?}: {run}");
        assert_eq!(run.stderr.contains("1002"), way != ["--json"], "{way:?}: {run}");
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
