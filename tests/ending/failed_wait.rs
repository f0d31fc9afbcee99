//! The wait for processes may fail. The error is told, with all that was done before it, and nothing more is done.

use serde_json::json;

use super::moments::At;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e05_where_the_end_cannot_be_waited_for_nobody_is_killed),
        case!(e05_where_the_rest_cannot_be_counted_the_cleared_holder_is_told),
    ]
}

const FAILED: &str = "could not find out: cannot wait for a process: Invalid argument (os error 22)";

/// The only port has this error, and so has the run.
#[track_caller]
fn failed(run: &Run) {
    let document = run.json();
    let port = &document["ports"][0];
    assert_eq!((run.status, &document["exit"], &port["exit"]), (1, &json!(1), &json!(1)), "{run}");
    assert_eq!([&port["status"], &port["sentence"]], ["error", FAILED], "{run}");
}

/// Both have a minute left. The second one is asked after its parent, so it gets nothing at all.
fn e05_where_the_end_cannot_be_waited_for_nobody_is_killed() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let server = Fixture::mcp().on_term(OnTerm::Ignore).start_below(&gateway);
    let program = Portclear::new(&[&TREE[..], &["--grace", "1min"]].concat());
    let mut run = At::Wait.stop(program, gateway.pid());
    run.fail_wait();
    let run = run.finish();
    failed(&run);
    said(&run, gateway.pid(), ["holder", "stale-instance", "survived"], &["SIGTERM"]);
    said(&run, server.pid(), ["offspring", "tree", "survived"], &[]);
    assert!(gateway.is_alive() && server.is_alive());
    assert_eq!((gateway.signals(), server.signals()), (vec!["TERM".to_owned()], vec![]));
    gateway.answers();
    bystander.answers();
}

fn e05_where_the_rest_cannot_be_counted_the_cleared_holder_is_told() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let server = Fixture::mcp().start_below(&gateway);
    let mut run = At::Signal.stop(Portclear::new(&JSON), gateway.pid());
    run.run_to_call(libc::SYS_pidfd_open, |call| call[0] == u64::from(server.pid()));
    run.fail_wait();
    let run = run.finish();
    failed(&run);
    ended(&run, &gateway, "holder", "stale-instance");
    assert_eq!(run.processes().len(), 1, "{run}");
    assert!(can_bind(GATEWAY));
    lives(&run, &server);
    bystander.answers();
}
