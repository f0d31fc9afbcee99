//! A server embeds the library, or follows the examples. It gets the answers that the program gives. `bind` clears
//! earlier instances of the same executable, and of several servers at once the youngest serves.

mod bind;
mod bind_server;
mod examples;
mod outside;
mod races;
mod refused;
mod same_answers;
mod stopped;

use std::process::ExitCode;

use crate::support::*;

/// Runs this program as one of the servers that tests start, if it was started as one.
pub(crate) fn server() -> Option<ExitCode> {
    same_answers::server().or_else(stopped::server).or_else(bind_server::server)
}

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        same_answers::cases(),
        bind::cases(),
        refused::cases(),
        races::cases(),
        outside::cases(),
        examples::cases(),
        stopped::cases(),
    ];
    files.into_iter().flatten().collect()
}
