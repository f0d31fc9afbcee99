//! `-i` ends what the person has seen and approved, and nothing else.

use super::interactive::{QUESTION, asked};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c03_one_declined_holder_spares_them_all),
        case!(c06_a_holder_that_came_after_the_question_is_spared),
        case!(c06_a_holder_that_executed_itself_anew_is_spared),
        case!(c06_a_worker_that_came_after_the_question_is_spared),
        case!(a_yes_counts_for_the_port_of_the_question),
        case!(what_serves_another_port_is_not_asked_about),
    ]
}

fn c03_one_declined_holder_spares_them_all() {
    let bystander = Bystander::start();
    let [first, second] = [0, 1].map(|_| Fixture::silent().listen_reuseport(GATEWAY).start());
    let mut dialogue = asked(&[]);
    let facts = dialogue.shows(QUESTION);
    assert!(facts.contains("port 18789: 2 processes hold it, and all of them must end to free it"), "{facts}");
    dialogue.types("y\n");
    dialogue.shows(QUESTION);
    dialogue.types("n\n");
    dialogue.shows("Port 18789 stays held, so portclear ends nothing for it.");
    let run = dialogue.finish();
    assert_eq!(run.status, 3, "{run}");
    for holder in [&first, &second] {
        assert!(holder.is_alive());
        assert_eq!(holder.signals(), [""; 0]);
    }
    // Both.
    let mut dialogue = asked(&[]);
    for _ in 0..2 {
        dialogue.shows(QUESTION);
        dialogue.types("y\n");
    }
    let run = dialogue.finish();
    assert_eq!(run.status, 0, "{run}");
    first.has_ended();
    second.has_ended();
    bystander.answers();
}

/// While the person reads, another process takes the port.
fn c06_a_holder_that_came_after_the_question_is_spared() {
    let bystander = Bystander::start();
    for newcomer in [Fixture::gateway(), Fixture::other(GATEWAY)] {
        let stale = Fixture::gateway().start();
        let mut dialogue = asked(&[]);
        dialogue.shows(QUESTION);
        drop(stale);
        let newcomer = newcomer.start();
        dialogue.types("y\n");
        let run = dialogue.finish();
        assert_eq!(run.status, 3, "{run}");
        assert!(run.stderr.contains(&format!("node (pid {})", newcomer.pid())), "{run}");
        untouched(&newcomer);
    }
    // An older instance that waited for the port is stale, and nobody has approved it.
    let stale = Fixture::gateway().start();
    let waiting = Fixture::silent().start();
    let mut dialogue = asked(&[]);
    dialogue.shows(QUESTION);
    drop(stale);
    waiting.listen_also(GATEWAY);
    dialogue.types("y\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 3, "{run}");
    assert!(run.stderr.contains("spared: nobody approved its end"), "{run}");
    assert!(waiting.is_alive());
    assert_eq!(waiting.signals(), [""; 0]);
    bystander.answers();
}

fn c06_a_holder_that_executed_itself_anew_is_spared() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut dialogue = asked(&[]);
    dialogue.shows(QUESTION);
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let line = [path(gateway.exe()), path(gateway.script()), "gateway".to_owned()];
    gateway.exec(&line.each_ref().map(String::as_str), &MARKERS);
    dialogue.types("y\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 3, "{run}");
    assert!(run.stderr.contains("spared: nobody approved its end; its script lies in package openclaw"), "{run}");
    untouched(&gateway);
    bystander.answers();
}

fn c06_a_worker_that_came_after_the_question_is_spared() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let known = Fixture::silent().start_below(&gateway);
    let mut dialogue = asked(&[]);
    dialogue.shows("; also ended with it: node (pid ");
    dialogue.shows("End it, and 1 more process? [y/N] ");
    let newcomer = Fixture::silent().start_below(&gateway);
    dialogue.types("y\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(run.stdout.contains("cleared, 2 processes ended; a bind proves it; 1 process that it started"), "{run}");
    gateway.has_ended();
    known.has_ended();
    assert!(newcomer.is_alive());
    assert_eq!(newcomer.signals(), [""; 0]);
    bystander.answers();
}

/// The port that it holds with another one stays as it is. Its own port is another question.
fn a_yes_counts_for_the_port_of_the_question() {
    let bystander = Bystander::start();
    let both = Fixture::silent().listen_reuseport(GATEWAY).listen("127.0.0.1:18792").start();
    let one = Fixture::silent().listen_reuseport(GATEWAY).start();
    let mut dialogue = asked(&["18792"]);
    let facts = dialogue.shows(QUESTION);
    let both_first = facts.contains(&format!("node (pid {})", both.pid()));
    dialogue.types(if both_first { "y\n" } else { "n\n" });
    if both_first {
        dialogue.shows(QUESTION);
        dialogue.types("n\n");
    }
    dialogue.shows("Port 18789 stays held, so portclear ends nothing for it.");
    dialogue.shows(QUESTION);
    dialogue.types("n\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 3, "{run}");
    for process in [&both, &one] {
        assert!(process.is_alive());
        assert_eq!(process.signals(), [""; 0]);
    }
    bystander.answers();
}

/// A yes to one port's holder is no yes to another port's, though both are one instance.
fn what_serves_another_port_is_not_asked_about() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let one = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on("127.0.0.1:18792").start_below(&launcher);
    let run = asked(&[]).finish();
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.status, 3, "{run}");
    assert!(said.contains(&format!("an instance that also serves another port (node, pid {})", other.pid())), "{run}");
    assert!(!said.contains("[y/N]") && !said.contains("approved"), "{run}");
    let mut dialogue = asked(&["18792"]);
    for answer in ["y\n", "n\n"] {
        dialogue.shows("End it, and 2 more processes? [y/N] ");
        dialogue.types(answer);
    }
    let run = dialogue.finish();
    assert_eq!(run.status, 3, "{run}");
    for process in [&launcher, &one, &other] {
        assert!(process.is_alive());
        assert_eq!(process.signals(), [""; 0]);
    }
    bystander.answers();
}
