//! Prove by a bind that a port is free.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockopt, setsockopt, socket, sockopt,
};

use crate::model::{Error, PortSpec};

/// The result of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Probe {
    Free,
    /// The caller may not bind this port, so nothing is proved (ip(7), `ip_unprivileged_port_start`).
    Denied,
    Busy,
}

pub(crate) fn probe(spec: &PortSpec) -> Result<Probe, Error> {
    let mut worst = Probe::Free;
    for address in spec.probes() {
        worst = worst.max(probe_address(spec, address)?);
    }
    Ok(worst)
}

fn probe_address(spec: &PortSpec, address: SocketAddr) -> Result<Probe, Error> {
    match try_bind(address, spec.is_v6only()) {
        Ok(()) => Ok(Probe::Free),
        Err(Errno::EADDRINUSE) => Ok(Probe::Busy),
        Err(Errno::EACCES | Errno::EPERM) => Ok(Probe::Denied),
        // This machine has no IPv6, so IPv4 alone must be free.
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) if address.is_ipv6() && spec.is_any() => {
            probe_address(spec, (Ipv4Addr::UNSPECIFIED, spec.port()).into())
        }
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) if address.is_ipv6() && spec.is_localhost() => Ok(Probe::Free),
        Err(errno) => Err(Error::new(format!("cannot try to bind {address}"), errno)),
    }
}

/// Whether a plain bind to `[::]` leaves IPv4 alone, in this network namespace (ip(7), ipv6(7): IPV6_V6ONLY,
/// whose default is `net.ipv6.bindv6only`).
pub(crate) fn v6only_by_default() -> bool {
    let socket = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    // Without IPv6 nobody binds to [::].
    socket.and_then(|socket| getsockopt(&socket, sockopt::Ipv6V6Only)).unwrap_or(false)
}

/// Binds without listening. With SO_REUSEADDR this disturbs nobody: two such sockets may be bound at once while neither
/// listens (socket(7)). TIME_WAIT does not refuse it.
fn try_bind(address: SocketAddr, v6only: bool) -> nix::Result<()> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        // net.ipv6.bindv6only must not decide: [::] means both families, unless the caller's own bind means one.
        setsockopt(&socket, sockopt::Ipv6V6Only, &v6only)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn of_both_families_or_of_ipv6_alone() {
        let ipv4 = TcpListener::bind("0.0.0.0:0").unwrap();
        let wildcard = (std::net::Ipv6Addr::UNSPECIFIED, ipv4.local_addr().unwrap().port()).into();
        let probed = |v6only| probe(&PortSpec::of_bind(wildcard, v6only).unwrap()).unwrap();
        assert_eq!((probed(true), probed(false)), (Probe::Free, Probe::Busy));
    }
}
