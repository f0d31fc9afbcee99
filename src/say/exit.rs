//! The exit status.

use crate::model::{Outcome, PortReport, Report};

impl Report {
    /// The program's exit status: the highest of the ports', and at least 1 if the sweep failed.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        let unswept = self.swept.as_ref().is_some_and(|swept| swept.status.is_err());
        self.ports.iter().map(PortReport::exit_status).fold(u8::from(unswept), u8::max)
    }
}

impl PortReport {
    /// The program's exit status for this port alone: 0 free, or it would be tried; 1 could not find out; 3 held, and
    /// left alone by a rule; 4 held by somebody who cannot be seen, read or signalled from here; 5 signalled, and still
    /// held; 6 cleared, and taken again.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match &self.status {
            Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear) => 0,
            Err(_) => 1,
            Ok(Outcome::Held(_)) => 3,
            Ok(Outcome::Unseen(_)) => 4,
            Ok(Outcome::Survived(_)) => 5,
            Ok(Outcome::Respawned) => 6,
        }
    }
}
