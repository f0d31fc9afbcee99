//! The scenes in a pid namespace of their own: what is said of several processes stands in the order of their pids,
//! which only there never begin anew, and only there the machine's other processes have no part in it.

use super::book::{holds_inside, holds_traced};
use super::{AT, PORT, SECOND};
use crate::support::*;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(sweep_without_a_leftover),
        case!(another_users, Needs::Root),
        case!(out_of_reach, Needs::Root),
        case!(launcher_and_workers),
        case!(ended_by_itself),
        case!(tree),
        case!(remainder),
        case!(elsewhere),
        case!(respawned_by_itself),
        case!(respawned_by_another),
    ]
}

/// It looks at all units there are.
fn sweep_without_a_leftover() {
    holds_inside("sweep_without_a_leftover", &["--sweep", "18789"], |line, namespace| {
        let _gateway = Fixture::gateway().inside(namespace).start();
        Portclear::new(line).inside(namespace).run()
    });
}

fn another_users() {
    holds_inside("another_users", &PORT, |line, namespace| {
        let _gateway = Fixture::gateway().inside(namespace).start();
        Portclear::new(line).uid(NOBODY).inside(namespace).run()
    });
}

/// Half of an instance may be read and not signalled.
fn out_of_reach() {
    let reader = "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-kill \
                  --inh-caps=-all,+sys_ptrace,+dac_read_search \
                  --ambient-caps=-all,+sys_ptrace,+dac_read_search --";
    let reader: Vec<&str> = reader.split_whitespace().collect();
    holds_inside("out_of_reach", &PORT, |line, namespace| {
        let launcher = Fixture::silent().inside(namespace).start();
        let _worker = Fixture::gateway().uid(NOBODY).start_below(&launcher);
        Portclear::new(line).through(&reader).inside(namespace).run()
    });
}

/// A process with what was started below it.
#[track_caller]
fn holds_below(
    name: &str, arguments: &[&str], launcher: impl Fn() -> Builder, more: impl Fn(&Fixture) -> Vec<Fixture>,
) {
    holds_inside(name, arguments, |line, namespace| {
        let launcher = launcher().inside(namespace).start();
        let _more = more(&launcher);
        Portclear::new(line).inside(namespace).run()
    });
}

fn launcher_and_workers() {
    holds_below("launcher_and_workers", &PORT, Fixture::silent, |launcher| {
        // Alike, and so one line.
        (0..9).for_each(|_| launcher.fork().keep());
        vec![Fixture::gateway().start_below(launcher), Fixture::silent().start_below(launcher)]
    });
}

fn ended_by_itself() {
    let forwards = || Fixture::silent().on_term(OnTerm::Forward);
    let worker = |launcher: &Fixture| vec![Fixture::gateway().start_below(launcher)];
    holds_below("ended_by_itself", &PORT, forwards, worker);
}

/// What a gateway started, and what that started.
fn servers(gateway: &Fixture) -> Vec<Fixture> {
    let server = Fixture::silent().package("mcp").start_below(gateway);
    let deeper = Fixture::other(SECOND).start_below(&server);
    vec![server, deeper]
}

fn tree() {
    holds_below("tree", &["--tree", "18789"], Fixture::gateway, servers);
}

fn remainder() {
    holds_below("remainder", &PORT, Fixture::gateway, servers);
}

fn elsewhere() {
    let two = |launcher: &Fixture| [AT, SECOND].map(|at| Fixture::gateway_on(at).start_below(launcher)).into();
    holds_below("elsewhere", &PORT, Fixture::silent, two);
}

fn respawned_by_itself() {
    holds_inside("respawned_by_itself", &PORT, |line, namespace| {
        let _gateway = Fixture::gateway().on_term(OnTerm::HandOver).inside(namespace).start();
        let run = Portclear::new(line).inside(namespace).run();
        // Its successor has yet to read the script.
        until("an answer", || ask(AT).is_ok());
        run
    });
}

fn respawned_by_another() {
    holds_traced("respawned_by_another", &PORT, |line| {
        let namespace = PidNs::new();
        let parent = Fixture::silent().marked(false).package("session").respawns().inside(&namespace).start();
        let gateway = Fixture::gateway().start_below(&parent);
        let mut run = Portclear::new(line).inside(&namespace).traced();
        run.run_to(libc::SYS_pidfd_send_signal);
        // Between the end of the old one and the bind the new one is there, however slowly it starts.
        run.run_to(libc::SYS_bind);
        gateway.has_ended();
        until("a respawn", || ask(AT).is_ok());
        let run = run.finish();
        // Before the files from which it would start another one.
        drop(parent);
        run
    });
}
