//! A person at a terminal sees colours and a live line. Nothing else gets them.

use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_terminal_gets_a_block_in_colour),
        case!(colours_are_shown_to_those_who_want_them),
        case!(a_pipe_gets_a_line_per_holder),
        case!(the_live_line_comes_and_goes),
        case!(the_live_line_counts_to_one_deadline),
        case!(the_live_line_fits_the_terminal),
        case!(a_terminal_that_cannot_erase_gets_no_line),
        case!(a_watch_says_that_the_port_is_free),
        case!(no_live_line_where_standard_error_is_no_terminal),
        case!(a_terminal_shows_an_error_once),
    ]
}

fn rows(block: &str) -> Vec<&str> {
    block.lines().filter_map(|line| line.strip_prefix("    ")?.split(' ').next()).collect()
}

fn a_terminal_gets_a_block_in_colour() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let run = Portclear::new(&["18789", "1002"]).on_terminal(Terminal::Both);
    assert_eq!(run.status, 3, "{run}");
    gateway.has_ended();
    for styled in ["\x1b[1mport 18789\x1b[0m: ", "\x1b[1m\x1b[32mcleared", "\x1b[2mverdict"] {
        assert!(run.stdout.contains(styled), "{styled:?}: {run}");
    }
    for styled in ["\x1b[1m\x1b[33mheld", "\x1b[2mverdict", "\x1b[2mnext\x1b[0m  kill ", "\x1b[2m# ends it, "] {
        assert!(run.stderr.contains(styled), "{styled:?}: {run}");
    }

    let plain = Portclear::new(&["1002", "--color", "never"]).on_terminal(Terminal::Both).stderr;
    let mut lines = plain.lines();
    assert_eq!(lines.next(), Some("port 1002: held, and left alone: nothing was signalled"), "{plain}");
    // A command stands alone, so that it can be copied, and the safest is the first.
    let kill = format!("  next  kill {}  # ends it, if you no longer need it", foreign.pid());
    let package =
        format!("  next  {PROGRAM} -n --package other 1002 --color never  # shows whether it is your service");
    assert_eq!(lines.next(), Some(&package[..]), "{plain}");
    assert_eq!(lines.next(), Some(&kill[..]), "{plain}");
    let any = format!("  next  {PROGRAM} --any-owner 1002 --color never  # ends it, whatever it is");
    assert_eq!(lines.next(), Some(&any[..]), "{plain}");
    assert_eq!(lines.next(), Some(""));
    assert_eq!(lines.next(), Some(&format!("  node (pid {})", foreign.pid())[..]), "{plain}");
    let mut expected = vec!["verdict", "listens", "exe", "command", "started", "lineage", "memory"];
    let shown = |block: &str| -> Vec<String> {
        rows(block).into_iter().filter(|row| *row != "unit").map(str::to_owned).collect()
    };
    assert_eq!(shown(&plain), expected, "{plain}");
    assert!(plain.contains(&format!("({}) → node({})\n", std::process::id(), foreign.pid())), "{plain}");
    // There are more where there is more to tell.
    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&["18789", "--color", "never"]).on_terminal(Terminal::Both);
    expected.insert(1, "done");
    expected.insert(7, "markers");
    assert_eq!(shown(&run.stdout), expected, "{run}");
    assert!(run.stdout.contains("OPENCLAW_SERVICE_MARKER=openclaw OPENCLAW_SERVICE_KIND=gateway\n"), "{run}");
    assert!(run.stdout.contains("done      SIGTERM after ") && run.stdout.contains(", gone after "), "{run}");
    gateway.has_ended();
    foreign.answers();
    bystander.answers();
}

fn colours_are_shown_to_those_who_want_them() {
    let foreign = Fixture::other("127.0.0.1:1002").start();
    let on = |line: &[&str], environment: &[(&str, &str)], terminal: Option<Terminal>| {
        let mut program = Portclear::new(&[&["1002"], line].concat());
        for (key, value) in environment {
            program = program.env(key, *value);
        }
        let run = match terminal {
            Some(terminal) => program.on_terminal(terminal),
            None => program.run(),
        };
        assert_eq!(run.status, 3, "{run}");
        assert!(run.stderr.contains("port 1002") && run.stdout.is_empty(), "{run}");
        run.stderr.contains('\x1b')
    };
    let (none, terminal) = (&[][..], Some(Terminal::Stderr));
    let no_color = &[("NO_COLOR", "1")][..];
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<Terminal>, bool);
    let table: [Row<'_>; 8] = [
        (&[], none, terminal, true),
        (&[], no_color, terminal, false),
        (&["--color", "never"], none, terminal, false),
        (&["--color", "always"], no_color, terminal, true),
        (&[], none, Some(Terminal::Stdout), false),
        (&["-v"], none, None, false),
        // A line has no colours.
        (&["-v", "--color", "always"], none, None, false),
        (&["-v", "--color", "auto"], none, None, false),
    ];
    for (line, environment, terminal, coloured) in table {
        assert_eq!(on(line, environment, terminal), coloured, "{line:?} {environment:?} {terminal:?}");
    }
    // A document has no colours.
    let json = Portclear::new(&["1002", "--json", "--color", "always"]).on_terminal(Terminal::Both);
    assert!(json.json().is_object() && !json.stdout.contains('\x1b'), "{json}");
    foreign.answers();
}

