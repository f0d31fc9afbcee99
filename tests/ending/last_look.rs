//! The last look at a port is the last thing that a call does. A port that somebody has taken by then is not free.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d08_a_port_taken_after_the_proof_is_no_success),
        case!(d08_a_free_port_taken_during_a_sweep_is_no_success),
    ]
}

/// The probe, and the proof after the end, are binds. The third is the last look.
fn d08_a_port_taken_after_the_proof_is_no_success() {
    for taken_by_a_gateway in [true, false] {
        let bystander = Bystander::start();
        let gateway = Fixture::gateway().start();
        let mut run = Portclear::new(&["127.0.0.1:18789", "--json"]).traced();
        (0..3).for_each(|_| run.run_to(libc::SYS_bind));
        gateway.has_ended();
        let next = if taken_by_a_gateway { Fixture::gateway() } else { Fixture::other(GATEWAY) }.start();
        let run = run.finish();
        assert_eq!(run.status, 6, "{run}");
        assert_eq!(run.json()["ports"][0]["status"], "respawned", "{run}");
        assert!(sentence(&run).starts_with(&format!("cleared, and taken again by node (pid {})", next.pid())), "{run}");
        untouched(&next);
        bystander.answers();
    }
}

fn d08_a_free_port_taken_during_a_sweep_is_no_success() {
    let bystander = Bystander::start();
    let mut run = Portclear::new(&["127.0.0.1:18789", "--json", "--sweep"]).traced();
    (0..2).for_each(|_| run.run_to(libc::SYS_bind));
    let next = Fixture::gateway().start();
    let run = run.finish();
    spared(&run, 3, next.pid(), "newer");
    untouched(&next);
    bystander.answers();
}
