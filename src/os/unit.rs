//! Read what systemd has on record of a unit: no D-Bus, no child process, one link.
//!
//! systemd exports each active unit's run as a link `invocation:UNIT` to its INVOCATION_ID, for the system
//! manager below /run/systemd/units, for a user's below /run/user/UID/systemd/units. It is there from the
//! first ExecStartPre on, new with every start, and gone once the unit is inactive (measured on systemd 252).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use crate::facts::{Manager, Record, Unit};
use crate::parse;

pub(crate) fn record(unit: &Unit) -> Record {
    // Seen from a cgroup namespace below systemd's, a path names another unit than it says.
    if below_systemd() {
        return Record::Denied;
    }
    let record = match unit.manager {
        Manager::System => read(Path::new("/run/systemd/units"), &unit.name),
        Manager::User(uid) => {
            read(Path::new(&format!("/run/user/{uid}/systemd/units")), &unit.name).or_else(|| {
                // The user's manager has ended, or its folder is hidden from here (ProtectHome=).
                let manager = read(Path::new("/run/systemd/units"), format!("user@{uid}.service").as_ref());
                manager.filter(|record| *record == Record::Inactive)
            })
        }
        Manager::Nested => None,
    };
    // A process in a service and no records at all: they are hidden, for somebody put it there.
    record.unwrap_or(Record::Denied)
}

/// `None`: there is no folder of records.
fn read(folder: &Path, unit: &OsStr) -> Option<Record> {
    let mut name = OsString::from("invocation:");
    name.push(unit);
    let link = folder.join(name);
    let look = || -> io::Result<Option<Record>> {
        let since = fs::symlink_metadata(&link)?.modified()?;
        let target = fs::read_link(&link)?;
        let run = parse::run(target.as_os_str());
        Ok(run.map(|run| Record::Current { run: run.to_owned(), since }))
    };
    let denied = Some(Record::Denied);
    match look() {
        Ok(Some(record)) => Some(record),
        // A user's folder is the user's: what is no record there is as good as unreadable, and no error of the call.
        Ok(None) => denied,
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::symlink_metadata(folder) {
            Ok(_) => Some(Record::Inactive),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => denied,
        },
        Err(_) => denied,
    }
}

/// PID 1 is in init.scope at the root of what it manages; from below, its path begins with `/..`. Where /proc
/// hides it, the caller is a unit's, and units are not below (systemd before 257 gives them no namespace).
fn below_systemd() -> bool {
    let path = fs::read("/proc/1/cgroup").ok().and_then(|bytes| parse::cgroup(&bytes));
    path.is_some_and(|path| path.components().any(|part| part == Component::ParentDir))
}
