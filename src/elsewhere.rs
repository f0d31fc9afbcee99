//! The public calls, on systems where portclear cannot look. A server that embeds it still compiles and binds.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::BindError;
use crate::model::{Error, Observer, Policy, PortReport, PortSpec, Report, Service, SweepReport};

pub(crate) fn inspect(ports: &[PortSpec], policy: &Policy) -> Report {
    refused(ports, policy, true)
}

fn refused(ports: &[PortSpec], policy: &Policy, dry_run: bool) -> Report {
    let mut reports: Vec<PortReport> = Vec::with_capacity(ports.len());
    for spec in ports {
        if !reports.iter().any(|report| report.spec == *spec) {
            reports.push(PortReport::new(*spec, Err(unsupported())));
        }
    }
    let swept = || SweepReport { status: Err(unsupported()), ..SweepReport::default() };
    Report { dry_run, ports: reports, swept: policy.ends.sweep.then(swept), rival: None, elapsed: Duration::ZERO }
}

pub(crate) fn clear(ports: &[PortSpec], policy: &Policy, _: Option<Observer<'_>>) -> Report {
    refused(ports, policy, false)
}

/// Binds without a look, so an address in use is an error without a report.
pub(crate) fn bind_one(address: SocketAddr, _: &Policy, _: Instant) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).map_err(|error| BindError::new(format!("cannot bind {address}"), error))
}

/// The path is enough: nobody is judged by it here.
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::policy::Also;

    fn policy() -> Policy {
        Policy::new(Service::openclaw())
    }

    fn sweeping() -> Policy {
        policy().also_end(Also::Sweep)
    }

    #[test]
    fn it_binds_and_an_address_in_use_is_an_error_without_a_report() {
        let first = crate::bind("127.0.0.1:0", &policy()).unwrap();
        let address = first.local_addr().unwrap();
        let error = crate::bind(address, &policy()).unwrap_err();
        assert_eq!((error.kind(), error.report().is_none()), (ErrorKind::AddrInUse, true));
        assert_eq!(error.to_string(), format!("cannot bind {address}"));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn it_tries_several_addresses_in_turn() {
        let held = crate::bind("127.0.0.1:0", &policy()).unwrap();
        let taken = held.local_addr().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        assert_ne!(crate::bind(&[taken, any][..], &policy()).unwrap().local_addr().unwrap(), taken);
        let nowhere = crate::bind(&[][..], &policy()).unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::InvalidInput);
        let name = crate::bind("no port", &policy()).unwrap_err();
        assert_eq!(name.to_string(), "cannot resolve the address to bind");
    }

    #[test]
    fn a_policy_that_sweeps_is_refused() {
        let error = crate::bind("127.0.0.1:0", &sweeping()).unwrap_err();
        assert_eq!((error.kind(), error.report().is_none()), (ErrorKind::InvalidInput, true));
    }

    #[test]
    fn a_look_and_a_clear_say_that_they_cannot() {
        let ports: Vec<PortSpec> = ["18789", "127.0.0.1:18789", "18789"].map(|port| port.parse().unwrap()).to_vec();
        let observed = crate::clear_observed(&ports, &policy(), &mut |_| -> std::ops::ControlFlow<()> {
            panic!("nothing is waited for")
        });
        for report in [crate::inspect(&ports, &policy()), crate::clear(&ports, &policy()), observed] {
            let specs: Vec<PortSpec> = report.ports.iter().map(|port| port.spec).collect();
            assert_eq!(specs, ports[..2]);
            for port in &report.ports {
                let error = port.status.as_ref().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert!(error.to_string().starts_with("cannot look on this system"), "{error}");
                assert!(port.sentence().starts_with("could not find out: cannot look on this system"));
            }
            assert_eq!((report.is_free(), report.exit_status(), report.swept.is_none()), (false, 1, true));
            assert!(report.to_json().contains(r#""status":"error""#), "{}", report.to_json());
        }
    }

    #[test]
    fn a_sweep_says_so_too() {
        for report in [crate::inspect(&[], &sweeping()), crate::clear(&[], &sweeping())] {
            let swept = report.swept.as_ref().unwrap();
            assert_eq!(swept.status.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
            assert!(!swept.is_whole());
            assert_eq!(report.exit_status(), 1);
        }
    }

    #[test]
    fn the_calling_program_is_a_service() {
        let service = Service::of_current_exe().unwrap();
        assert!(!service.name().is_empty());
    }
}
