//! The runtime of a container looks after the gateway in it. PID 1 is never signalled.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(c04_pid_1_of_a_container_is_never_signalled),
        case!(c11_a_gateway_in_a_container_is_live),
        case!(c11_the_container_is_named_by_its_cgroup, Needs::Root),
        case!(c02_the_proc_of_another_pid_namespace_is_refused),
    ]
}

fn c04_pid_1_of_a_container_is_never_signalled() {
    let bystander = Bystander::start();
    let namespace = PidNs::under(Fixture::gateway());
    let gateway = namespace.init();
    let is_spared = |run: &Run| {
        let reason = spared(run, 3, 1, "protected");
        assert!(reason.starts_with("it is PID 1 here, the main process of this container"), "{reason}");
        untouched(gateway);
    };
    is_spared(&Portclear::new(&JSON).inside(&namespace).run());
    is_spared(&Portclear::new(&["--json", "--any-owner", "18789"]).inside(&namespace).run());
    is_spared(&gateway.portclear(&JSON, &[]));
    bystander.answers();
}

fn c11_a_gateway_in_a_container_is_live() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    for more in [&[][..], &["--any-owner"]] {
        let run = portclear(&[&JSON, more].concat());
        let reason = spared(&run, 3, gateway.pid(), "live");
        // The reason says only what can be seen, and the test cannot choose the cgroup that it runs in.
        assert!(reason.contains("container") && reason.ends_with("the container's runtime looks after it"), "{reason}");
        assert_eq!(run.json()["ports"][0]["holders"][0]["identity"], "instance", "{run}");
        untouched(&gateway);
    }
    // Inside its namespace it is an instance that nobody looks after.
    let run = Portclear::new(&JSON).inside(&namespace).run();
    cleared(&run, gateway.inner_pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}

/// A cgroup of the unified hierarchy. The drop removes it, once its processes have ended.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None`: this machine has no unified hierarchy that the test may write to.
    fn new(name: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.iter().find(|root| root.join("cgroup.controllers").exists())?;
        let path = root.join(name);
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn take(&self, process: &Proc) {
        fs::write(self.0.join("cgroup.procs"), process.pid().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        until("an empty cgroup", || fs::remove_dir(&self.0).is_ok());
    }
}

fn c11_the_container_is_named_by_its_cgroup() {
    let bystander = Bystander::start();
    let name = format!("docker-{:064x}.scope", std::process::id());
    let Some(cgroup) = Cgroup::new(&name) else {
        eprintln!("skipped the name of a container: no cgroup of version 2 that may be written");
        return;
    };
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    cgroup.take(gateway.process());
    let said = format!("it runs in a container ({name}), and the container's runtime looks after it");
    assert_eq!(spared(&portclear(&JSON), 3, gateway.pid(), "live"), said);
    let stop = format!("; next: `docker stop {}` (stops it for good); or `", &name["docker-".len()..][..12]);
    let run = portclear(&["18789"]);
    assert!(run.stderr.contains(&stop), "{run}");
    untouched(&gateway);
    bystander.answers();
    drop(gateway);

    // This container shares the pid namespace of its host.
    let gateway = Fixture::gateway().start();
    cgroup.take(gateway.process());
    assert_eq!(spared(&portclear(&JSON), 3, gateway.pid(), "live"), said);
    untouched(&gateway);
    bystander.answers();
}

fn c02_the_proc_of_another_pid_namespace_is_refused() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    // /proc stays the outer one, where each number means another process than here.
    let enter = ["unshare", "--pid", "--fork", "--kill-child", "--"];
    let refused = Portclear::new(&JSON).through(&enter).run();
    assert_eq!(refused.status, 1, "{refused}");
    let port = refused.json()["ports"][0].take();
    assert_eq!(port["status"], "error", "{refused}");
    assert_eq!(port["holders"], json!([]), "{refused}");
    let sentence =
        "could not find out: cannot read the caller's own process from /proc: /proc belongs to another pid namespace";
    assert_eq!(port["sentence"], sentence, "{refused}");
    untouched(&gateway);
    // Without --json the same stands on standard error.
    let refused = Portclear::new(&["18789"]).through(&enter).run();
    assert_eq!(refused.status, 1, "{refused}");
    assert!(refused.stderr.contains("/proc belongs to another pid namespace"), "{refused}");
    untouched(&gateway);
    bystander.answers();
}
