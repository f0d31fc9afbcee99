//! Read what systemd has on record of a unit: no D-Bus, no child process, one link.
//!
//! systemd exports each active unit's run as a link `invocation:UNIT` to its INVOCATION_ID, for the system
//! manager below /run/systemd/units, for a user's below /run/user/UID/systemd/units. It is there from the
//! first ExecStartPre on, new with every start, and gone once the unit is inactive (measured on systemd 252).

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

/// What is on record for a process of `unit` that was started in `run`, as far as its environment says so.
pub(crate) fn record(unit: &Unit, run: Option<&str>) -> Record {
    // Seen from a cgroup namespace below systemd's, a path names another unit than it says.
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
    // A process in a service and no records at all: they are hidden, for somebody put it there.
    record.unwrap_or(Record::Denied)
}

/// What is on record for a process of this user that is in no service, and was started in `run`.
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
        // A user's folder is the user's: what is no record there is as good as unreadable, and no error of the call.
        Ok(None) => return Some(Record::Denied),
        Err(error) if error.kind() == ErrorKind::NotFound => Record::Inactive,
        Err(_) => return Some(Record::Denied),
    };
    let all = match current(folder) {
        Ok(all) => all,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => return Some(Record::Denied),
    };
    // A manager has active units. One that is executed anew below another mount does not write down again what was
    // there before (seen on systemd 252).
    if all.is_empty() {
        return Some(Record::Denied);
    }
    // What is left of a run keeps the cgroup under the unit's name of that time. When the unit has got another name
    // since, its next run is in that cgroup, too, and on record by the new one.
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
            // It has become inactive meanwhile, or is no record, as a user may put there.
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

/// PID 1 is in init.scope at the root of what it manages; from below, its path begins with `/..`. Where /proc
/// hides it, the caller is a unit's, and units are not below (systemd before 257 gives them no namespace).
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
        // A manager with nothing on record has lost it.
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
