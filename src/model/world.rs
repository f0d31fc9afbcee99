//! The result of one look at the machine.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{Listener, Process};

/// The listeners and connections of the ports, and the holders of the listeners.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) listeners: Vec<Listener>,
    /// Empty where a listener explains each refusal: nobody looks for connections then.
    pub(crate) connections: Vec<Connection>,
    /// Sorted by pid, each once.
    pub(crate) holders: Vec<Rc<Process>>,
    /// How many processes have descriptors that may not be read. "Nobody" and "could not look" differ.
    pub(crate) unreadable: usize,
    /// Nothing changed during the look.
    pub(crate) settled: bool,
}

/// A TCP socket in any other state than LISTEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) local: SocketAddr,
    pub(crate) time_wait: bool,
}
