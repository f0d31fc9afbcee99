//! systemd's units and runs, and the path of a cgroup that names them.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::escape;

/// A systemd service, or a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unit {
    /// Its name, as systemd escapes it in the path of its cgroup.
    pub name: OsString,
    /// The manager that runs it.
    pub manager: Manager,
}

impl Unit {
    pub(crate) fn is_scope(&self) -> bool {
        self.name.as_encoded_bytes().ends_with(b".scope")
    }
}

/// The name, escaped for people. For a user's unit also the user.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.name.as_encoded_bytes()))?;
        match self.manager {
            Manager::System => Ok(()),
            Manager::User(uid) => write!(f, " of user {uid}"),
            Manager::Nested => f.write_str(" of a manager in another unit"),
        }
    }
}

/// A systemd manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manager {
    /// PID 1.
    System,
    /// The `systemd --user` of this user.
    User(u32),
    /// A manager that another manager's unit runs, or a program that names its cgroups as systemd does. Nobody knows
    /// where it keeps its records.
    Nested,
}

/// systemd's record of a unit's current run: the link `invocation:UNIT`. systemd makes it before the first ExecStartPre
/// of a start and removes it when the unit is inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The process is in no service.
    None,
    /// The process is in no service, but its run is the current run of this service or scope, and it carries the marker
    /// or is a child of PID 1. A process of that service has started it, or systemd-run(1) with `--scope`.
    Outside(Unit),
    /// The unit's current run.
    Current {
        /// Its INVOCATION_ID.
        run: String,
        /// When systemd put it on record.
        since: SystemTime,
    },
    /// The unit has no current run.
    Inactive,
    /// The records may not be read, or they are hidden from here.
    Denied,
}

/// The cgroup of a process, and what its path says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cgroup {
    /// Its path in the unified hierarchy (cgroups(7)), or in systemd's own.
    pub path: PathBuf,
    /// The systemd service that it belongs to: its innermost unit, where that is a service.
    pub unit: Option<Unit>,
    /// The container that it belongs to, as a container's runtime names it.
    pub container: Option<OsString>,
}

impl Cgroup {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let (unit, container) = (unit(&path), container(&path).map(OsStr::to_owned));
        Self { path, unit, container }
    }

    /// This cgroup is below that of its unit. Somebody put the process here on purpose.
    pub(crate) fn is_below_its_unit(&self) -> bool {
        self.unit.is_some() && self.path.parent().and_then(unit) == self.unit
    }

    /// The init.scope of a user's manager, which holds that manager alone. The init.scope of PID 1 also holds older
    /// processes, and processes that a container's runtime starts there later.
    pub(crate) fn is_of_a_user_manager(&self) -> bool {
        let above = self.path.parent().and_then(|above| above.extension());
        self.path.ends_with("init.scope") && above.is_some_and(|above| above == "service")
    }
}

/// The systemd service of a cgroup path: its innermost unit, where that is a service. A process in a scope belongs to
/// no service: it was meant to outlive its starter.
fn unit(cgroup: &Path) -> Option<Unit> {
    let parts: Vec<&OsStr> = cgroup.iter().map(plain).collect();
    let suffix =
        |part: &OsStr, suffix: &[u8]| part.as_encoded_bytes().strip_suffix(suffix).is_some_and(|name| !name.is_empty());
    let is_unit = |part: &&OsStr| suffix(part, b".service") || suffix(part, b".scope");
    let at = parts.iter().rposition(is_unit)?;
    let (above, name) = (parts.get(..at)?, parts.get(at)?);
    if suffix(name, b".scope") {
        return None;
    }
    let user = |part: &OsStr| part.to_str()?.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok();
    // Above a unit of PID 1 there are only slices. A user's manager is such a unit itself.
    let mut units = above.iter().copied().filter(is_unit);
    let manager = match (units.next(), units.next()) {
        (None, _) => Manager::System,
        (Some(unit), None) => user(unit).map_or(Manager::Nested, Manager::User),
        _ => Manager::Nested,
    };
    Some(Unit { name: (*name).to_owned(), manager })
}

/// systemd puts a _ before a name that could collide with a file of the kernel, like cpu.service. Its names are ASCII
/// (systemd.unit(5)), so a name that is no text has no such prefix.
fn plain(part: &OsStr) -> &OsStr {
    part.to_str().and_then(|part| part.strip_prefix('_')).map_or(part, OsStr::new)
}

