//! The exit status: one enum, and the table that help and README show.

/// How the program ends. Of several ports the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Free = 0,
    Error = 1,
    /// clap uses it for bad arguments. It is here for the table.
    Usage = 2,
    Held = 3,
    Unseen = 4,
    Survived = 5,
    Respawned = 6,
}

/// The table, as help and README print it.
pub(crate) const TABLE: [(Exit, &str); 7] = [
    (Exit::Free, "the port is free: it was free, or portclear cleared it"),
    (Exit::Error, "portclear could not find out: the system refused something"),
    (Exit::Usage, "the arguments are wrong; portclear touched nothing"),
    (Exit::Held, "the port is held, and portclear leaves the holder alone by rule"),
    (Exit::Unseen, "the port is held, and portclear may not see, read or signal the holder"),
    (Exit::Survived, "a stale process was signalled, and the port is still held"),
    (Exit::Respawned, "the port was cleared, and a restarted process took it again"),
];

impl Exit {
    /// An unknown status comes from a later version of the library. It must not mean a free port.
    pub(crate) fn of(status: u8) -> Self {
        let known = TABLE.into_iter().find(|(exit, _)| exit.code() == status);
        known.map_or(Self::Error, |(exit, _)| exit)
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
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
