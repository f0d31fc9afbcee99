//! A launcher and its child that listens are one instance. The launcher ends first, so that it can end its child
//! itself.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_a_launcher_whose_child_listens_ends_first),
        case!(b04_a_worker_with_an_inherited_socket_ends_with_its_launcher),
        case!(b04_a_launcher_that_respawns_is_ended_first),
        case!(b04_what_a_shell_starts_again_is_not_chased),
        case!(b04_a_launcher_out_of_reach_spares_its_worker, Needs::Root),
    ]
}

fn b04_a_launcher_whose_child_listens_ends_first() {
    let bystander = Bystander::start();
    let session = Fixture::silent().marked(false).package("session").start();
    let launcher = Fixture::silent().start_below(&session);
    let worker = Fixture::gateway().start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &worker, "holder", "stale-instance");
    ended(&run, &launcher, "launcher", "stale-instance");
    // The worker is asked after the launcher is gone: the launcher might have ended it, or started another one.
    assert!(times(&run, worker.pid()).0 >= times(&run, launcher.pid()).1, "{run}");
    let still_there = format!("node (pid {}) is still there and may start it again", session.pid());
    assert_eq!(sentence(&run), format!("cleared, 2 processes ended; a bind proves it; {still_there}"), "{run}");
    assert!(can_bind(GATEWAY));
    lives(&run, &session);
    bystander.answers();
}

fn b04_a_worker_with_an_inherited_socket_ends_with_its_launcher() {
    let bystander = Bystander::start();
    let launcher = Fixture::gateway().start();
    let worker = launcher.fork();
    launcher.close_sockets();
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    said(&run, worker.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    worker.has_ended();
    assert_eq!(launcher.signals_of(worker.pid()), ["TERM"]);
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn answering() -> Option<u32> {
    ask(GATEWAY).ok().and_then(|line| line.split(' ').next()?.parse().ok())
}

fn b04_a_launcher_that_respawns_is_ended_first() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().respawns().start();
    let first = Fixture::gateway().start_below(&launcher);
    // The launcher starts another child when only the child is ended.
    first.process().kill();
    let mut second = None;
    until("a respawn", || {
        second = answering();
        second.is_some()
    });
    let second = Proc::of(second.unwrap());
    assert_eq!(second.parent(), launcher.pid());
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &launcher, "launcher", "stale-instance");
    said(&run, second.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    assert!(times(&run, second.pid()).0 >= times(&run, launcher.pid()).1, "{run}");
    second.has_ended();
    assert_eq!(run.processes().len(), 2, "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

/// The shell carries the marker, but it is no part of the service.
fn b04_what_a_shell_starts_again_is_not_chased() {
    let bystander = Bystander::start();
    let again = r#"exec 2>/dev/null; while :; do "$@"; done"#;
    let gateway = Fixture::gateway().behind(&["setpriv", "--pdeathsig=KILL", "--", "sh", "-c", again, "sh"]).start();
    let parent = Proc::of(gateway.process().parent());
    let mut traced = Portclear::new(&["18789", "--json", "--tree"]).traced();
    traced.run_to(libc::SYS_pidfd_send_signal);
    traced.run_to(libc::SYS_bind);
    assert!(!gateway.is_alive());
    let mut respawn = None;
    until("a respawn", || {
        respawn = answering();
        respawn.is_some()
    });
    let respawn = Proc::of(respawn.unwrap());
    let run = traced.finish();
    assert_eq!(run.status, 6, "{run}");
    said(&run, gateway.pid(), ["holder", "stale-instance", "ended"], &["SIGTERM"]);
    said(&run, respawn.pid(), ["holder", "newer", "untouched"], &[]);
    assert!(sentence(&run).ends_with(&format!("(pid {})", parent.pid())), "{run}");
    assert_eq!(answering(), Some(respawn.pid()));
    assert_eq!(gateway.signals_of(respawn.pid()), [""; 0]);
    assert!(parent.is_alive());
    bystander.answers();
}

/// The launcher could start the worker again, so ending the worker alone would be for nothing.
fn b04_a_launcher_out_of_reach_spares_its_worker() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().uid(NOBODY).start_below(&launcher);
    // Runs as the user nobody, who may read every process and signal only his own.
    let reader = "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-kill \
                  --inh-caps=-all,+sys_ptrace,+dac_read_search \
                  --ambient-caps=-all,+sys_ptrace,+dac_read_search --";
    let reader: Vec<&str> = reader.split_whitespace().collect();
    for options in [&["18789", "--json"][..], &["18789", "--json", "--tree"]] {
        let run = Portclear::new(options).through(&reader).run();
        assert_eq!(run.status, 4, "{run}");
        said(&run, worker.pid(), ["holder", "stale-instance", "untouched"], &[]);
        said(&run, launcher.pid(), ["launcher", "stale-instance", "untouched"], &[]);
        let who = format!("process {} of uid 0 may not be signalled from here", launcher.pid());
        assert!(sentence(&run).starts_with(&who), "{run}");
        lives(&run, &launcher);
        lives(&run, &worker);
        worker.answers();
    }
    bystander.answers();
}