/// The container that a cgroup path names.
fn container(cgroup: &Path) -> Option<&OsStr> {
    let named = |part: &&OsStr| {
        let part = part.as_encoded_bytes();
        let starts = [&b"docker"[..], b"libpod", b"kubepods", b"cri-containerd", b"crio", b"lxc", b"machine-"];
        starts.iter().any(|start| part.starts_with(start))
    };
    // Some paths have only its number: below Kubernetes' own groups, and in a foreign cgroup namespace.
    let numbered = |part: &&OsStr| part.len() == 64 && part.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
    if let Some(id) = cgroup.iter().rfind(numbered) {
        return Some(id);
    }
    // Docker's cgroupfs driver writes /docker/ID, systemd's writes docker-ID.scope.
    let at = cgroup.iter().enumerate().filter(|(_, part)| named(part)).last()?.0;
    let part = cgroup.iter().nth(at)?;
    match cgroup.iter().nth(at + 1) {
        Some(id) if part == "docker" || part == "lxc" => Some(id),
        _ => Some(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_one_where_that_is_a_service() {
        use Manager::{Nested, System, User};
        let user = "/user.slice/user-1000.slice/user@1000.service";
        let table = [
            ("/system.slice/openclaw-gateway.service", Some(("openclaw-gateway.service", System))),
            (&format!("{user}/app.slice/gw@work.service/sub"), Some(("gw@work.service", User(1000)))),
            (&format!("{user}/app.slice/app-x.slice/gw.service"), Some(("gw.service", User(1000)))),
            (r"/system.slice/my\x2dgw.service", Some((r"my\x2dgw.service", System))),
            (user, Some(("user@1000.service", System))),
            (&format!("{user}/init.scope"), None),
            (&format!("{user}/app.slice/run-u7.scope"), None),
            ("/system.slice/gw.service/libpod-7.scope/container", None),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            (&format!("{user}/app.slice/nest.service/app.slice/gw.service"), Some(("gw.service", Nested))),
            (&format!("{user}/app.slice/run-u7.scope/app.slice/gw.service"), Some(("gw.service", Nested))),
            (&format!("{user}/app.slice/nest.service{user}/gw.service"), Some(("gw.service", Nested))),
            (&format!("{user}/init.scope/gw.service"), Some(("gw.service", Nested))),
            (&format!("{user}/app.slice/nest.service/init.scope"), None),
            ("/system.slice/nest.service/app.slice/gw.service", Some(("gw.service", Nested))),
            ("/user.slice/user-1000.slice/session-3.scope/gw.service", Some(("gw.service", Nested))),
            ("/system.slice/gw.service/sub/gw.service", Some(("gw.service", Nested))),
            ("/../other.service", Some(("other.service", System))),
            ("/system.slice/_cpu.service", Some(("cpu.service", System))),
            ("/system.slice/__x.service", Some(("_x.service", System))),
            ("/a.service.d/.service", None),
            ("/", None),
        ];
        for (cgroup, expected) in table {
            let expected = expected.map(|(name, manager)| Unit { name: name.into(), manager });
            assert_eq!(unit(Path::new(cgroup)), expected, "{cgroup}");
        }
    }

    #[test]
    fn the_container_is_named_by_its_runtime() {
        let id = "0a".repeat(32);
        let numbered = ["/kubepods/burstable/pod1/", "/../", "/docker/"].map(|above| format!("{above}{id}"));
        for cgroup in &numbered {
            assert_eq!(container(Path::new(cgroup)), Some(OsStr::new(&id)), "{cgroup}");
        }
        let table = [
            ("/system.slice/docker-0123.scope", Some("docker-0123.scope")),
            ("/docker/0123456789ab", Some("0123456789ab")),
            ("/user.slice/user@1000.service/user.slice/libpod-77.scope/container", Some("libpod-77.scope")),
            ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-9.scope", Some("cri-containerd-9.scope")),
            ("/system.slice/gw.service", None),
        ];
        for (cgroup, name) in table {
            assert_eq!(container(Path::new(cgroup)), name.map(OsStr::new), "{cgroup}");
        }
    }
}