fn a_pipe_gets_a_line_per_holder() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let child = gateway.fork();
    // Standard error has no say about standard output.
    let run = Portclear::new(&["18789"]).on_terminal(Terminal::Stderr);
    assert_eq!(run.status, 0, "{run}");
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run}");
    for (line, pid) in lines.iter().zip([gateway.pid(), child.pid()]) {
        let exe = gateway.exe().display();
        assert!(line.starts_with(&format!("portclear: port 18789: node (pid {pid}, uid 0")), "{run}");
        let facts = [
            format!(", exe {exe}, unit "),
            "s) on 127.0.0.1:18789: stale: an older instance".into(),
            ", run -, age ".into(),
        ];
        assert!(facts.iter().all(|fact| line.contains(fact)), "{run}");
        assert!(line.contains(": SIGTERM after ") && line.ends_with(" ms"), "{run}");
    }
    assert_eq!(lines[2], "portclear: port 18789: cleared, 2 processes ended; a bind proves it", "{run}");
    bystander.answers();
}

/// The states of the live line. None but the last is without an erasure before it.
fn live(stderr: &str) -> Vec<String> {
    let states = stderr.split("\r\x1b[K").map(|state| {
        let line = state.strip_prefix("\x1b[?7l").unwrap_or(state);
        line.strip_suffix("\x1b[?7h").unwrap_or(line).to_owned()
    });
    states.collect()
}

/// The seconds that a state names, in the order of the line.
fn seconds(state: &str) -> Vec<u32> {
    let words: Vec<&str> = state.split([' ', ',', ';']).collect();
    words.windows(2).filter(|two| two[1] == "s").map(|two| two[0].parse().unwrap()).collect()
}

fn the_live_line_comes_and_goes() {
    let bystander = Bystander::start();
    let (killed, spared) = (&["--grace", "1500ms"][..], &["--grace", "1500ms", "--no-kill"][..]);
    for (line, first, status) in [(killed, "4 s left, SIGKILL in 2 s", 0), (spared, "2 s left", 5)] {
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let wide = Screen { columns: 200, ..Terminal::Both.into() };
        let run = Portclear::new(&[&["18789"], line].concat()).on_terminal(wide);
        assert_eq!(run.status, status, "{run}");
        let shown = live(&run.stderr);
        // The first and the last write is an erasure. A refusal follows then.
        let (before, after) = (&shown[0][..], &shown[shown.len() - 1][..]);
        assert_eq!((before, after.is_empty()), ("", status == 0), "{run}");
        assert!(shown.len() >= 4, "{run}");
        let waiting = format!("waiting for node (pid {}) to end: {first}; Ctrl-C stops waiting", gateway.pid());
        assert_eq!(shown[1], waiting, "{run}");
        assert!(!run.stdout.contains("Ctrl-C"), "{run}");
    }
    // First there are many targets, and then one that goes at once.
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let forks: Vec<Proc> = (0..6).map(|_| gateway.fork()).collect();
    let run = Portclear::new(&["18789", "--grace", "1s"]).on_terminal(Terminal::Stderr);
    assert_eq!(run.status, 0, "{run}");
    assert!(live(&run.stderr)[1].contains(" and 6 more: "), "{run}");
    forks.iter().for_each(Proc::has_ended);
    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&["18789"]).on_terminal(Terminal::Both);
    assert_eq!((run.status, &run.stderr[..]), (0, ""), "{run}");
    gateway.has_ended();
    bystander.answers();
}

/// A drain that ends after SIGKILL was announced, and one that SIGKILL ends.
fn the_live_line_counts_to_one_deadline() {
    let bystander = Bystander::start();
    let [first, second] = ["127.0.0.1:18789", "127.0.0.2:18789"]
        .map(|address| Fixture::gateway_on(address).on_term(OnTerm::Ignore).start());
    // SIGKILL does not end it at once.
    let held = hold_at_exit(&first);
    let run = Portclear::new(&["18789", "--grace", "2s"]).on_terminal(Terminal::Both);
    drop(held);
    assert_eq!(run.status, 5, "{run}");
    let shown: Vec<Vec<u32>> =
        live(&run.stderr).iter().map(|state| seconds(state)).filter(|one| !one.is_empty()).collect();
    let deadline: Vec<u32> = shown.iter().map(|numbers| numbers[0]).collect();
    let kill: Vec<u32> = shown.iter().filter_map(|numbers| numbers.get(1).copied()).collect();
    assert!(deadline.is_sorted_by(|a, b| a >= b) && kill.is_sorted_by(|a, b| a >= b), "{shown:?}: {run}");
    assert_eq!((deadline[0], deadline.last(), &kill[..]), (4, Some(&1), &[2, 1][..]), "{shown:?}: {run}");
    assert!(run.stderr.contains("2 s left, SIGKILL sent"), "{run}");
    second.has_ended();
    bystander.answers();
}

