//! Read systemd's record of a unit: one link, without D-Bus and without a child process.
//!
//! systemd exports each active unit's run as a link `invocation:UNIT` to its INVOCATION_ID. The system manager's links
//! are in /run/systemd/units, a user's in /run/user/UID/systemd/units. The link exists from the first ExecStartPre on.
//! It is new with every start, and gone when the unit is inactive (measured on systemd 252).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::parse;
use crate::model::{Manager, Record, Unit};

const SYSTEM: &str = "/run/systemd/units";
const LINK: &[u8] = b"invocation:";

/// The record for a process of `unit`. `run`: the run that the process's environment names, if any.
pub(crate) fn record(unit: &Unit, run: Option<&str>) -> Record {
    // In a cgroup namespace below systemd's own, a path may name a wrong unit.
    if below_systemd() {
        return Record::Denied;
    }
    let record = match unit.manager {
        Manager::System => read(Path::new(SYSTEM), &unit.name, run),
        Manager::User(uid) => read(&of_user(uid), &unit.name, run).or_else(|| {
            // The user's manager has ended, or its folder is hidden from here (ProtectHome=).
            let manager = read(Path::new(SYSTEM), format!("user@{uid}.service").as_ref(), None);
            manager.filter(|record| *record == Record::Inactive)
        }),
        Manager::Nested => None,
    };
    // Somebody put the process into a service. So missing records are hidden ones.
    record.unwrap_or(Record::Denied)
}

/// The record for a process of this user that is in no service, and was started in `run`.
pub(crate) fn elsewhere(run: &str, uid: Option<u32>) -> Record {
    let system = (PathBuf::from(SYSTEM), Manager::System);
    let user = uid.map(|uid| (of_user(uid), Manager::User(uid)));
    for (folder, manager) in std::iter::once(system).chain(user) {
        let of_user = format!("user@{}.service", uid.unwrap_or_default());
        match current(&folder) {
            Ok(all) => {
                if let Some(current) = all.into_iter().find(|current| current.run.run == run) {
                    return Record::Outside(Unit { name: current.name, manager });
                }
            }
            // No manager, or its folder is hidden from here (ProtectHome=).
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let hidden = manager != Manager::System
                    && matches!(read(Path::new(SYSTEM), of_user.as_ref(), None), Some(Record::Current { .. }));
                if hidden {
                    return Record::Denied;
                }
            }
            Err(_) => return Record::Denied,
        }
    }
    Record::None
}

fn of_user(uid: u32) -> PathBuf {
    PathBuf::from(format!("/run/user/{uid}/systemd/units"))
}

/// `None`: there is no folder of records.
fn read(folder: &Path, unit: &OsStr, run: Option<&str>) -> Option<Record> {
    let mut name = OsStr::from_bytes(LINK).to_owned();
    name.push(unit);
    let named = match link(&folder.join(name)) {
        Ok(Some(current)) if run.is_none_or(|run| run == current.run) => return Some(current.into()),
        Ok(Some(current)) => current.into(),
        // A user may write anything into that folder. A link that names no run counts as unreadable, not as an error.
        Ok(None) => return Some(Record::Denied),
        Err(error) if error.kind() == ErrorKind::NotFound => Record::Inactive,
        Err(_) => return Some(Record::Denied),
    };
    let all = match current(folder) {
        Ok(all) => all,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => return Some(Record::Denied),
    };
    // A manager has active units, so an empty folder has lost its records. A manager that executes itself again below
    // another mount does not write the old ones again (seen on systemd 252).
    if all.is_empty() {
        return Some(Record::Denied);
    }
    // Left over processes keep a cgroup under the unit's old name. If the unit was renamed since, its next run is in
    // that cgroup, too, but its record has the new name.
    let renamed = all.into_iter().find(|current| run == Some(current.run.run.as_str()));
    Some(renamed.map_or(named, |current| current.run.into()))
}

struct Current {
    name: OsString,
    run: Run,
}

/// The run that a link names, and since when.
struct Run {
    run: String,
    since: SystemTime,
}

impl From<Run> for Record {
    fn from(Run { run, since }: Run) -> Self {
        Self::Current { run, since }
    }
}

/// Every current run that is on record in a folder.
fn current(folder: &Path) -> io::Result<Vec<Current>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(name) = entry.file_name().as_bytes().strip_prefix(LINK).map(OsStr::from_bytes).map(OsStr::to_owned)
        else {
            continue;
        };
        match link(&entry.path()) {
            Ok(Some(run)) => all.push(Current { name, run }),
            // The unit has become inactive meanwhile, or a user put something else there.
            Ok(None) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// `None`: the link names no run.
fn link(path: &Path) -> io::Result<Option<Run>> {
    let since = fs::symlink_metadata(path)?.modified()?;
    let target = fs::read_link(path)?;
    Ok(parse::run(target.as_os_str()).map(|run| Run { run: run.to_owned(), since }))
}

/// PID 1 is in init.scope at the root of its cgroups. From a namespace below, its path begins with `/..`. If /proc
/// hides PID 1, the caller is in a unit. A unit has no such namespace (before systemd 257).
fn below_systemd() -> bool {
    let path = fs::read("/proc/1/cgroup").ok().and_then(|bytes| parse::cgroup(&bytes));
    path.is_some_and(|path| path.components().any(|part| part == Component::ParentDir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_run_is_current_under_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let runs = ["1", "2", "3"].map(|digit| digit.repeat(32));
        let [old, new, other] = runs.each_ref().map(String::as_str);
        let look = |unit: &str, run| read(at, unit.as_ref(), run);
        let run = |record: Option<Record>| match record {
            Some(Record::Current { run, .. }) => run,
            record => panic!("{record:?}"),
        };
        // A manager without any record has lost its records.
        assert_eq!(look("gw.service", Some(old)), Some(Record::Denied));
        symlink(other, at.join("invocation:default.target")).unwrap();
        assert_eq!(look("gw.service", Some(old)), Some(Record::Inactive));
        assert_eq!(look("gw.service", None), Some(Record::Inactive));
        symlink(new, at.join("invocation:gw.service")).unwrap();
        assert_eq!(run(look("gw.service", Some(new))), new);
        assert_eq!(run(look("gw.service", Some(old))), new);
        assert_eq!(run(look("gw.service", None)), new);
        // The unit's cgroup has its earlier name.
        assert_eq!(run(look("earlier.service", Some(new))), new);
        assert_eq!(look("earlier.service", Some(old)), Some(Record::Inactive));
        symlink(old, at.join("invocation:earlier.service")).unwrap();
        assert_eq!(run(look("earlier.service", Some(new))), new);
        symlink("nonsense", at.join("invocation:odd.service")).unwrap();
        assert_eq!(look("odd.service", Some(new)), Some(Record::Denied));
        assert_eq!(read(&at.join("none"), "gw.service".as_ref(), Some(new)), None);
    }
}
