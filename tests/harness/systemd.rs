//! The systemd of the tests is a real one, and its units can do what units do.

use std::collections::HashSet;
use std::fs;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = both![
        a_manager_runs,
        a_service_starts_and_stops,
        a_child_survives_its_unit,
        a_run_has_a_link,
        the_journal_has_priorities,
        plain_services_leave_a_child,
        a_gateway_has_children_in_its_unit,
        a_gateway_drains,
        scopes_and_sessions_have_cgroups_of_their_own,
        templates_and_transient_units_run,
        programs_run_by_hand
    ];
    cases.push(case!(a_real_node_runs_in_a_unit, Needs::Systemd, Needs::Node));
    cases
}

fn a_manager_runs(sd: &Sd) {
    let run = sd.systemctl(&["is-system-running"]);
    // Degraded: the unit of another test has failed meanwhile.
    assert!(["running\n", "degraded\n"].contains(&&*run.stdout), "{run}");
    assert_ne!(sd.outer(1), 1);
    let exe = sd.process(1).exe().unwrap();
    assert!(exe.ends_with("systemd/systemd"), "{exe:?}");
    // Inside there is nothing of the host but what lies below its root, and none of its processes.
    let run = sd.enter(&["sh", "-c", "ls /tmp; tr '\\0' ' ' </proc/[1-9]*/cmdline"]);
    assert!(!run.stdout.contains("cargo"), "{run}");
    let run = sd.enter(&["sh", "-c", "echo x >/proc/sys/vm/swappiness"]);
    assert_ne!(run.status, 0, "{run}");
}

fn a_service_starts_and_stops(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).env("X", r#"a "b" $c %d \e"#));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    assert_eq!((unit.show("ActiveState").as_str(), unit.main_pid()), ("inactive", 0));
    unit.start();
    unit.until_state("active");
    let pid = unit.main_pid();
    assert_eq!(sd.until_answers(port), pid);
    assert_eq!(unit.pids(), [pid]);
    let process = sd.process(pid);
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", process.pid())).unwrap();
    assert_eq!(read("cmdline").trim_end_matches('\0').split('\0').collect::<Vec<_>>(), gateway.argv());
    assert!(gateway.argv().ends_with(&["gateway".to_owned(), "--port".to_owned(), port.to_string()]));
    let environ = read("environ");
    for pair in ["OPENCLAW_SERVICE_MARKER=openclaw", "OPENCLAW_SERVICE_KIND=gateway", r#"X=a "b" $c %d \e"#] {
        assert!(environ.split('\0').any(|other| other == pair), "{pair}: {environ}");
    }
    assert!(read("cgroup").contains(&format!("/{}\n", unit.name())));
    assert!(read("status").contains(&format!("\nUid:\t{}\t", sd.uid())));
    unit.stop();
    process.has_ended();
    assert_eq!((unit.show("ActiveState").as_str(), unit.show("Result").as_str()), ("inactive", "success"));
    assert_eq!(unit.pids(), [0; 0]);
    assert!(can_bind(&format!("127.0.0.1:{port}")));
    unit.until_line("the signal", |line| line.message.contains("TERM"));
    assert_eq!(unit.signals_of(pid), ["TERM"]);
    bystander.answers();

    unit.drop_in("50-bad.conf", "[Service]\nExecStartPre=/bin/false\n");
    let run = unit.try_start();
    assert_ne!(run.status, 0, "{run}");
    assert_eq!(unit.show("Result"), "exit-code");
    unit.until_state("failed");
}

/// The project began with this case.
fn a_child_survives_its_unit(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).forks_listener());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let child = sd.until_answers(port);
    let main = unit.main_pid();
    assert_ne!(child, main);
    assert_eq!(unit.pids().into_iter().collect::<HashSet<_>>(), HashSet::from([child, main]));
    unit.stop();
    assert_eq!(unit.show("ActiveState"), "inactive");
    assert_eq!(unit.pids(), [child]);
    assert_eq!(sd.until_answers(port), child);
    let parent = sd.process(child).parent();
    assert!(sd.process(1).pid() == parent || sd.manager() == Manager::User);
    let run = unit.try_start();
    assert_ne!(run.status, 0, "{run}");
    sd.process(child).kill();
    unit.start();
    assert_ne!(sd.until_answers(port), child);
}

