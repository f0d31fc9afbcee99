//! The Debian package in a real root, with a real systemd: installed, used by a unit, and removed.

use super::{file, has};
use crate::support::*;

pub(super) fn cases() -> Vec<Case> {
    vec![case!(the_package_is_installed_used_by_a_unit_and_removed, Needs::Systemd), case!(lintian_finds_no_error)]
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn the_package_is_installed_used_by_a_unit_and_removed() {
    if !has("apt-get") || !has("script") {
        return;
    }
    let sd = Sd::new(Manager::System);
    let bystander = sd.bystander();
    let (port, name) = (sd.port(), sd.named("gw.service").name().to_owned());
    let package = file("portclear_", &format!("-1_{}.deb", architecture()));
    // /tmp is another one inside.
    let inside = "/root/portclear.deb";
    std::fs::copy(&package, sd.path(inside)).unwrap();
    sd.enter_as(0, &["apt-get", "install", "--yes", inside]).succeeded();
    sd.enter_as(0, &["dpkg", "--verify", "portclear"]).succeeded();
    assert_eq!(sd.enter_as(0, &["portclear", "-q", "--check", &port.to_string()]).status, 0);

    let gateway = sd.install(sd.gateway(port).forks_listener());
    let unit = sd.unit("gw.service", &format!("[Service]\n{gateway}KillMode=process\n"));
    unit.start();
    let leftover = sd.process(sd.until_answers(port));
    unit.stop();
    // The second command of docs/packaging.md. systemctl edits on a terminal alone.
    let edit = format!("portclear unit {port} --unit {name} | SYSTEMD_EDITOR=tee systemctl edit {name}");
    let edited = sd.enter_as(0, &["script", "--quiet", "--return", "--command", &edit, "/dev/null"]);
    edited.succeeded();
    let hook = format!("ExecStartPre=/usr/bin/portclear {port}\n");
    let drop_in = std::fs::read_to_string(sd.unit_folder().join(format!("{name}.d/override.conf"))).unwrap();
    assert!(drop_in.contains(&hook), "{drop_in}\n{edited}");
    unit.start();
    leftover.has_ended();
    sd.until_answers(port);
    let line = unit.until_line("what was done", |line| line.identifier == "portclear");
    assert!(line.message.contains(": cleared of "), "{line:?}");

    let files = sd.enter_as(0, &["dpkg", "--listfiles", "portclear"]).stdout;
    sd.enter_as(0, &["dpkg", "--purge", "portclear"]).succeeded();
    for path in files.lines().filter(|path| path.contains("portclear")) {
        assert!(!sd.path(path).exists(), "{path} is left");
    }
    bystander.answers();
}

fn lintian_finds_no_error() {
    if !has("lintian") {
        return;
    }
    let package = file("portclear_", &format!("-1_{}.deb", architecture()));
    let run = super::run(&["lintian", "--allow-root", "--fail-on", "error", package.to_str().unwrap()], "/".as_ref());
    run.succeeded();
}
