//! What a test is written with.
//!
//! ```text
//! use crate::support::*;
//!
//! pub(crate) fn cases() -> Vec<Case> {
//!     vec![case!(b01_node_is_found), case!(d06_other_user, Needs::Root)]
//! }
//!
//! fn b01_node_is_found() {
//!     let bystander = Bystander::start();
//!     let gateway = Fixture::gateway().start();
//!     let run = portclear(&["18789"]);
//!     assert_eq!(run.status, 0, "{run}");
//!     gateway.has_ended();
//!     bystander.answers();
//! }
//! ```
//!
//! The same in units of a real systemd is [`Sd`]'s.
//!
//! `PORTCLEAR_WITNESS=/path/to/another/portclear cargo test --locked --test main` compares the program with another
//! one, as with the version before a change that must change nothing: see [`witness`].
//!
//! Every process is ended when its value is dropped; a value is for the thread that made it (the kernel
//! delivers a parent's death, and a tracer's requests, by thread).

// A helper waits here for the module that uses it.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod builder;
pub(crate) mod bystander;
pub(crate) mod case;
pub(crate) mod channel;
pub(crate) mod diff;
pub(crate) mod fixture;
pub(crate) mod installed;
pub(crate) mod layout;
pub(crate) mod needs;
pub(crate) mod net;
pub(crate) mod node;
pub(crate) mod pidns;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod sd;
pub(crate) mod sd_programs;
pub(crate) mod server;
pub(crate) mod systemd;
pub(crate) mod terminal;
pub(crate) mod tracer;
pub(crate) mod unit;
pub(crate) mod wait;
pub(crate) mod witness;

pub(crate) use builder::{Builder, MARKERS, OnTerm};
pub(crate) use bystander::Bystander;
pub(crate) use case::{Case, case};
pub(crate) use fixture::Fixture;
pub(crate) use installed::{Installed, Plain};
pub(crate) use needs::{NOBODY, Needs};
pub(crate) use net::{ask, can_bind};
pub(crate) use nix::libc;
pub(crate) use nix::sys::signal::Signal;
pub(crate) use pidns::PidNs;
pub(crate) use process::Proc;
pub(crate) use run::{Portclear, Run, Running, portclear};
pub(crate) use sd::{Manager, Sd, both};
pub(crate) use server::Server;
pub(crate) use terminal::Terminal;
pub(crate) use tracer::{Call, Hold, Traced, hold_at_exit};
pub(crate) use unit::{Line, Unit, UnitBystander};
pub(crate) use wait::{DEADLINE, tick_after, until};
