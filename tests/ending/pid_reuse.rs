//! A process may get the pid of one that has ended. It is not signalled in its place.

use super::moments::At;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(e01_a_pid_reused_before_it_is_pinned_is_not_signalled),
        case!(e01_a_pid_reused_while_it_is_pinned_is_not_signalled),
        case!(e01_a_pid_reused_after_it_was_read_is_not_signalled),
        case!(e01_a_pid_reused_before_the_signal_is_not_signalled),
        case!(e01_the_next_owner_of_an_offsprings_pid_and_its_child_live),
    ]
}

fn e01_a_pid_reused_before_it_is_pinned_is_not_signalled() {
    reused(At::Pin);
}

fn e01_a_pid_reused_while_it_is_pinned_is_not_signalled() {
    reused(At::Open);
}

fn e01_a_pid_reused_after_it_was_read_is_not_signalled() {
    reused(At::Check);
}

fn e01_a_pid_reused_before_the_signal_is_not_signalled() {
    reused(At::Signal);
}

/// Each newcomer lives: a stranger, a gateway on another port, the next gateway on this port, a stranger on this
/// port.
fn reused(at: At) {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let heirs = [
        (Fixture::other(SECOND), 0),
        (Fixture::gateway_on(SECOND), 0),
        (Fixture::gateway(), 3),
        (Fixture::other(GATEWAY), 3),
    ];
    for (heir, status) in heirs {
        let gateway = Fixture::gateway().inside(&namespace).start();
        let pid = gateway.inner_pid();
        let run = at.stop(Portclear::new(&["18789", "--json"]).inside(&namespace), pid);
        gateway.process().kill();
        // The pid is free only once the process is reaped.
        gateway.status();
        namespace.next_pid(pid);
        let heir = heir.inside(&namespace).start();
        assert_eq!(heir.inner_pid(), pid);
        let run = run.finish();
        assert_eq!(run.status, status, "at {at}: {run}");
        heir.answers();
        assert!(heir.is_alive(), "at {at}: {run}");
        assert_eq!(heir.signals(), [""; 0], "at {at}: {run}");
        assert_eq!(gateway.signals(), [""; 0], "at {at}: {run}");
        assert!(!run.stdout.contains("SIGTERM"), "at {at}: {run}");
    }
    bystander.answers();
}

const RUN: &str = "0123456789abcdef0123456789abcdef";

fn e01_the_next_owner_of_an_offsprings_pid_and_its_child_live() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().env("INVOCATION_ID", RUN).on_term(OnTerm::Ignore).inside(&namespace).start();
    // init reaps an orphan. Any other parent would leave a zombie, and the pid would not be free.
    let server = namespace.orphan(Fixture::mcp().env("INVOCATION_ID", RUN));
    let pid = server.inner_pid();
    let options = [&TREE[..], &["--grace", "2s"]].concat();
    let mut run = Portclear::new(&options).inside(&namespace).traced();
    // The gateway gets SIGTERM and SIGCONT, and the offspring the same at half the grace. This stops before the
    // fourth.
    for _ in 0..4 {
        run.run_to(libc::SYS_pidfd_send_signal);
    }
    server.has_ended();
    until("reaped", || server.process().state().is_none());
    namespace.next_pid(pid);
    let heir = Fixture::other(SECOND).inside(&namespace).start();
    assert_eq!(heir.inner_pid(), pid);
    let child = Fixture::other("127.0.0.1:18792").start_below(&heir);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, gateway.inner_pid(), ["holder", "stale-instance", "ended"], &["SIGTERM", "SIGKILL"]);
    said(&run, pid, ["offspring", "tree", "ended"], &["SIGTERM"]);
    assert_eq!(run.processes().len(), 2, "{run}");
    for fixture in [&heir, &child] {
        fixture.answers();
        assert!(fixture.is_alive(), "{run}");
        assert_eq!(fixture.signals(), [""; 0], "{run}");
    }
    bystander.answers();
}
