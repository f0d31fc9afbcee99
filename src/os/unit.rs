//! Read what systemd has on record of a unit: no D-Bus, no child process, one link.
//!
//! systemd exports each active unit's run as a link `invocation:UNIT` to its INVOCATION_ID, for the system
//! manager below /run/systemd/units, for a user's below /run/user/UID/systemd/units. It is there from the
//! first ExecStartPre on, new with every start, and gone once the unit is inactive (measured on systemd 252).

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::error::Error;
use crate::facts::{Manager, Record, Unit};
use crate::parse;

pub(crate) fn record(unit: &Unit) -> Result<Record, Error> {
    let folder = match unit.manager {
        Manager::System => PathBuf::from("/run/systemd/units"),
        Manager::User(uid) => PathBuf::from(format!("/run/user/{uid}/systemd/units")),
    };
    let mut name = OsString::from("invocation:");
    name.push(&unit.name);
    let link = folder.join(name);
    let read = || -> io::Result<Record> {
        // The time first: a link made anew in between is younger than the time that is kept for it.
        let since = fs::symlink_metadata(&link)?.modified()?;
        let target = fs::read_link(&link)?;
        let run = parse::run(target.as_os_str()).ok_or_else(|| io::Error::other("names no run"))?;
        Ok(Record::Current { run: run.to_owned(), since })
    };
    let fail = |error| {
        Error::new(format!("cannot read {}", crate::escape(link.as_os_str().as_encoded_bytes())), error)
    };
    match read() {
        Ok(record) => Ok(record),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Record::Denied),
        // No link: no current run. No folder: no systemd that keeps one.
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::symlink_metadata(&folder) {
            Ok(_) => Ok(Record::Inactive),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Record::None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Record::Denied),
            Err(error) => Err(fail(error)),
        },
        Err(error) => Err(fail(error)),
    }
}
