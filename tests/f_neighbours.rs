//! F. What lives beside an instance: a supervisor above, a server next to it.

use crate::f_launcher::{AT, ended, lives, said, sentence};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_a_supervisor_that_hides_its_script),
        case!(b04_what_a_launcher_started_beside_serves_another_port),
        case!(b04_a_port_that_is_refused_is_no_longer_asked_for),
        case!(f02_forks_where_nothing_is_put_at_random),
    ]
}

const SECOND: &str = "127.0.0.1:18791";
const THIRD: &str = "127.0.0.1:18792";

fn nothing_was_done(run: &Run, fixtures: &[&Fixture]) {
    assert_eq!(run.status, 3, "{run}");
    for fixture in fixtures {
        lives(run, fixture);
        assert_eq!(fixture.signals(), [""; 0], "{run}");
    }
}

/// A process manager of the service's own runtime, started from an environment that has the marker.
fn b04_a_supervisor_that_hides_its_script() {
    let bystander = Bystander::start();
    let supervisor = Fixture::silent().package("pm2").start();
    supervisor.set_title(b"PM2 v5.4.2: God Daemon");
    let gateway = Fixture::gateway().start_below(&supervisor);
    let other = Fixture::other(SECOND).marked(false).start_below(&supervisor);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    for fixture in [&supervisor, &other] {
        lives(&run, fixture);
        assert_eq!(fixture.signals(), [""; 0], "{run}");
    }
    other.answers();
    bystander.answers();
}

/// Neither a part of the instance by what it executes, nor by a marker: it loses its parent all the same.
fn b04_what_a_launcher_started_beside_serves_another_port() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let gateway = Fixture::gateway().start_below(&launcher);
    let other = Fixture::other(SECOND).marked(false).start_below(&launcher);
    let titled = Fixture::gateway_on(THIRD).start_below(&launcher);
    titled.set_title(b"openclaw-gateway");
    let run = portclear(&["18789", "--json"]);
    nothing_was_done(&run, &[&launcher, &gateway, &other, &titled]);
    assert!(sentence(&run).contains("serves another port, too"), "{run}");
    drop(other);
    let run = portclear(&["18789", "--json"]);
    nothing_was_done(&run, &[&launcher, &gateway, &titled]);
    assert!(sentence(&run).contains(&format!("(pid {})", titled.pid())), "{run}");
    drop(titled);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &launcher, "launcher", "stale-instance");
    bystander.answers();
}

/// Two instances share a port, and one of them serves a third: so neither that port is cleared nor the first.
fn b04_a_port_that_is_refused_is_no_longer_asked_for() {
    let bystander = Bystander::start();
    let [one, two] = [(); 2].map(|()| Fixture::silent().start());
    let workers = [
        Fixture::gateway().start_below(&one),
        Fixture::gateway_on(SECOND).start_below(&one),
        Fixture::gateway_on("[::1]:18791").start_below(&two),
        Fixture::gateway_on(THIRD).start_below(&two),
    ];
    let run = portclear(&["18789", "18791", "--json"]);
    let [a, b, c, d] = &workers;
    nothing_was_done(&run, &[&one, &two, a, b, c, d]);
    let run = portclear(&["18789", "18791", "18792", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    for fixture in [&one, &two].into_iter().chain(&workers) {
        fixture.has_ended();
    }
    bystander.answers();
}

fn f02_forks_where_nothing_is_put_at_random() {
    let bystander = Bystander::start();
    let words = ["/bin/sh", "-c", "setarch -R \"$@\"; exit", "sh"];
    let pool = Fixture::silent().no_package().behind(&words).start();
    let workers = [pool.fork(), pool.fork()];
    pool.listen_also(AT);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &pool, "holder", "stale-instance");
    for worker in &workers {
        said(&run, worker.pid(), ["worker", "stale-instance", "ended"], &["SIGTERM"]);
        worker.has_ended();
    }
    bystander.answers();
}
