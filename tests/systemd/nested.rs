//! The records of an outer manager tell nothing about a unit of an inner one.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![c05_a_unit_of_an_inner_manager_is_not_judged_by_outer_records,]
}

fn c05_a_unit_of_an_inner_manager_is_not_judged_by_outer_records(sd: &Sd) {
    let bystander = sd.bystander();
    let port = sd.port();
    let files = sd.install(sd.gateway(port));
    // The outer manager has a unit of the same name.
    let outer = sd.unit("gateway.service", &format!("[Service]\nType=oneshot\nExecStart={} {port}\n", sd.program()));
    let name = outer.name();
    let runtime = format!("{}/nested-{port}", sd.runtime_directory());
    let units = format!("{runtime}/systemd/user");
    sd.enter(&["mkdir", "-m", "700", "-p", &runtime, &units]).succeeded();
    std::fs::write(sd.path(&format!("{units}/{name}")), format!("[Service]\n{files}")).unwrap();
    let own = [format!("XDG_RUNTIME_DIR={runtime}"), format!("XDG_CONFIG_HOME={runtime}")];
    let options = ["--property=Delegate=yes", "--setenv", &own[0], "--setenv", &own[1]];
    let nested = sd.transient("nested.service", &options, &["/lib/systemd/systemd", "--user"]);
    until("the inner manager", || sd.path(&format!("{runtime}/systemd/private")).exists());
    let inner = |words: &[&str]| sd.enter(&[&["env", &own[0], "systemctl", "--user"], words].concat());
    inner(&["start", name]).succeeded();
    let pid = sd.until_answers(port);
    let place = std::fs::read_to_string(format!("/proc/{}/cgroup", sd.outer(pid))).unwrap();
    assert!(place.ends_with(&format!("/{}/app.slice/{name}\n", nested.name())), "{place}");

    let port_text = port.to_string();
    // Without --dry-run, a sweep would end what other tests have left over.
    for more in [&[][..], &["--sweep", "--dry-run"], &["--live"]] {
        let run = sd.portclear(&[&["--json", &port_text], more].concat());
        let reason = spared(&run, 4, pid, "unknown");
        assert_eq!(reason, "systemd's record of its unit may not be read from here");
        assert_eq!(run.process(pid)["unit"]["manager"], "nested", "{run}");
        let swept = run.json()["swept"]["processes"].as_array().cloned().unwrap_or_default();
        assert!(swept.iter().all(|process| process["pid"] != pid), "{run}");
    }
    // A hook of the outer unit does not take it for a leftover of its own unit, either.
    assert_ne!(outer.try_start().status, 0);
    let line = outer.until_line("the answer", |line| {
        line.message.contains("gone after") || line.message.contains("was left alone")
    });
    assert!(line.message.contains(&format!("process {pid} of uid {} was left alone", sd.uid())), "{line:?}");
    assert_eq!(inner(&["is-active", name]).stdout, "active\n");
    assert_eq!(sd.until_answers(port), pid);
    bystander.answers();
}
