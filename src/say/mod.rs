//! Say what was found and done: as a sentence, as a clause, as JSON, as an event. Text of other processes is escaped here,
//! once, for every way of showing it.

#![deny(clippy::wildcard_enum_match_arm)]

mod command;
pub(crate) mod event;
mod json;
mod reason;
mod sentence;
mod words;

pub(crate) use sentence::refusal;
