//! Several servers call `bind` at once. One serves in the end, and no older one has ended a newer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bind_server::{Program, said, serve};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(of_two_at_once_one_serves_fifty_times),
        case!(of_five_at_once_one_serves_fifty_times),
        case!(a_port_taken_between_the_clear_and_the_listen_is_told),
    ]
}

fn of_two_at_once_one_serves_fifty_times() {
    rounds(2);
}

fn of_five_at_once_one_serves_fifty_times() {
    rounds(5);
}

/// The winner of each round is the stale instance of the next.
fn rounds(count: usize) {
    let bystander = Bystander::start();
    let program = Program::new("gateway");
    let mut last = program.serve(GATEWAY);
    let (mut refusals, mut ended) = (0, 0);
    for round in 0..50 {
        tick_after(last.start_ticks());
        let task = json!({ "bind": GATEWAY, "gated": true });
        let mut servers = vec![last];
        for _ in 0..count {
            let mut server = program.start(&task);
            match round % 3 {
                // Each goes as soon as it is started.
                0 => server.go(),
                // They start one clock tick apart, or within the same few ticks. Then all go at once.
                1 => tick_after(server.start_ticks()),
                _ => {}
            }
            servers.push(server);
        }
        if round % 3 > 0 {
            until("all wait at the gate", || {
                servers.iter().all(|server| server.process().exe().is_some_and(|exe| exe == program.path))
            });
            servers.iter_mut().skip(1).for_each(Server::go);
        }
        let starts = servers.iter().map(|server| (server.pid(), server.start_ticks()));
        let starts: BTreeMap<u32, u64> = starts.collect();
        until("one is left", || servers.iter().filter(|server| server.process().is_alive()).count() <= 1);
        let alive = servers.iter().position(|server| server.process().is_alive());
        let alive = alive.unwrap_or_else(|| panic!("round {round} ends with none"));
        last = servers.remove(alive);
        assert_eq!(said(&mut last)["serves"], last.pid());
        let outcomes: Vec<(u32, Outcome)> = servers.iter_mut().map(outcome).collect();
        let senders: Vec<u32> = outcomes.iter().filter_map(|(_, outcome)| outcome.asked_by()).collect();
        for (pid, outcome) in &outcomes {
            match outcome {
                Outcome::AskedToEnd(by) => {
                    assert!(starts[by] > starts[pid], "round {round}: {by} ended {pid}: {starts:?}");
                    ended += 1;
                }
                Outcome::Refused(refused) => {
                    is_named(refused, &starts);
                    let sent = refused["refused"].as_str().unwrap().contains("nothing was signalled");
                    assert!(!(sent && senders.contains(pid)), "round {round}: {refused}");
                    refusals += 1;
                }
            }
        }
        assert_eq!(ask(GATEWAY).unwrap(), format!("{} bind", last.pid()), "round {round}");
    }
    // Each round ends at least the server of the round before. Without some of each kind, nothing has raced.
    assert!(ended >= 50 && refusals >= 10, "{ended} ended, {refusals} refused");
    bystander.answers();
}

enum Outcome {
    /// It served, and this process asked it to end.
    AskedToEnd(u32),
    Refused(Value),
}

impl Outcome {
    fn asked_by(&self) -> Option<u32> {
        match self {
            Self::AskedToEnd(by) => Some(*by),
            Self::Refused(_) => None,
        }
    }
}

/// The outcome of a server that has ended.
fn outcome(server: &mut Server) -> (u32, Outcome) {
    let mut last = Value::Null;
    while let Some(line) = server.line() {
        last = serde_json::from_str(&line).unwrap();
    }
    let (status, errors) = server.ended();
    let outcome = match last["asked_by"].as_u64() {
        Some(by) => Outcome::AskedToEnd(by.try_into().unwrap()),
        None => Outcome::Refused(last.clone()),
    };
    let code = i32::from(matches!(outcome, Outcome::Refused(_)));
    assert_eq!((status.code(), &errors[..]), (Some(code), ""), "{last}");
    (server.pid(), outcome)
}

/// The refusal names a holder, which is one of this round's servers.
fn is_named(refused: &Value, starts: &BTreeMap<u32, u64>) {
    let text = refused["refused"].as_str().unwrap();
    let holders = refused["holders"].as_array().unwrap_or_else(|| panic!("no holders: {refused}"));
    let mut pids = holders.iter().filter_map(|holder| holder[0].as_u64());
    let is_named = |pid: u64| text.contains(&format!("pid {pid}")) && starts.contains_key(&pid.try_into().unwrap());
    assert!(pids.any(is_named), "nobody is named: {refused}, {starts:?}");
}

/// Both sockets can be bound, but only one can listen. So std's bind is refused after all.
fn a_port_taken_between_the_clear_and_the_listen_is_told() {
    let bystander = Bystander::start();
    // The tracer knows the program by this name.
    let program = Program::new("portclear");
    let mut stale = program.serve(GATEWAY);
    let through = ["/bin/sh", "-c", r#"exec "$0""#, program.path.to_str().unwrap()];
    let server = Portclear::new(&[]).env("PORTCLEAR_TESTS_BIND", serve(GATEWAY).to_string()).through(&through);
    let mut server = server.traced();
    // No look of portclear ever listens, so this is the server's own call.
    server.run_to(libc::SYS_listen);
    assert_eq!(said(&mut stale)["asked_by"], server.process().pid());
    let rival = Fixture::other(GATEWAY).start();
    let run = server.finish();
    assert_eq!(run.status, 1, "{run}");
    let refused = run.printed();
    // The refusal still tells what was done before.
    let text = refused["refused"].as_str().unwrap();
    let again = format!(": cleared, and taken again by node (pid {}), started by ", rival.pid());
    assert!(text.contains(&again) && !text.contains("nothing was signalled"), "{text}");
    let holders = json!([[stale.pid(), 1, "Stale(Instance)"], [rival.pid(), 0, "Spared(Foreign)"]]);
    assert_eq!(refused["holders"], holders, "{refused}");
    rival.answers();
    assert_eq!(rival.signals(), [""; 0]);
    bystander.answers();
}
