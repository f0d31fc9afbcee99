//! What an ended run left in the caller's own unit is ended without any configuration, whatever it executes.

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        b04_a_child_survives_stop_and_the_next_start_works,
        b13_a_python_service_needs_no_configuration,
        b13_a_perl_service_needs_no_configuration,
        b13_a_shell_service_needs_no_configuration,
        b13_a_neighbours_leftover_is_not_ours,
        b13_a_job_of_a_shared_daemon_owns_nothing,
        f01_a_rival_that_an_ended_run_left_in_the_own_unit_is_ended,
        f01_a_rival_that_a_neighbour_left_is_told_and_lives
    ];
    cases.push(case!(b04_a_real_node_survives_its_launcher, Needs::Systemd, Needs::Node));
    cases
}

/// The project began with this case.
fn b04_a_child_survives_stop_and_the_next_start_works(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    the_next_start_works(sd, port, &gateway);
}

fn b04_a_real_node_survives_its_launcher() {
    let sd = Sd::new(Manager::User);
    let port = sd.port();
    let launcher = ["/bin/sh", "-c", r#""$@" & wait"#, "sh"];
    let gateway = sd.gateway(port).real_node().title("openclaw-gateway").workers(1).behind(&launcher);
    the_next_start_works(&sd, port, &sd.install(gateway));
}

#[track_caller]
fn the_next_start_works(sd: &Sd, port: u16, gateway: &Installed) {
    let bystander = sd.bystander();
    let text = format!("[Service]\n{gateway}ExecStartPre={} {port}\nKillMode=process\nRestart=always\n", sd.program());
    let unit = sd.unit("gw.service", &text);
    unit.start();
    let old = sd.until_answers(port);
    assert_ne!(old, unit.main_pid());
    let run = unit.invocation().unwrap();
    // A free port is no event.
    assert_eq!(unit.journal_of("portclear"), []);
    let leftover = sd.process(old);
    unit.stop();
    assert_eq!(unit.pids().first(), Some(&old));
    assert_eq!(sd.until_answers(port), old);

    unit.start();
    let new = sd.until_answers(port);
    assert_ne!(new, old);
    leftover.has_ended();
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    assert!(unit.pids().contains(&new));
    unit.until_line("what was done", |line| line.identifier == "portclear");
    let lines = unit.journal_of("portclear");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0].priority, 5, "{lines:#?}");
    let message = &lines[0].message;
    let begin = format!("portclear: port {port}: cleared of node (pid {old}, uid {} ", sd.uid());
    assert!(message.starts_with(&begin), "{message}");
    let parts = [
        format!(", unit {}", unit.name()),
        format!(", run {run}, age "),
        format!(" on 127.0.0.1:{port}: stale: left behind by an ended run of this unit: "),
        "SIGTERM after ".to_owned(),
    ];
    for part in parts {
        assert!(message.contains(&part), "{part:?} in {message}");
    }
    assert!(message.rsplit_once(", gone after ").is_some_and(|(_, time)| time.ends_with(" ms")), "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
    bystander.answers();
}

fn b13_a_python_service_needs_no_configuration(sd: &Sd) {
    needs_no_configuration(sd, Plain::Python);
}

fn b13_a_perl_service_needs_no_configuration(sd: &Sd) {
    needs_no_configuration(sd, Plain::Perl);
}

fn b13_a_shell_service_needs_no_configuration(sd: &Sd) {
    needs_no_configuration(sd, Plain::Shell);
}

#[track_caller]
fn needs_no_configuration(sd: &Sd, language: Plain) {
    let bystander = sd.bystander();
    let port = sd.port();
    let server = sd.plain(language, port);
    let program = sd.program();
    // The first hook tells the rule. The second one is the hook as anybody writes it.
    let hooks = format!("ExecStartPre={program} --dry-run --json {port}\nExecStartPre={program} {port}\n");
    let unit = sd.unit("web.service", &format!("[Service]\n{server}{hooks}KillMode=process\n"));
    unit.start();
    let old = sd.until_answers(port);
    assert_ne!(old, unit.main_pid());
    let leftover = sd.process(old);
    unit.stop();
    assert_eq!(sd.until_answers(port), old);

    unit.start();
    leftover.has_ended();
    let new = sd.until_answers(port);
    assert_ne!(new, old);
    assert!(unit.pids().contains(&new));
    assert_eq!((unit.show("NRestarts").as_str(), unit.show("ActiveState").as_str()), ("0", "active"));
    let told = unit.until_line("the rule", |line| line.message.contains("\"own-unit\""));
    let document = schema::document(&told.message).unwrap();
    let holder = &document["ports"][0]["holders"][0];
    for (key, value) in [("identity", "foreign"), ("liveness", "leftover"), ("verdict", "stale"), ("rule", "own-unit")]
    {
        assert_eq!(holder[key], value, "{key} in {holder:#}");
    }
    assert_eq!((&holder["pid"], &holder["unit"]["name"]), (&old.into(), &unit.name().into()), "{holder:#}");
    let done = unit.until_line("what was done", |line| line.message.contains(": cleared"));
    assert_eq!(done.priority, 5, "{done:?}");
    bystander.answers();
}

