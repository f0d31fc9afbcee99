//! Bind each address in turn, as `TcpListener::bind` does.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use crate::bind_error::BindError;
use crate::model::Policy;
use crate::system;

/// If no address can be bound, it gives the error that says most: which process was signalled, or else who holds the
/// port.
pub(crate) fn bind(
    addresses: io::Result<impl Iterator<Item = SocketAddr>>, policy: &Policy,
) -> Result<TcpListener, BindError> {
    if policy.ends.sweep {
        let sweeps = io::Error::new(ErrorKind::InvalidInput, "the policy sweeps, and only clear does that");
        return Err(BindError::new("cannot bind", sweeps));
    }
    let addresses = addresses.map_err(|error| BindError::new("cannot resolve the address to bind", error))?;
    let start = Instant::now();
    let mut failed: Option<BindError> = None;
    for address in addresses {
        match system::bind_one(address, policy, start) {
            Ok(listener) => return Ok(listener),
            Err(error) if failed.as_ref().is_some_and(|first| !error.says_more_than(first)) => drop(error),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| {
        let none = io::Error::new(ErrorKind::InvalidInput, "it resolves to no address");
        BindError::new("cannot bind", none)
    }))
}
