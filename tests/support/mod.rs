//! What a test is written with. ../README.md says how.
//!
//! The drop of a value ends its processes. A value belongs to the thread that made it: the kernel ends children and
//! answers tracers by thread.

pub(crate) mod builder;
pub(crate) mod bystander;
pub(crate) mod case;
pub(crate) mod channel;
pub(crate) mod claims;
pub(crate) mod commands;
pub(crate) mod diff;
pub(crate) mod fixture;
pub(crate) mod installed;
pub(crate) mod layout;
pub(crate) mod lock;
pub(crate) mod needs;
pub(crate) mod net;
pub(crate) mod node;
pub(crate) mod openclaw;
pub(crate) mod pidns;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod sd;
pub(crate) mod sd_programs;
pub(crate) mod server;
pub(crate) mod start;
pub(crate) mod supervisors;
pub(crate) mod systemd;
pub(crate) mod terminal;
pub(crate) mod tracer;
pub(crate) mod unit;
pub(crate) mod wait;
pub(crate) mod witness;

pub(crate) use builder::{Builder, MARKERS, OnTerm};
pub(crate) use bystander::Bystander;
pub(crate) use case::{Case, case};
pub(crate) use claims::*;
pub(crate) use fixture::Fixture;
pub(crate) use installed::{Installed, Plain};
pub(crate) use lock::Lock;
pub(crate) use needs::{NOBODY, Needs};
pub(crate) use net::{GATEWAY, NOT_OURS, SECOND, ask, can_bind};
pub(crate) use nix::libc;
pub(crate) use nix::sys::signal::Signal;
pub(crate) use pidns::PidNs;
pub(crate) use process::Proc;
pub(crate) use run::{JSON, Portclear, Run, Running, TREE, portclear, portclear_json};
pub(crate) use sd::{Manager, Sd, both};
pub(crate) use server::Server;
pub(crate) use terminal::{Dialogue, Screen, Terminal, terminal};
pub(crate) use tracer::{Call, Traced, hold_at_exit};
pub(crate) use unit::Unit;
pub(crate) use wait::{DEADLINE, tick_after, until};
