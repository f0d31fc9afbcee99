//! The only code that touches the system; one verb a file.

pub(crate) mod ancestry;
pub(crate) mod descriptors;
pub(crate) mod entry;
pub(crate) mod holders;
pub(crate) mod kin;
pub(crate) mod listeners;
pub(crate) mod pidfd;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod read;
pub(crate) mod snapshot;
pub(crate) mod sockets;
pub(crate) mod survey;
pub(crate) mod terminate;
pub(crate) mod unit;
