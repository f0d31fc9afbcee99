//! What a person can do after a refusal.

use std::path::PathBuf;

use super::Also;

/// A step that a person can take where a port was left alone: how to take it, and its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// How to take it.
    pub how: How,
    /// Its effect in a few words, after the command. Where there is no command, the whole step in words. It holds no
    /// character that a shell would act on.
    pub effect: String,
}

/// How to take a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// This command, for a shell.
    Command(String),
    /// The same call again, with this change.
    Again(Change),
    /// There is no command for it.
    Words,
}

/// How the next call differs from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It does not.
    Nothing,
    /// It only looks ([`inspect`](crate::inspect)).
    Look,
    /// Root makes it.
    AsRoot,
    /// Its policy ends more.
    Also(Also),
    /// Its policy has this grace, in seconds.
    Grace(u64),
    /// Its policy sends SIGKILL at the end of the grace.
    Kill,
    /// Its policy does not protect this process.
    Unprotect(u32),
    /// It only looks, and its service has this executable.
    Executable(PathBuf),
    /// It only looks, and its service has this package.
    Package(String),
}
