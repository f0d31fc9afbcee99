//! Read the system. The results are plain data of `model`, and descriptors that pin processes.

mod ancestry;
mod caller;
mod charge;
mod descriptors;
mod facts;
mod holders;
mod lock;
mod memory;
mod netlink;
mod parse;
mod pidfd;
mod pinned;
mod probe;
mod proc;
mod relatives;
mod rival;
mod run;
mod script;
mod snapshot;
mod table;
mod world;

pub(crate) use ancestry::Lines;
pub(crate) use caller::caller;
pub(crate) use facts::facts;
#[cfg(feature = "bench")]
pub(crate) use holders::scan;
pub(crate) use memory::{memory, remainder};
pub(crate) use pidfd::{Delivery, PidFd, pause, wait};
pub(crate) use pinned::{Pinned, Pins};
pub(crate) use probe::{Probe, probe, v6only_by_default};
pub(crate) use proc::{executables, own_exe};
pub(crate) use relatives::{Partly, has_another_child, in_services, newcomers, relatives};
pub(crate) use rival::{process, rival};
pub(crate) use snapshot::{Processes, user_names};
#[cfg(feature = "bench")]
pub(crate) use table::table;
pub(crate) use table::{all_listeners, listens};
pub(crate) use world::{Look, look};
