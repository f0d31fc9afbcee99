//! Whether a stream is the journal, and how important a line is to it.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use crate::cli::exit::Exit;

/// Whether systemd connected this stream to the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5)). A
/// stream that was redirected since has other numbers.
pub(crate) fn is_journal(stream: impl AsFd) -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    let stream = stream.as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    stream.is_ok_and(|about| named == format!("{}:{}", about.dev(), about.ino()))
}

/// The syslog priority of an answer, as a line's prefix (sd-daemon(3)).
pub(crate) const fn prefix(exit: Exit) -> &'static str {
    match exit {
        Exit::Free => "<5>",
        Exit::Held | Exit::Unseen | Exit::Usage => "<4>",
        Exit::Error | Exit::Survived | Exit::Respawned => "<3>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_not_named_is_not_the_journal() {
        // The variables of the test runner stay as they are: they never name a temporary file.
        assert!(!is_journal(tempfile::tempfile().unwrap()));
    }
}