fn a_run_has_a_link(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port));
    // The manager replaces the %t, and the shell the rest.
    let look = r#"ExecStartPre=/bin/sh -c 'echo "$$INVOCATION_ID $$(readlink %t/systemd/units/invocation:%n)"'"#;
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}{look}\n"));
    assert_eq!(unit.invocation(), None);
    let mut seen = HashSet::new();
    for start in 1..=3 {
        if start == 2 {
            unit.restart();
        } else {
            unit.start();
        }
        let run = unit.invocation().expect("a link");
        let environ = fs::read_to_string(format!("/proc/{}/environ", sd.outer(unit.main_pid()))).unwrap();
        assert!(environ.contains(&format!("INVOCATION_ID={run}\0")), "{run}: {environ}");
        // The link and the variable of ExecStartPre= say the same.
        unit.until_line("the link", |line| line.message == format!("{run} {run}"));
        assert!(seen.insert(run));
        if start != 1 {
            unit.stop();
            assert_eq!(unit.invocation(), None);
        }
    }
}

fn the_journal_has_priorities(sd: &Sd) {
    let script = r#"echo "<3>an error" >&2; echo "<4>a warning" >&2; echo plain; printf "\033[1mbold\n""#;
    let unit = sd.unit("say.service", &format!("[Service]\nType=oneshot\nExecStart=/bin/sh -c '{script}'\n"));
    unit.start();
    unit.until_line("the last one", |line| line.message.contains("bold"));
    let lines = unit.journal_of("sh");
    let lines = lines.iter().map(|line| (line.priority, line.message.as_str()));
    let expected = [(3, "an error"), (4, "a warning"), (6, "plain"), (6, "\u{1b}[1mbold")];
    // Two streams have no common order.
    assert_eq!(lines.collect::<HashSet<_>>(), HashSet::from(expected));
    let started = unit.until_line("the manager's", |line| line.message.starts_with("Finished "));
    assert_eq!((started.priority, started.identifier.as_str()), (6, "systemd"));
    let other = sd.unit("other.service", "[Service]\nType=oneshot\nExecStart=/bin/echo other\n");
    other.start();
    let line = other.until_line("its own", |line| line.message == "other");
    assert!(line.pid > 1 && line.identifier == "echo", "{line:?}");
    assert!(unit.journal().iter().all(|line| line.message != "other"));
    // These programs end at once. In a user's unit the journal alone would often lose their lines.
    let many = "ExecStart=/bin/echo quick\n".repeat(20);
    let many = sd.unit("many.service", &format!("[Service]\nType=oneshot\n{many}"));
    many.start();
    until("all of them", || many.journal_of("echo").len() == 20);
}

fn plain_services_leave_a_child(sd: &Sd) {
    for language in [Plain::Python, Plain::Perl, Plain::Shell] {
        let port = sd.port();
        let server = sd.plain(language, port);
        let name = format!("{language:?}.service");
        let unit = sd.unit(&name, &format!("[Service]\n{server}KillMode=process\n"));
        unit.start();
        let child = sd.until_answers(port);
        assert_ne!(child, unit.main_pid());
        let environ = fs::read_to_string(format!("/proc/{}/environ", sd.outer(child))).unwrap();
        assert!(!environ.contains("OPENCLAW") && environ.contains("INVOCATION_ID="), "{environ}");
        unit.stop();
        assert_eq!(unit.pids(), [child], "{language:?}");
        assert_eq!(sd.until_answers(port), child);
        sd.process(child).kill();
        unit.start();
        assert_ne!(sd.until_answers(port), child);
    }
}

fn a_gateway_has_children_in_its_unit(sd: &Sd) {
    let [port, web] = [sd.port(), sd.port()];
    let number = web.to_string();
    let agent = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", &number];
    let gateway = sd.install(sd.gateway(port).spawns(&agent).forks().on_term(OnTerm::Ignore));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}TimeoutStopSec=300ms\n"));
    unit.start();
    sd.until_listens(web);
    let pids = unit.pids();
    assert_eq!(pids.len(), 3, "{pids:?}");
    let read = |pid: u32, name: &str| fs::read_to_string(format!("/proc/{}/{name}", sd.outer(pid))).unwrap();
    let agents: Vec<&u32> = pids.iter().filter(|pid| read(**pid, "cmdline").contains("http.server")).collect();
    assert_eq!(agents.len(), 1);
    assert!(read(*agents[0], "environ").contains("OPENCLAW_SERVICE_KIND=gateway\0"));
    let main = unit.main_pid();
    unit.stop();
    assert_eq!(unit.show("Result"), "timeout");
    assert_eq!(unit.signals_of(main), ["TERM"]);
    assert_eq!(unit.pids(), [0; 0]);
}

fn a_gateway_drains(sd: &Sd) {
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).on_term(OnTerm::Drain(500)));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let (pid, run) = (unit.main_pid(), unit.invocation());
    unit.begin_stop();
    unit.until_state("deactivating");
    assert_eq!(sd.until_answers(port), pid);
    assert_eq!(unit.invocation(), run);
    unit.until_state("inactive");
    assert_eq!(unit.show("Result"), "success");
}

