//! Among very many descriptors several threads share the reading, and every holder is found.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b08_several_threads_find_every_holder),
        case!(b08_a_holder_is_found_where_no_thread_can_be_started, Needs::Root),
        case!(g04_no_thread_is_started_under_a_filter),
    ]
}

/// Opens so many descriptors that several threads read them.
const CROWD: &str = "import os, resource, signal
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for _ in range(1200):
    os.open('/dev/null', os.O_RDONLY)
signal.pause()";

/// It is the first process that is read in its namespace: processes that start later have greater pids.
#[track_caller]
fn crowd(namespace: &PidNs, uid: u32) -> Fixture {
    let crowd = Fixture::silent().marked(false).uid(uid).inside(namespace).start();
    crowd.exec(&["/usr/bin/python3", "-c", CROWD], &[]);
    let folder = format!("/proc/{}/fd", crowd.pid());
    until("a crowd", || std::fs::read_dir(&folder).is_ok_and(|fds| fds.count() > 1200));
    crowd
}

/// How many threads or processes it tried to start.
fn started(calls: &[Call]) -> usize {
    calls.iter().filter(|call| [libc::SYS_clone, libc::SYS_clone3].contains(&call.number)).count()
}

fn inside(namespace: &PidNs) -> Portclear {
    Portclear::new(&JSON).inside(namespace)
}

fn b08_several_threads_find_every_holder() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let crowd = crowd(&namespace, 0);
    // There are so many holders that each thread finds some of them.
    let gateway = Fixture::gateway().inside(&namespace).start();
    let children: Vec<Proc> = (0..40).map(|_| gateway.fork()).collect();
    for _ in 0..8 {
        let run = Portclear::new(&["--json", "--dry-run", GATEWAY]).inside(&namespace).run();
        let holders = run.json()["ports"][0]["holders"].take();
        let stale = |holder: &&serde_json::Value| holder["verdict"] == "stale";
        assert_eq!(holders.as_array().unwrap().iter().filter(stale).count(), 1 + children.len(), "{run}");
    }
    drop(gateway);
    children.iter().for_each(Proc::kill);
    for _ in 0..3 {
        let gateway = Fixture::gateway().inside(&namespace).start();
        let other = Fixture::other("127.0.0.2:18789").inside(&namespace).start();
        let run = Portclear::new(&["--json", GATEWAY]).inside(&namespace).run();
        assert_eq!((run.status, run.process(gateway.inner_pid())["verdict"].as_str()), (0, Some("stale")), "{run}");
        gateway.has_ended();
        let (run, calls) = inside(&namespace).traced().record();
        assert_eq!((run.status, run.process(other.inner_pid())["rule"].as_str()), (3, Some("foreign")), "{run}");
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(started(&calls), cores.min(8) - 1, "{run}");
        other.answers();
    }
    assert!(crowd.is_alive());
    bystander.answers();
}

fn b08_a_holder_is_found_where_no_thread_can_be_started() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let crowd = crowd(&namespace, NOBODY);
    let gateway = Fixture::gateway().uid(NOBODY).inside(&namespace).start();
    // The limit leaves room for the program itself, and for no second thread.
    let single = ["/usr/bin/prlimit", "--nproc=1"];
    let (run, calls) = inside(&namespace).uid(NOBODY).through(&single).traced().record();
    assert!(started(&calls) > 0 || std::thread::available_parallelism().unwrap().get() == 1, "{run}");
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    assert!(crowd.is_alive());
    bystander.answers();
}

fn g04_no_thread_is_started_under_a_filter() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let crowd = crowd(&namespace, 0);
    let gateway = Fixture::gateway().inside(&namespace).start();
    let filter = ["/usr/bin/python3", "-c", include_str!("../support/refuse.py"), "netlink"];
    let (run, calls) = inside(&namespace).through(&filter).traced().record();
    assert_eq!((run.status, started(&calls)), (0, 0), "{run}");
    gateway.has_ended();
    assert!(crowd.is_alive());
    bystander.answers();
}
