//! What one look at the machine showed.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{Listener, Process};

/// The listeners and connections of the ports, and the holders of the listeners.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) listeners: Vec<Listener>,
    /// Not looked for where a listener explains each refusal.
    pub(crate) connections: Vec<Connection>,
    /// By pid, each once.
    pub(crate) holders: Vec<Rc<Process>>,
    /// How many processes exist whose descriptors may not be read. "Nobody" and "could not look" differ.
    pub(crate) unreadable: usize,
    /// Nothing changed while it was looked at.
    pub(crate) settled: bool,
}

/// A TCP socket in any other state than LISTEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) local: SocketAddr,
    pub(crate) time_wait: bool,
}
