//! `-i`: a person sees the facts of each holder and says yes to it, or nothing is ended.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_yes_ends_the_holder),
        case!(anything_else_spares_it),
        case!(ctrl_c_at_a_question_ends_the_program_alone),
        case!(a02_a_protected_holder_is_not_asked_about),
        case!(the_question_counts_the_rest_of_the_instance),
        case!(a_holder_of_two_ports_is_asked_about_once),
        case!(the_question_names_the_other_listeners),
        case!(without_a_terminal_nothing_is_asked_and_nothing_touched),
        case!(an_answer_before_the_question_is_none),
        case!(of_a_live_one_its_supervisor_is_told, Needs::Root),
    ]
}

pub(super) const QUESTION: &str = "End it? [y/N] ";

pub(super) fn asked(more: &[&str]) -> Dialogue {
    Dialogue::start(Portclear::new(&[&["-i", "18789", "--color", "never"], more].concat()))
}

fn a_yes_ends_the_holder() {
    let bystander = Bystander::start();
    for (builder, yes, verdict) in [
        (Fixture::gateway(), "y\n", "stale: an older instance of OpenClaw"),
        (Fixture::other(GATEWAY), "Yes\n", "spared: "),
    ] {
        let holder = builder.start();
        let mut dialogue = asked(&[]);
        let facts = dialogue.shows(QUESTION);
        let named = format!("node (pid {})", holder.pid());
        for fact in ["port 18789: 1 process holds it", &named, verdict, "listens", "127.0.0.1:18789", "lineage"] {
            assert!(facts.contains(fact), "{fact}: {facts}");
        }
        untouched(&holder);
        dialogue.types(yes);
        let run = dialogue.finish();
        assert_eq!(run.status, 0, "{run}");
        assert!(
            run.stdout.contains("stale: a person approved its end; ") && run.stdout.contains("cleared, 1 process"),
            "{run}"
        );
        assert_eq!(holder.status().code(), Some(0));
        assert_eq!(holder.signals(), ["TERM"]);
        assert!(can_bind(GATEWAY));
    }
    bystander.answers();
}

fn anything_else_spares_it() {
    let bystander = Bystander::start();
    let stale = Fixture::gateway().start();
    // The last two: the end of the input, at once and after an answer without a newline.
    for no in ["n\n", "\n", "yess\n", "ye s\n", "j\n", "\x04", "y\x04\x04"] {
        let mut dialogue = asked(&[]);
        dialogue.shows(QUESTION);
        dialogue.types(no);
        dialogue.shows("Port 18789 stays held, so portclear ends nothing for it.");
        let run = dialogue.finish();
        assert_eq!(run.status, 3, "{no:?}: {run}");
        assert!(!run.stderr.contains("SIGTERM"), "{no:?}: {run}");
        // The person has just read the rest.
        let last: Vec<&str> = run.stderr.trim().lines().collect();
        assert!(matches!(last[..], [line] if line.starts_with("port 18789: held")), "{no:?}: {run}");
        untouched(&stale);
    }
    bystander.answers();
}

fn ctrl_c_at_a_question_ends_the_program_alone() {
    let stale = Fixture::gateway().start();
    let mut dialogue = asked(&[]);
    dialogue.shows(QUESTION);
    dialogue.running().process().signal(Signal::SIGINT);
    let run = dialogue.finish();
    assert_eq!((run.status, &run.stdout[..]), (128 + libc::SIGINT, ""), "{run}");
    untouched(&stale);
}

fn a02_a_protected_holder_is_not_asked_about() {
    let gateway = Fixture::gateway().start();
    let mut program = Portclear::new(&["-i", "18789", "--protect"]);
    program = program.arg(gateway.pid().to_string());
    let run = Dialogue::start(program).finish();
    assert_eq!(run.status, 3, "{run}");
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("spared: ") && !said.contains("[y/N]"), "{run}");
    untouched(&gateway);
}

fn the_question_counts_the_rest_of_the_instance() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let mut dialogue = asked(&[]);
    let facts = dialogue.shows("End it, and 1 more process? [y/N] ");
    let with = format!("port 18789: 1 process holds it; also ended with it: node (pid {})", launcher.pid());
    assert!(facts.contains(&with), "{facts}");
    dialogue.types("y\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 0, "{run}");
    launcher.has_ended();
    worker.has_ended();
    bystander.answers();
}