fn the_live_line_fits_the_terminal() {
    let bystander = Bystander::start();
    let widths: [(u16, &[&str]); 5] = [
        (200, &["waiting for node (pid ", ") to end: 4 s left, SIGKILL in 2 s; Ctrl-C stops waiting"]),
        (80, &["waiting for node (pid ", "): 4 s left, SIGKILL in 2 s; Ctrl-C stops"]),
        (40, &["node (", "): 4 s, ^C stops"]),
        (20, &["4 s left, ^C stops"]),
        (10, &["4 s left"]),
    ];
    for (columns, parts) in widths {
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let screen = Screen { columns, ..Terminal::Both.into() };
        let run = Portclear::new(&["18789", "--grace", "1500ms"]).on_terminal(screen);
        assert_eq!(run.status, 0, "{run}");
        let shown = live(&run.stderr);
        assert!(shown.iter().all(|state| state.chars().count() < columns.into()), "{columns}: {run}");
        assert!(shown[1].starts_with(parts[0]) && shown[1].ends_with(parts[parts.len() - 1]), "{columns}: {run}");
        gateway.has_ended();
    }
    // Nothing that says something fits there.
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let screen = Screen { columns: 5, ..Terminal::Both.into() };
    let run = Portclear::new(&["18789", "--grace", "500ms"]).on_terminal(screen);
    assert_eq!((run.status, &run.stderr[..]), (0, ""), "{run}");
    gateway.has_ended();
    bystander.answers();
}

fn a_terminal_that_cannot_erase_gets_no_line() {
    let bystander = Bystander::start();
    for term in [Some("dumb"), Some(""), None] {
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let screen = Screen { term, ..Terminal::Stderr.into() };
        let run = Portclear::new(&["18789", "--grace", "500ms"]).on_terminal(screen);
        assert_eq!((run.status, &run.stderr[..]), (0, ""), "{term:?}: {run}");
        gateway.has_ended();
    }
    bystander.answers();
}

fn a_watch_says_that_the_port_is_free() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    let widths = [
        (200, "port 18789 is free; checking that it stays free; Ctrl-C stops checking"),
        (60, "port 18789 is free; ^C stops checking"),
        (20, "port 18789 is free"),
    ];
    for (columns, said) in widths {
        let gateway = Fixture::gateway().start_below(&session);
        let screen = Screen { columns, ..Terminal::Both.into() };
        let run = Portclear::new(&["18789"]).on_terminal(screen);
        assert_eq!((run.status, live(&run.stderr)), (0, vec![String::new(), said.to_owned(), String::new()]), "{run}");
        gateway.has_ended();
    }
    bystander.answers();
}

fn no_live_line_where_standard_error_is_no_terminal() {
    let bystander = Bystander::start();
    let wait = ["18789", "--grace", "500ms"];
    let ways: [(&[&str], Option<Terminal>); 5] = [
        (&[], Some(Terminal::Stdout)),
        (&["--color", "always"], None),
        (&["--json"], Some(Terminal::Both)),
        (&["-q"], Some(Terminal::Both)),
        (&["-v"], None),
    ];
    for (way, terminal) in ways {
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let program = Portclear::new(&[&wait[..], way].concat());
        let run = match terminal {
            Some(terminal) => program.on_terminal(terminal),
            None => program.run(),
        };
        assert_eq!((run.status, &run.stderr[..]), (0, ""), "{way:?}: {run}");
        assert!(!run.stdout.contains("Ctrl-C"), "{way:?}: {run}");
        assert_eq!(run.stdout.is_empty(), way == ["-q"], "{way:?}: {run}");
        gateway.has_ended();
    }
    bystander.answers();
}

fn a_terminal_shows_an_error_once() {
    let run = Portclear::new(&["-q", NOT_OURS]).on_terminal(Terminal::Both);
    assert_eq!((run.status, &run.stdout[..]), (1, ""), "{run}");
    assert!(run.stderr.starts_with(&format!("portclear: port {NOT_OURS}: could not find out: ")), "{run}");
    assert_eq!(run.stderr.matches('\n').count(), 1, "{run}");
    // A person sees both streams on one screen, so the error is said once.
    for way in [&[][..], &["-v"]] {
        let run = Portclear::new(&[&[NOT_OURS][..], way].concat()).on_terminal(Terminal::Both);
        assert_eq!(run.status, 1, "{run}");
        assert!(run.stderr.contains("could not find out"), "{run}");
        assert_eq!(format!("{}{}", run.stdout, run.stderr).matches("could not find out").count(), 1, "{run}");
    }
    let run = Portclear::new(&["0"]).on_terminal(Terminal::Both);
    assert_eq!((run.status, &run.stdout[..]), (2, ""), "{run}");
    assert!(run.stderr.contains("error:") && run.stderr.contains("a port is a number from 1 to 65535"), "{run}");
}
