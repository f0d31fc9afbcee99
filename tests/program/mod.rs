//! The command line: arguments, exit statuses, and every form of the answer. No text of another process breaks a
//! line, and no secret is shown. A free port costs one bind and not a word.

mod approved;
mod arguments;
mod check;
mod ctrl_c;
mod demo;
mod dry_run;
mod free_port;
mod hostile;
mod interactive;
mod json;
mod lines;
mod picture;
mod schema;
mod secrets;
mod statuses;
mod streams;
mod terminal;
mod too_deep;
mod ways;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        arguments::cases(),
        check::cases(),
        free_port::cases(),
        dry_run::cases(),
        json::cases(),
        schema::cases(),
        lines::cases(),
        statuses::cases(),
        terminal::cases(),
        ctrl_c::cases(),
        demo::cases(),
        interactive::cases(),
        approved::cases(),
        streams::cases(),
        hostile::cases(),
        picture::cases(),
        too_deep::cases(),
        secrets::cases(),
    ];
    files.into_iter().flatten().collect()
}