fn a_holder_of_two_ports_is_asked_about_once() {
    let bystander = Bystander::start();
    for (answer, status) in [("y\n", 0), ("n\n", 3)] {
        let gateway = Fixture::gateway().listen("127.0.0.1:18792").start();
        let mut dialogue = asked(&["18792"]);
        let facts = dialogue.shows(QUESTION);
        assert!(facts.contains("It also listens on 127.0.0.1:18792."), "{facts}");
        dialogue.types(answer);
        let run = dialogue.finish();
        assert_eq!((run.status, run.stderr.matches("[y/N]").count()), (status, 0), "{run}");
        assert_eq!(run.stderr.contains("Port 18792 stays held, so portclear ends nothing"), status == 3, "{run}");
        let said = if status == 3 { "declined" } else { "approved" };
        let above = format!("  node (pid {}) is {said} above", gateway.pid());
        let lines: Vec<&str> = run.stderr.lines().map(str::trim_end).collect();
        assert!(lines.windows(2).any(|two| two == ["port 18792: 1 process holds it", &above]), "{run}");
        assert_eq!(gateway.is_alive(), status == 3);
    }
    bystander.answers();
}

/// A yes ends what a process serves elsewhere, too: the holder, and a process that is ended with it.
fn the_question_names_the_other_listeners() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().listen("127.0.0.1:18792").listen("127.0.0.1:18793").start();
    let mut dialogue = asked(&[]);
    let facts = dialogue.shows(QUESTION);
    assert!(facts.contains("\nIt also listens on 127.0.0.1:18792, 127.0.0.1:18793."), "{facts}");
    dialogue.types("n\n");
    assert_eq!(dialogue.finish().status, 3);
    untouched(&gateway);
    drop(gateway);
    let gateway = Fixture::gateway().start();
    let worker = Fixture::other("127.0.0.1:18792").start_below(&gateway);
    let mut dialogue = asked(&["--tree"]);
    let facts = dialogue.shows("End it, and 1 more process? [y/N] ");
    let named = format!("node (pid {}) also listens on 127.0.0.1:18792.", worker.pid());
    assert!(facts.contains(&named) && !facts.contains("It also"), "{facts}");
    dialogue.types("n\n");
    assert_eq!(dialogue.finish().status, 3);
    untouched(&gateway);
    assert!(worker.is_alive());
    // What it serves alone is not repeated.
    drop(worker);
    let mut dialogue = asked(&[]);
    let facts = dialogue.shows(QUESTION);
    assert!(!facts.contains("also listens"), "{facts}");
    dialogue.types("n\n");
    assert_eq!(dialogue.finish().status, 3);
    bystander.answers();
}

fn without_a_terminal_nothing_is_asked_and_nothing_touched() {
    let gateway = Fixture::gateway().start();
    let (_ours, theirs) = terminal();
    let runs = [portclear(&["-i", "18789"]), Portclear::new(&["-i", "18789"]).stderr(theirs).run()];
    for run in runs {
        assert_eq!((run.status, &run.stdout[..]), (2, ""), "{run}");
    }
    let run = portclear(&["-i", "18789"]);
    assert!(run.stderr.contains("--interactive needs a terminal"), "{run}");
    for option in ["-n", "--json", "-q", "--sweep"] {
        let run = Dialogue::start(Portclear::new(&["-i", "18789", option])).finish();
        assert_eq!((run.status, &run.stdout[..]), (2, ""), "{run}");
        assert!(run.stderr.contains("cannot be used with"), "{run}");
    }
    untouched(&gateway);
}

fn an_answer_before_the_question_is_none() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let mut dialogue = Dialogue::typed_before(Portclear::new(&["-i", "18789"]), "y\n");
    dialogue.shows(QUESTION);
    untouched(&gateway);
    dialogue.types("\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 3, "{run}");
    untouched(&gateway);
    bystander.answers();
}

fn of_a_live_one_its_supervisor_is_told() {
    let bystander = Bystander::start();
    let container = PidNs::new();
    let gateway = Fixture::gateway().inside(&container).start();
    let mut dialogue = asked(&[]);
    let facts = dialogue.shows(QUESTION);
    assert!(facts.contains("spared: it runs in a pid namespace of its own"), "{facts}");
    assert!(facts.contains("Its supervisor may start it again."), "{facts}");
    dialogue.types("y\n");
    let run = dialogue.finish();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    bystander.answers();
}
