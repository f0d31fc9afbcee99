//! A process that becomes another program is judged anew before each signal.

use super::moments::{At, is_check_of};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e03_exec_between_scan_and_signal_spares_it),
        case!(e03_exec_of_one_of_two_spares_both),
        case!(e03_exec_between_term_and_kill_spares_it),
        case!(e03_a_server_that_executes_itself_anew_is_not_killed),
        case!(c06_what_a_server_that_executes_itself_anew_has_started_lives),
        case!(e03_exec_that_let_go_of_the_port_leaves_it_free),
        case!(e03_exec_while_it_is_read_spares_it),
    ]
}

/// A parent for a holder. It is not portclear's parent, so portclear reads it for the holder alone.
fn parent() -> Fixture {
    Fixture::silent().package("other").marked(false).start()
}

/// Runs portclear up to its look at the holder's parent. By then it has read the holder, and has not judged it.
fn after_the_facts(run: &mut Traced, holder: &Fixture) {
    let parent = u64::from(holder.process().parent());
    run.run_to_call(libc::SYS_kill, |call| call[..2] == [parent, 0]);
}

fn becomes_another(gateway: &Fixture, other: &Fixture) {
    gateway.exec(&[other.exe().to_str().unwrap(), other.script().to_str().unwrap()], &[]);
}

fn e03_exec_between_scan_and_signal_spares_it() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let parent = parent();
    let gateway = Fixture::gateway().start_below(&parent);
    let mut run = Portclear::new(&["18789", "--json"]).traced();
    after_the_facts(&mut run, &gateway);
    becomes_another(&gateway, &another);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    let holder = run.process(gateway.pid());
    assert_eq!((&holder["rule"], &holder["outcome"]), (&"foreign".into(), &"untouched".into()), "{run}");
    assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    bystander.answers();
}

fn e03_exec_of_one_of_two_spares_both() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let parents = [parent(), parent()];
    let stays = Fixture::gateway_on("127.0.0.2:18789").start_below(&parents[0]);
    let changes = Fixture::gateway().start_below(&parents[1]);
    // portclear reads the older one first.
    let mut run = Portclear::new(&["18789", "--json"]).traced();
    after_the_facts(&mut run, &stays);
    after_the_facts(&mut run, &changes);
    becomes_another(&changes, &another);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    for gateway in [&stays, &changes] {
        gateway.answers();
        assert_eq!(gateway.signals(), [""; 0]);
        assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    }
    assert_eq!(run.process(stays.pid())["rule"], "stale-instance", "{run}");
    assert_eq!(run.process(changes.pid())["rule"], "foreign", "{run}");
    bystander.answers();
}

fn e03_exec_between_term_and_kill_spares_it() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let program = Portclear::new(&["18789", "--json", "--grace", "100ms"]);
    let run = At::Wait.stop(program, gateway.pid());
    assert_eq!(gateway.signals(), ["TERM"]);
    becomes_another(&gateway, &another);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    assert_eq!(run.process(gateway.pid())["outcome"], "changed", "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    let sentence = "held by a process that executed a program after its signal, and left alone";
    assert_eq!(run.json()["ports"][0]["sentence"], sentence, "{run}");
    bystander.answers();
}

/// It executes itself in its own place and keeps its listener. What serves at the end of the grace is no longer what
/// was asked to end.
fn e03_a_server_that_executes_itself_anew_is_not_killed() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let program = Portclear::new(&["18789", "--json", "--grace", "100ms"]);
    let run = At::Wait.stop(program, gateway.pid());
    gateway.exec(&[gateway.exe().to_str().unwrap(), gateway.script().to_str().unwrap(), "gateway"], &[]);
    let run = run.finish();
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    let holder = run.process(gateway.pid());
    assert_eq!((&holder["outcome"], &holder["rule"]), (&"changed".into(), &"stale-instance".into()), "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    bystander.answers();
}

/// One child is older than the call, the other one is the new program's. portclear goes on when the grace is over, or
/// when there is still some of it left.
fn c06_what_a_server_that_executes_itself_anew_has_started_lives() {
    let bystander = Bystander::start();
    for grace in ["1ms", "3s"] {
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let older = Fixture::mcp().start_below(&gateway);
        let program = Portclear::new(&[&TREE[..], &["--grace", grace]].concat());
        let run = At::Wait.stop(program, gateway.pid());
        gateway.exec(&[gateway.exe().to_str().unwrap(), gateway.script().to_str().unwrap(), "gateway"], &[]);
        let new = Fixture::mcp().start_below(&gateway);
        let run = run.finish();
        assert_eq!(run.status, 3, "{run}");
        gateway.answers();
        said(&run, gateway.pid(), ["holder", "stale-instance", "changed"], &["SIGTERM"]);
        said(&run, older.pid(), ["offspring", "tree", "untouched"], &[]);
        lives(&run, &older);
        lives(&run, &new);
        assert_eq!(run.processes().len(), 2, "{run}");
        assert_eq!(older.process().parent(), gateway.pid());
    }
    bystander.answers();
}

fn e03_exec_that_let_go_of_the_port_leaves_it_free() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let program = Portclear::new(&["18789", "--json", "--grace", "100ms"]);
    let run = At::Wait.stop(program, gateway.pid());
    gateway.close_sockets();
    becomes_another(&gateway, &another);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert!(gateway.is_alive() && can_bind(GATEWAY));
    assert_eq!(run.process(gateway.pid())["outcome"], "changed", "{run}");
    assert_eq!(run.sent(gateway.pid()), ["SIGTERM"], "{run}");
    bystander.answers();
}

/// The exec comes at the end of each look before the signal. After the last one nothing looks again.
fn e03_exec_while_it_is_read_spares_it() {
    let bystander = Bystander::start();
    let another = Fixture::other(SECOND).start();
    let program = || Portclear::new(&["18789", "--json"]).traced();
    let gateway = Fixture::gateway().start();
    let (run, calls) = program().record();
    ended(&run, &gateway, "holder", "stale-instance");
    let check = is_check_of(&gateway);
    let looks = calls.iter().take_while(|call| call.number != libc::SYS_pidfd_send_signal);
    let looks = looks.filter(|call| call.number == libc::SYS_kill && check(call.arguments)).count();
    assert!(looks >= 2, "judged, and looked at again: {looks}");
    for look in 1..=looks {
        let gateway = Fixture::gateway().start();
        let mut run = program();
        for _ in 0..look {
            run.run_to_call(libc::SYS_kill, is_check_of(&gateway));
        }
        gateway.exec(&[another.exe().to_str().unwrap(), another.script().to_str().unwrap()], &[]);
        let run = run.finish();
        assert_eq!(run.status, 3, "look {look} of {looks}: {run}");
        gateway.answers();
        lives(&run, &gateway);
        assert_eq!(run.process(gateway.pid())["rule"], "foreign", "look {look} of {looks}: {run}");
    }
    bystander.answers();
}