fn scopes_and_sessions_have_cgroups_of_their_own(sd: &Sd) {
    let [port, other] = [sd.port(), sd.port()];
    let cgroup = |pid: u32| fs::read_to_string(format!("/proc/{}/cgroup", sd.outer(pid))).unwrap();
    let gateway = sd.install(sd.gateway(port));
    let scope = sd.scope("hand.scope", &gateway.command());
    let pid = sd.until_answers(port);
    assert_eq!(sd.named("hand.scope").pids(), [pid]);
    assert!(cgroup(pid).ends_with("-hand.scope\n"), "{}", cgroup(pid));
    let process = sd.process(pid);
    drop(scope);
    process.has_ended();

    let gateway = sd.install(sd.gateway(other));
    let session = sd.session(&gateway.command());
    let pid = sd.until_answers(other);
    let group = cgroup(pid);
    let expected = format!("/user.slice/user-{}.slice/session-", sd.uid());
    assert!(group.contains(&expected) && group.ends_with(".scope\n"), "{group}");
    let process = sd.process(pid);
    drop(session);
    process.has_ended();
}

fn templates_and_transient_units_run(sd: &Sd) {
    let gateways = [sd.port(), sd.port()].map(|port| (port, sd.install(sd.gateway(port))));
    let [(port, gateway), (other_port, other)] = gateways;
    let template = sd.unit("gw@.service", &format!("[Service]\n{gateway}Environment=NAME=%i\n"));
    let unit = template.instance("work");
    assert!(unit.name().ends_with("-gw@work.service"));
    unit.start();
    let pid = sd.until_answers(port);
    assert_eq!(unit.main_pid(), pid);
    let environ = fs::read_to_string(format!("/proc/{}/environ", sd.outer(pid))).unwrap();
    assert!(environ.contains("NAME=work\0"));
    assert!(unit.invocation().is_some());

    let unit = sd.transient("tr.service", &["--property=KillMode=process"], &other.command());
    let pid = sd.until_answers(other_port);
    assert_eq!((unit.main_pid(), unit.show("KillMode").as_str()), (pid, "process"));
    unit.stop();
    assert_eq!(unit.invocation(), None);

    // A name that systemd escapes, and a unit in a slice of its own.
    let text = format!("[Service]\n{gateway}Slice=portclear-test.slice\n");
    template.instance("work").stop();
    let unit = sd.unit(r"gw\x2da:b.service", &text);
    unit.start();
    let pid = sd.until_answers(port);
    let group = fs::read_to_string(format!("/proc/{}/cgroup", sd.outer(pid))).unwrap();
    let end = format!("/portclear.slice/portclear-test.slice/{}\n", unit.name());
    assert!(group.ends_with(&end), "{group}");
    assert!(unit.invocation().is_some());
    unit.remove();
    assert_eq!(sd.until_answers(port), pid);
}

fn programs_run_by_hand(sd: &Sd) {
    let port = sd.port();
    let run = sd.portclear(&["-v", &port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    let gateway = sd.install(sd.gateway(port));
    let running = sd.spawn(sd.uid(), &gateway.command());
    let pid = sd.until_answers(port);
    let group = fs::read_to_string(format!("/proc/{}/cgroup", sd.outer(pid))).unwrap();
    assert!(group.ends_with("/hand\n"), "{group}");
    let run = sd.portclear(&[&port.to_string()]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(running.finish().status, 0);

    let id = |run: Run| run.stdout.trim().to_owned();
    assert_eq!(id(sd.enter(&["id", "-u"])), sd.uid().to_string());
    assert_eq!(id(sd.enter_as(NOBODY, &["id", "-u"])), NOBODY.to_string());
    let run = sd.enter(&["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((run.status, &run.stdout[..], &run.stderr[..]), (7, "out\n", "err\n"), "{run}");
    let private = sd.enter_as(NOBODY, &["ls", "/run/user/4711/systemd/units"]);
    assert_ne!(private.status, 0, "{private}");
}

fn a_real_node_runs_in_a_unit() {
    let sd = Sd::new(Manager::User);
    let port = sd.port();
    let gateway = sd.install(sd.gateway(port).real_node().title("openclaw-gateway").workers(1));
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}"));
    unit.start();
    let pid = sd.until_answers(port);
    assert_eq!(unit.main_pid(), pid);
    assert_eq!(unit.pids().len(), 2);
    unit.stop();
    unit.until_line("the signal", |line| line.message.contains("TERM"));
    assert_eq!(unit.signals_of(pid), ["TERM"]);
}
