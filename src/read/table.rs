//! Read the socket table of this network namespace.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use netstat2::{AddressFamilyFlags, ProtocolFlags, ProtocolSocketInfo, TcpState, iterate_sockets_info_without_pids};
use procfs::ProcError;
use procfs::process::Process;

use super::netlink::listeners;
use super::proc::to_io;
use crate::model::{Connection, Error, Listener, PortSpec, World};

/// Asks for the listeners alone, and reads the whole table only where that fails or leaves a refusal unexplained.
pub(crate) fn table(specs: &[PortSpec]) -> Result<World, Error> {
    let mut ports: Vec<u16> = specs.iter().map(PortSpec::port).collect();
    ports.sort_unstable();
    ports.dedup();
    let listeners: io::Result<Vec<Vec<Listener>>> = ports.iter().map(|port| listeners(*port)).collect();
    if let Ok(listeners) = listeners {
        let mut table = World { listeners: listeners.concat(), ..World::default() };
        if specs.iter().all(|spec| table.listeners.iter().any(|listener| spec.is_refused_by(listener))) {
            tidy(&mut table);
            return Ok(table);
        }
    }
    whole(&ports)
}

/// Reads the whole table with netstat2. If netlink is refused, or shows no listener for one of the ports, it also reads
/// /proc/net. Reason: netstat2 gives an empty answer if the kernel's sock_diag handler is missing, and a short answer
/// on a netlink error.
fn whole(ports: &[u16]) -> Result<World, Error> {
    match by_netlink(ports) {
        Ok(table) if ports.iter().all(|port| table.listeners.iter().any(|l| l.local.port() == *port)) => Ok(table),
        Ok(mut table) => {
            let other = by_proc(|port| ports.contains(&port))?;
            table.listeners.extend(other.listeners);
            if table.connections.is_empty() {
                table.connections = other.connections;
            }
            tidy(&mut table);
            Ok(table)
        }
        Err(_) => by_proc(|port| ports.contains(&port)),
    }
}

fn add(table: &mut World, local: SocketAddr, (inode, uid): (u64, u32), state: State) {
    match state {
        State::Listen => table.listeners.push(Listener { local, inode, uid, v6only: None }),
        State::TimeWait => table.connections.push(Connection { local, time_wait: true }),
        State::Other => table.connections.push(Connection { local, time_wait: false }),
    }
}

fn tidy(table: &mut World) {
    table.listeners.sort();
    table.listeners.dedup();
}

/// All listeners of this network namespace.
pub(crate) fn all_listeners() -> Result<Vec<Listener>, Error> {
    match listeners(0) {
        Ok(listeners) => Ok(listeners),
        Err(_) => Ok(by_proc(|_| true)?.listeners),
    }
}

/// Somebody listens where this port would be bound. It asks for the listeners of the port alone.
pub(crate) fn listens(spec: &PortSpec) -> Result<bool, Error> {
    let listeners = match listeners(spec.port()) {
        Ok(listeners) => listeners,
        Err(_) => by_proc(|port| port == spec.port())?.listeners,
    };
    Ok(listeners.iter().any(|listener| spec.is_refused_by(listener)))
}

enum State {
    Listen,
    TimeWait,
    Other,
}

fn by_netlink(ports: &[u16]) -> Result<World, netstat2::error::Error> {
    let families = AddressFamilyFlags::IPV4 | AddressFamilyFlags::IPV6;
    let mut table = World::default();
    for socket in iterate_sockets_info_without_pids(families, ProtocolFlags::TCP)? {
        let socket = socket?;
        let ProtocolSocketInfo::Tcp(tcp) = socket.protocol_socket_info else {
            continue;
        };
        if ports.contains(&tcp.local_port) {
            let state = match tcp.state {
                TcpState::Listen => State::Listen,
                TcpState::TimeWait => State::TimeWait,
                _ => State::Other,
            };
            add(&mut table, (tcp.local_addr, tcp.local_port).into(), (socket.inode.into(), socket.uid), state);
        }
    }
    tidy(&mut table);
    Ok(table)
}

fn by_proc(wanted: impl Fn(u16) -> bool) -> Result<World, Error> {
    let attempt = "cannot read the socket table";
    // The thread's own table. /proc/net is that of the leader, which may be in another network namespace. And under
    // ProcSubset=pid there is no /proc/net.
    let thread = PathBuf::from(format!("/proc/self/task/{}", nix::unistd::gettid()));
    let thread = Process::new_with_root(thread);
    let thread = thread.map_err(|error| Error::new(attempt, to_io(error)))?;
    let mut entries = thread.tcp().map_err(|error| Error::new(attempt, to_io(error)))?;
    match thread.tcp6() {
        Ok(more) => entries.extend(more),
        // A kernel without IPv6 has no such file.
        Err(ProcError::NotFound(_)) => {}
        Err(error) => return Err(Error::new(attempt, to_io(error))),
    }
    let mut table = World::default();
    for entry in entries {
        if wanted(entry.local_address.port()) {
            let state = match entry.state {
                procfs::net::TcpState::Listen => State::Listen,
                procfs::net::TcpState::TimeWait => State::TimeWait,
                _ => State::Other,
            };
            add(&mut table, entry.local_address, (entry.inode, entry.uid), state);
        }
    }
    tidy(&mut table);
    Ok(table)
}
