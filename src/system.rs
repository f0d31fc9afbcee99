//! The public calls, on Linux.

use std::io;

use crate::end::Mode;
use crate::model::{Observer, Policy, PortSpec, Report, Runtime, Service, escape};
use crate::{clear as clears, read};

pub(crate) use crate::rebind::bind_one;

pub(crate) fn inspect(ports: &[PortSpec], policy: &Policy) -> Report {
    clears::run(ports, policy, Mode::Look)
}

pub(crate) fn clear(ports: &[PortSpec], policy: &Policy, observer: Option<Observer<'_>>) -> Report {
    clears::run(ports, policy, Mode::Act(observer))
}

pub(crate) fn service_of_current_exe() -> io::Result<Service> {
    let exe = read::own_exe()?;
    let refused = |why| {
        let path = escape(exe.path.as_os_str().as_encoded_bytes());
        Err(io::Error::new(io::ErrorKind::Unsupported, format!("{path} {why}")))
    };
    if Runtime::is_known(&exe.path) {
        return refused("runs anybody's program and so is no service's own executable");
    }
    // Any process may choose such a name.
    if exe.path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
        return refused("is no file that tells an instance");
    }
    let name = exe.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Service::new(name).executable(exe.path.clone()).file(exe.path, exe.file))
}
