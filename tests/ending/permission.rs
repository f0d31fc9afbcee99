//! A process that may not be signalled is not dead. The answer names its user, and no other holder is ended either.

use std::time::Duration;

use procfs::process::Process;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d06_roots_gateway_is_out_of_nobodys_reach, Needs::Root),
        case!(d06_a_process_that_may_only_be_read_is_spared, Needs::Root),
        case!(d06_one_out_of_reach_spares_the_other, Needs::Root),
        case!(d06_refused_at_the_signal_is_not_dead, Needs::Root),
        case!(d12_a_worker_is_asked_at_once_where_its_launcher_may_not_be_signalled, Needs::Root),
    ]
}

fn owner(fixture: &Fixture) -> u32 {
    let status = Process::new(fixture.pid().try_into().unwrap()).unwrap().status().unwrap();
    status.euid
}

/// Runs as the user nobody, who may read every process and signal only his own.
fn reader(arguments: &[&str]) -> Portclear {
    let capable = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all,+sys_ptrace,+dac_read_search",
        "--ambient-caps=-all,+sys_ptrace,+dac_read_search",
        "--bounding-set=-kill",
        "--",
    ];
    Portclear::new(arguments).through(&capable)
}

fn d06_roots_gateway_is_out_of_nobodys_reach() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = Portclear::new(&["18789", "--json"]).uid(NOBODY).run();
    assert_eq!(run.status, 4, "{run}");
    assert_eq!(sentence(&run), "held by a process of uid 0 that cannot be seen from here");
    let advised = Portclear::new(&["18789"]).uid(NOBODY).run();
    assert!(
        advised.stderr.ends_with("/portclear 18789` (tries again as root, and ends it if it is stale)\n"),
        "{advised}"
    );
    assert_eq!(gateway.signals(), [""; 0]);
    gateway.answers();
    // The command that it names does work.
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    bystander.answers();
}

fn d06_a_process_that_may_only_be_read_is_spared() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let run = reader(&["18789", "--json"]).run();
    assert_eq!(run.status, 4, "{run}");
    let holder = run.process(gateway.pid());
    assert_eq!((&holder["verdict"], &holder["rule"]), (&"stale".into(), &"stale-instance".into()), "{run}");
    assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    let pid = gateway.pid();
    assert_eq!(sentence(&run), format!("process {pid} of uid 0 may not be signalled from here"));
    assert_eq!(gateway.signals(), [""; 0]);
    gateway.answers();
    bystander.answers();
}

fn d06_one_out_of_reach_spares_the_other() {
    let bystander = Bystander::start();
    let own = Fixture::gateway().uid(NOBODY).start();
    let others = Fixture::gateway_on("127.0.0.2:18789").start();
    let run = reader(&["18789", "--json"]).run();
    assert_eq!(run.status, 4, "{run}");
    for gateway in [&own, &others] {
        let holder = run.process(gateway.pid());
        assert_eq!((&holder["verdict"], &holder["outcome"]), (&"stale".into(), &"untouched".into()), "{run}");
        assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
        assert_eq!(gateway.signals(), [""; 0]);
        gateway.answers();
    }
    assert!(sentence(&run).starts_with(&format!("process {} of uid 0 may not", others.pid())), "{run}");
    // Alone, it is within reach.
    let run = reader(&[GATEWAY, "--json"]).run();
    assert_eq!(run.status, 0, "{run}");
    own.has_ended();
    others.answers();
    bystander.answers();
}

/// Starts a fixture as the user nobody, who may become root later.
fn may_become_root(builder: Builder) -> Fixture {
    // The shell stays, so that the harness finds its child.
    let line =
        r#"setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+setuid --ambient-caps=+setuid -- "$@"; :"#;
    builder.behind(&["setpriv", "--pdeathsig=KILL", "--", "sh", "-c", line, "sh"]).start()
}

fn becomes_root(fixture: &Fixture) {
    let program = "import os, time; os.setresuid(0, 0, 0); time.sleep(1000)";
    fixture.exec(&[fixture.exe().to_str().unwrap(), "-c", program], &[]);
    until("root's", || owner(fixture) == 0);
}

/// It was within reach when it was judged. It has become another user's since.
fn d06_refused_at_the_signal_is_not_dead() {
    let bystander = Bystander::start();
    let gateway = may_become_root(Fixture::gateway());
    let mut run = reader(&["18789", "--json"]).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    becomes_root(&gateway);
    let run = run.finish();
    assert_eq!(run.status, 4, "{run}");
    assert!(gateway.is_alive() && !can_bind(GATEWAY));
    assert_eq!(run.process(gateway.pid())["outcome"], "not-permitted", "{run}");
    assert_eq!(run.sent(gateway.pid()), [""; 0], "{run}");
    assert!(sentence(&run).contains("may not be signalled from here"), "{run}");
    bystander.answers();
}

/// The launcher has become another user's at its signal. The worker does not have to wait for half of the ten seconds.
fn d12_a_worker_is_asked_at_once_where_its_launcher_may_not_be_signalled() {
    let bystander = Bystander::start();
    let launcher = may_become_root(Fixture::silent());
    let worker = Fixture::gateway().start_below(&launcher);
    let mut run = reader(&["18789", "--json"]).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    becomes_root(&launcher);
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    said(&run, launcher.pid(), ["launcher", "stale-instance", "not-permitted"], &[]);
    assert!(launcher.is_alive());
    ended(&run, &worker, "holder", "stale-instance");
    assert!(times(&run, worker.pid()).0 < Duration::from_secs(5), "{run}");
    bystander.answers();
}
