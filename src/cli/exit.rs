//! The exit status: one enum, and the table that help and README show.

use std::process::ExitCode;

use portclear::{Outcome, PortReport, Report};

/// How the program ends. Of several ports the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Free = 0,
    Error = 1,
    /// clap's own for bad arguments; it stands here for the table.
    #[cfg_attr(not(test), allow(dead_code))]
    Usage = 2,
    Held = 3,
    Unseen = 4,
    Survived = 5,
    Respawned = 6,
}

/// The table, as help and README print it.
pub(crate) const TABLE: [(Exit, &str); 7] = [
    (Exit::Free, "the port is free: it was, or it was cleared"),
    (Exit::Error, "could not find out: an internal or system error"),
    (Exit::Usage, "bad arguments; nothing was touched"),
    (Exit::Held, "held, and left alone by rule: foreign, live, protected, offspring, newer"),
    (Exit::Unseen, "held by someone who cannot be seen, read or signalled from here"),
    (Exit::Survived, "stale, signalled, and still there"),
    (Exit::Respawned, "cleared, and taken again by a respawn"),
];

impl Exit {
    pub(crate) const fn of_port(port: &PortReport) -> Self {
        match &port.status {
            Err(_) => Self::Error,
            Ok(Outcome::Free | Outcome::Cleared | Outcome::WouldClear) => Self::Free,
            Ok(Outcome::Held) => Self::Held,
            Ok(Outcome::Unseen) => Self::Unseen,
            Ok(Outcome::Survived) => Self::Survived,
            Ok(Outcome::Respawned) => Self::Respawned,
            // An outcome of a later version of the library is at least not a free port.
            Ok(_) => Self::Error,
        }
    }

    pub(crate) fn of(report: &Report) -> Self {
        let unswept = report.swept.as_ref().is_some_and(|swept| swept.status.is_err());
        let swept = if unswept { Self::Error } else { Self::Free };
        report.ports.iter().map(Self::of_port).fold(swept, Self::max)
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_status_in_order() {
        for (number, (exit, meaning)) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), number);
            assert!(!meaning.is_empty());
        }
    }

    #[test]
    fn the_readme_shows_the_same_table() {
        let readme = include_str!("../../README.md");
        for (exit, meaning) in TABLE {
            let row = format!("| {} | {meaning} |", exit.code());
            assert!(readme.contains(&row), "README.md lacks: {row}");
        }
    }
}
