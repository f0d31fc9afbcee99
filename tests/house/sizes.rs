//! How large a file may be. How long a function may be, and how many parameters it may have, is clippy's to see to
//! (clippy.toml).

use super::source::sources;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(no_file_is_longer_than_a_reader_keeps_in_mind)]
}

/// Lines of a file, without its unit tests.
const LONGEST: usize = 280;

fn no_file_is_longer_than_a_reader_keeps_in_mind() {
    for source in sources() {
        let lines = source.lines.len();
        assert!(lines <= LONGEST, "{} has {lines} lines", source.path);
    }
}
