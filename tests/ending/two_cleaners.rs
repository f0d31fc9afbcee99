//! Two calls at once both succeed, and neither kills what drains.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(c10_two_cleaners_at_once_both_succeed), case!(c10_two_cleaners_that_have_both_judged_both_succeed)]
}

fn c10_two_cleaners_at_once_both_succeed() {
    let bystander = Bystander::start();
    for round in 0..10 {
        // The drain is longer in each round, so that some calls find it in the middle. A second signal ends it at
        // once.
        let drain = OnTerm::Drain(20 * round);
        let gateway = Fixture::gateway().on_term(drain).start();
        let cleaners = [(); 2].map(|()| Portclear::new(&JSON).spawn());
        let runs = cleaners.map(Running::finish);
        for run in &runs {
            assert_eq!(run.status, 0, "{run}");
            let port = run.json()["ports"][0].take();
            let signals: Vec<&str> = port["holders"].as_array().unwrap().iter().flat_map(sent).collect();
            assert!(signals.is_empty() || signals == ["SIGTERM"], "{run}");
        }
        let status = gateway.status();
        assert_eq!(status.signal(), None, "killed: {}\n{}", runs[0], runs[1]);
        let signals = gateway.signals();
        assert!(signals == ["TERM"] || signals == ["TERM", "TERM"], "{signals:?}");
        assert!(can_bind(GATEWAY));
    }
    bystander.answers();
}

fn c10_two_cleaners_that_have_both_judged_both_succeed() {
    let bystander = Bystander::start();
    // The other call has ended it before this one sends its signal.
    let gateway = Fixture::gateway().start();
    let mut late = Portclear::new(&JSON).traced();
    late.run_to(libc::SYS_pidfd_send_signal);
    cleared(&portclear(&JSON), gateway.pid(), "stale-instance", &["SIGTERM"]);
    // It must be reaped: a zombie would still take the signal.
    assert_eq!(gateway.status().code(), Some(0));
    let run = late.finish();
    assert_eq!(run.status, 0, "{run}");
    let holder = run.json()["ports"][0]["holders"][0].take();
    assert_eq!((sent(&holder), &holder["outcome"]), (vec![], &json!("ended-by-itself")), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    drop(gateway);

    // Both calls wait for the same end.
    let gateway = Fixture::gateway().on_term(OnTerm::Drain(60_000)).start();
    let mut first = Portclear::new(&JSON).traced();
    first.run_to_call(libc::SYS_pidfd_send_signal, |arguments| arguments[1] == libc::SIGCONT as u64);
    until("the first signal", || gateway.signals() == ["TERM"]);
    cleared(&portclear(&JSON), gateway.pid(), "stale-instance", &["SIGTERM"]);
    cleared(&first.finish(), gateway.pid(), "stale-instance", &["SIGTERM"]);
    assert_eq!(gateway.signals(), ["TERM", "TERM"]);
    assert_eq!(gateway.status().code(), Some(1));
    bystander.answers();
}