fn b13_a_neighbours_leftover_is_not_ours(sd: &Sd) {
    let bystander = sd.bystander();
    for language in [Plain::Python, Plain::Perl, Plain::Shell] {
        let port = sd.port();
        let server = sd.plain(language, port);
        let neighbour =
            sd.unit(&format!("their-{language:?}.service"), &format!("[Service]\n{server}KillMode=process\n"));
        neighbour.start();
        let theirs = sd.until_answers(port);
        neighbour.stop();
        let hook = format!("ExecStartPre={} {port}\n", sd.program());
        let unit = sd.unit(&format!("our-{language:?}.service"), &format!("[Service]\n{server}{hook}"));
        let start = unit.try_start();
        assert_ne!(start.status, 0, "{start}");
        assert_eq!((unit.show("Result").as_str(), unit.show("ActiveState").as_str()), ("exit-code", "failed"));
        unit.until_line("the exit status", |line| line.message.contains("status=3/"));
        let why = unit.until_line("why", |line| line.message.contains(": spared: "));
        assert_eq!(why.priority, 4, "{why:?}");
        let named = [format!("(pid {theirs}, "), format!(", unit {}", neighbour.name())];
        for part in named.iter().map(String::as_str).chain([": spared: not recognised as "]) {
            assert!(why.message.contains(part), "{part:?} in {why:?}");
        }
        assert_eq!(sd.until_answers(port), theirs);
        assert_eq!(neighbour.pids(), [theirs]);
        // For its own unit it is the leftover.
        neighbour.drop_in("50-hook.conf", &format!("[Service]\n{hook}"));
        let leftover = sd.process(theirs);
        neighbour.start();
        leftover.has_ended();
        assert_ne!(sd.until_answers(port), theirs);
    }
    bystander.answers();
}

/// Starts and stops a unit that leaves a gateway behind, and writes the lock that names it. Gives the gateway's inner pid,
/// and the lines of a unit with this state folder and a hook for a free port.
fn leaves_a_rival(sd: &Sd, unit: &Unit<'_>) -> (u32, String) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    unit.write(&format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let rival = sd.until_answers(port);
    unit.stop();
    let state = format!("{}/{}", sd.runtime_directory(), unit.name());
    let folder = format!("{state}/tmp/openclaw-{}", sd.uid());
    let start = sd.process(rival).stat().starttime;
    let lock = json!({ "pid": rival, "startTime": start, "port": port, "stateDir": state });
    let script = r#"mkdir -p "$0" && printf %s "$1" >"$0/gateway.state.lock""#;
    sd.enter(&["sh", "-c", script, &folder, &lock.to_string()]).succeeded();
    let hook = format!("ExecStartPre={} {}\n", sd.program(), sd.port());
    (rival, format!("[Service]\nEnvironment=OPENCLAW_STATE_DIR={state}\n{hook}ExecStart=/bin/sleep 1000\n"))
}

/// The port is free, but the next start would fail with status 78.
fn f01_a_rival_that_an_ended_run_left_in_the_own_unit_is_ended(sd: &Sd) {
    let bystander = sd.bystander();
    let unit = sd.named("gw.service");
    let (rival, next) = leaves_a_rival(sd, &unit);
    let leftover = sd.process(rival);
    // A look touches nobody.
    unit.write(
        &next.replace("ExecStartPre=", "KillMode=process\nExecStartPre=").replace("portclear ", "portclear -n "),
    );
    unit.start();
    unit.until_line("the rival", |line| line.message.contains("uses the same state folder"));
    assert!(leftover.is_alive());
    unit.stop();
    unit.write(&next);
    unit.start();
    leftover.has_ended();
    let line = unit.until_line("the end", |line| line.message.contains("state folder: node") && line.priority == 5);
    let parts =
        [format!("(pid {rival}, "), "left behind by an ended run of this unit".to_owned(), "SIGTERM".to_owned()];
    for part in parts {
        assert!(line.message.contains(&part), "{part}: {line:?}");
    }
    assert_eq!(unit.show("ActiveState"), "active");
    bystander.answers();
}

fn f01_a_rival_that_a_neighbour_left_is_told_and_lives(sd: &Sd) {
    let bystander = sd.bystander();
    let neighbour = sd.named("their.service");
    let (rival, next) = leaves_a_rival(sd, &neighbour);
    let unit = sd.unit("our.service", &next);
    unit.start();
    unit.until_line("the rival", |line| line.message.contains("uses the same state folder"));
    let leftover = sd.process(rival);
    assert!(leftover.is_alive());
    assert_eq!(neighbour.signals_of(rival), [""; 0]);
    bystander.answers();
}

/// cron and sshd run jobs in their own cgroup, with a clean environment. Such a job is in the unit, but what the unit
/// left behind is none of its business.
fn b13_a_job_of_a_shared_daemon_owns_nothing(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let server = sd.plain(Plain::Python, port);
    let unit = sd.unit("daemon.service", &format!("[Service]\n{server}KillMode=process\n"));
    unit.start();
    let leftover = sd.until_answers(port);
    unit.stop();
    let job = format!("[Service]\nType=oneshot\nExecStart=-/usr/bin/env -i {} {port}\n", sd.program());
    unit.write(&format!("{job}KillMode=process\n"));
    unit.start();
    unit.until_line("what was left alone", |line| line.message.contains("not recognised as "));
    assert_eq!(sd.until_answers(port), leftover);
    // The hook of the same unit does own it.
    unit.write(&format!("[Service]\nType=oneshot\nExecStart={} {port}\n", sd.program()));
    let process = sd.process(leftover);
    unit.start();
    process.has_ended();
    bystander.answers();
}
