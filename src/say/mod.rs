//! Say what was found and done: as a sentence, a clause, JSON or an event. Text of other processes is escaped.

#![deny(clippy::wildcard_enum_match_arm)]

mod again;
mod command;
pub(crate) mod event;
mod foreign;
mod held;
mod json;
#[cfg(test)]
#[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
mod list;
mod next;
mod reason;
mod recognition;
mod rival;
mod sentence;
mod step;
mod stop;
mod sweep;
mod words;

pub(crate) use sentence::refusal;
