//! The public calls, on systems where portclear cannot look: a server that embeds it compiles and binds.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::BindError;
use crate::model::{Connections, Error, Memory, Policy, PortReport, PortSpec, Progress, Report, Service, SweepReport};

pub(crate) fn inspect(ports: &[PortSpec], policy: &Policy) -> Report {
    let port = |spec: &PortSpec| PortReport {
        spec: *spec,
        status: Err(unsupported()),
        listeners: Vec::new(),
        holders: Vec::new(),
        members: Vec::new(),
        remainder: Memory::default(),
        connections: Connections::default(),
        unreadable: 0,
        asker: None,
        elapsed: Duration::ZERO,
    };
    let swept = || SweepReport { status: Err(unsupported()), ..SweepReport::default() };
    Report { ports: ports.iter().map(port).collect(), swept: policy.ends.sweep.then(swept) }
}

pub(crate) fn clear(ports: &[PortSpec], policy: &Policy, _: Option<&mut dyn FnMut(&Progress)>) -> Report {
    inspect(ports, policy)
}

pub(crate) fn bind(
    addresses: io::Result<impl Iterator<Item = SocketAddr>>, _: &Policy,
) -> Result<TcpListener, BindError> {
    let addresses = addresses.map_err(|error| BindError::new("cannot resolve the address to bind", error))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    TcpListener::bind(&addresses[..]).map_err(|error| BindError::new("cannot bind", error))
}

pub(crate) fn service_of_current_exe() -> io::Result<Service> {
    let path = std::env::current_exe()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Service::new(name).executable(path))
}

fn unsupported() -> Error {
    Error::new(
        "cannot look on this system: portclear finds holders on Linux alone",
        io::Error::from(io::ErrorKind::Unsupported),
    )
}
