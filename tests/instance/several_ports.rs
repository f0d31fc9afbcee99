//! An instance that serves several ports is ended only if the call names all of them.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_a_launcher_with_a_server_on_another_port_is_spared),
        case!(b04_a_worker_at_another_address_of_the_port_is_spared),
        case!(b04_workers_whose_ports_are_all_asked_for_are_ended),
        case!(b04_a_launcher_that_serves_the_other_port_is_spared),
        case!(b04_a_worker_on_a_port_that_is_left_alone_spares_the_other),
        case!(b04_any_child_on_another_port_spares_the_launcher),
        case!(b04_a_port_that_is_refused_is_no_longer_asked_for),
    ]
}

/// Two servers run below one launcher. A call for one port does not end the server on the other.
fn b04_a_launcher_with_a_server_on_another_port_is_spared() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let server = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on("127.0.0.1:18792").start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, server.pid(), ["holder", "stale-instance", "untouched"], &[]);
    said(&run, other.pid(), ["worker", "elsewhere", "untouched"], &[]);
    let told = format!("held by an instance that also serves another port (node, pid {}): ", other.pid());
    assert!(sentence(&run).starts_with(&told), "{run}");
    for fixture in [&launcher, &server, &other] {
        lives(&run, fixture);
    }
    other.answers();
    // With --tree the call asks for the whole instance.
    let run = portclear(&["18789", "--json", "--tree"]);
    assert_eq!(run.status, 0, "{run}");
    for (fixture, role) in [(&launcher, "launcher"), (&server, "holder"), (&other, "worker")] {
        ended(&run, fixture, role, "stale-instance");
    }
    bystander.answers();
}

/// The call names one address. Somebody may use the other one.
fn b04_a_worker_at_another_address_of_the_port_is_spared() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let server = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on("127.0.0.2:18789").start_below(&launcher);
    let run = portclear(&[GATEWAY, "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, server.pid(), ["holder", "stale-instance", "untouched"], &[]);
    said(&run, other.pid(), ["worker", "elsewhere", "untouched"], &[]);
    for fixture in [&launcher, &server, &other] {
        lives(&run, fixture);
    }
    // Without an address the call asks for both.
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    for (fixture, role) in [(&launcher, "launcher"), (&server, "holder"), (&other, "holder")] {
        ended(&run, fixture, role, "stale-instance");
    }
    bystander.answers();
}

fn sentences(run: &Run) -> Vec<String> {
    let json = run.json();
    let ports = json["ports"].as_array().unwrap().iter();
    ports.map(|port| port["sentence"].as_str().unwrap().to_owned()).collect()
}

fn b04_workers_whose_ports_are_all_asked_for_are_ended() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on(THIRD).start_below(&launcher);
    let serves_another = |run: &Run, worker: &Fixture| {
        let told = format!("held by an instance that also serves another port (node, pid {})", worker.pid());
        assert_eq!(run.status, 3, "{run}");
        assert!(sentences(run)[0].starts_with(&told), "{run}");
    };
    // A call for one port alone is refused. So is one that names the other port at an address where nobody listens.
    serves_another(&portclear(&["18789", "--json"]), &other);
    serves_another(&portclear(&["18792", "--json"]), &worker);
    serves_another(&portclear(&["18789", "127.0.0.2:18792", "--json"]), &other);
    let run = portclear(&["18789", "18792", "--json", "--dry-run"]);
    assert_eq!(sentences(&run), ["would be cleared: 3 stale processes"; 2], "{run}");
    for fixture in [&launcher, &worker, &other] {
        lives(&run, fixture);
    }
    let run = portclear(&["18789", THIRD, "--json"]);
    assert_eq!(
        (run.status, &sentences(&run)[..]),
        (
            0,
            &[
                "cleared, 3 processes ended; a bind proves it".to_owned(),
                "cleared, 3 processes ended; a bind proves it".to_owned()
            ][..]
        ),
        "{run}"
    );
    ended(&run, &launcher, "launcher", "stale-instance");
    ended(&run, &worker, "holder", "stale-instance");
    other.has_ended();
    assert_eq!(other.signals(), ["TERM"], "{run}");
    bystander.answers();
}

fn b04_a_launcher_that_serves_the_other_port_is_spared() {
    let bystander = Bystander::start();
    let launcher = Fixture::gateway_on(THIRD).start();
    let worker = Fixture::gateway().start_below(&launcher);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, launcher.pid(), ["launcher", "elsewhere", "untouched"], &[]);
    let run = portclear(&["18789", "18792", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    for fixture in [&launcher, &worker] {
        fixture.has_ended();
        assert_eq!(fixture.signals(), ["TERM"], "{run}");
    }
    bystander.answers();
}

/// A stranger holds the second port, too, so that port is left alone. The instance then lives on both ports.
fn b04_a_worker_on_a_port_that_is_left_alone_spares_the_other() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let worker = Fixture::gateway().start_below(&launcher);
    let other = Fixture::gateway_on(THIRD).start_below(&launcher);
    let foreign = Fixture::other("[::1]:18792").start();
    let run = portclear(&["18789", "18792", "--json"]);
    assert_eq!(run.status, 3, "{run}");
    said(&run, worker.pid(), ["holder", "stale-instance", "untouched"], &[]);
    for fixture in [&launcher, &worker, &other, &foreign] {
        lives(&run, fixture);
    }
    assert_eq!(sentences(&run)[1], "held, and left alone: nothing was signalled", "{run}");
    other.answers();
    worker.answers();
    // The stranger does not hold this address.
    let run = portclear(&["18789", THIRD, "--json"]);
    assert_eq!(run.status, 0, "{run}");
    lives(&run, &foreign);
    foreign.answers();
    bystander.answers();
}

const THIRD: &str = "127.0.0.1:18792";

fn nothing_was_done(run: &Run, fixtures: &[&Fixture]) {
    assert_eq!(run.status, 3, "{run}");
    for fixture in fixtures {
        lives(run, fixture);
        assert_eq!(fixture.signals(), [""; 0], "{run}");
    }
}

/// Neither what it executes nor a marker makes it a part of the instance. It would lose its parent all the same.
fn b04_any_child_on_another_port_spares_the_launcher() {
    let bystander = Bystander::start();
    let launcher = Fixture::silent().start();
    let gateway = Fixture::gateway().start_below(&launcher);
    let other = Fixture::other(SECOND).marked(false).start_below(&launcher);
    let titled = Fixture::gateway_on(THIRD).start_below(&launcher);
    titled.set_title(b"openclaw-gateway");
    let run = portclear(&["18789", "--json"]);
    nothing_was_done(&run, &[&launcher, &gateway, &other, &titled]);
    assert!(sentence(&run).contains(" also serves another port"), "{run}");
    drop(other);
    let run = portclear(&["18789", "--json"]);
    nothing_was_done(&run, &[&launcher, &gateway, &titled]);
    assert!(sentence(&run).contains(&format!(", pid {})", titled.pid())), "{run}");
    drop(titled);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &launcher, "launcher", "stale-instance");
    bystander.answers();
}

/// Two instances share a port, and one of them also serves a third port. That one is spared, so the shared port is
/// not cleared. The first port then is not cleared either.
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
