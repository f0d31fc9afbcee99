//! Every failure has an exit status and a sentence of its own.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(g02_every_failure_has_its_status_and_sentence),
        case!(g02_what_nobody_may_not_see_is_not_free, Needs::Root),
    ]
}

fn g02_every_failure_has_its_status_and_sentence() {
    let mut sentences = Vec::new();
    let mut expect = |status: i32, sentence: &str, run: &Run| {
        assert_eq!(run.status, status, "{run}");
        let said = if status == 0 { &run.stdout } else { &run.stderr };
        assert!(said.contains(sentence), "{sentence:?} is not in {run}");
        let others = sentences.iter().filter(|other: &&String| said.contains(other.as_str()));
        assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{run}");
        sentences.push(sentence.to_owned());
    };
    expect(0, "port 18789: free", &portclear(&["18789", "-v"]));
    let gateway = Fixture::gateway().start();
    for bad in ["0", "65536", "+1", "", "gateway.example:18789"] {
        assert_eq!(portclear(&["18789", bad]).status, 2);
    }
    expect(2, "a port is a number from 1 to 65535", &portclear(&["18789", "65536"]));
    untouched(&gateway);
    let namespace = PidNs::new();
    let run = Portclear::new(&["18789"]).inside(&namespace).run();
    expect(4, "held by a process of uid 0 that is not visible in this /proc", &run);
    untouched(&gateway);
    drop(gateway);

    let foreign = Fixture::other(GATEWAY).start();
    expect(3, "held, and left alone: nothing was signalled", &portclear(&["18789"]));
    untouched(&foreign);
    drop(foreign);

    let bound = Fixture::silent().bound_exclusively(GATEWAY).start();
    let sentence = "a process has bound the port and does not listen";
    expect(4, sentence, &portclear(&["18789"]));
    assert!(bound.is_alive() && bound.signals().is_empty());
    drop(bound);

    let stubborn = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let run = portclear(&["18789", "--grace", "100ms", "--no-kill"]);
    expect(5, "still held: 1 process signalled and still there", &run);
    stubborn.answers();
    assert_eq!(stubborn.signals(), ["TERM"]);
    let killed = portclear(&["18789", "--grace", "0s"]);
    expect(0, "cleared, 1 process ended, cut off by SIGKILL; a bind proves it", &killed);
    stubborn.has_ended();
}

fn g02_what_nobody_may_not_see_is_not_free() {
    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&["18789"]).uid(NOBODY).run();
    assert_eq!(run.status, 4, "{run}");
    let sentence = "portclear: port 18789: held by a process of uid 0 that cannot be seen from here; next: `sudo /";
    assert!(
        run.stderr.starts_with(sentence)
            && run.stderr.ends_with("/portclear 18789` (tries again as root, and ends it if it is stale)\n"),
        "{run}"
    );
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{run}");
    untouched(&gateway);
    drop(gateway);
    let run = Portclear::new(&["18789", "-v"]).uid(NOBODY).run();
    assert_eq!((run.status, &run.stdout[..]), (0, "portclear: port 18789: free\n"), "{run}");
}
