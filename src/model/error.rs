//! Why something could not be found out. A refusal is no error: the report gives it as an answer.

use std::fmt;
use std::io;
use std::sync::Arc;

/// "Could not find out": what was attempted, and what the system said.
///
/// Its text is what was attempted. Its [`source`](std::error::Error::source) is what the system said.
///
/// ```
/// use std::io::ErrorKind;
/// use portclear::{Policy, PortSpec, Service};
///
/// // An address that this machine does not have (RFC 5737) cannot be proved free.
/// let port: PortSpec = "192.0.2.1:18789".parse()?;
/// let report = portclear::inspect(&[port], &Policy::new(Service::openclaw()));
/// for error in report.ports.iter().filter_map(|port| port.status.as_ref().err()) {
///     match error.kind() {
///         ErrorKind::Unsupported => eprintln!("not on this system: {error}"),
///         _ => eprintln!("could not find out: {error}"),
///     }
/// }
/// # Ok::<(), portclear::policy::PortSpecError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    attempt: String,
    source: Arc<io::Error>,
}

impl Error {
    pub(crate) fn new(attempt: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { attempt: attempt.into(), source: Arc::new(source.into()) }
    }

    /// The kind of the system's error. [`Unsupported`](io::ErrorKind::Unsupported): portclear cannot look on this
    /// system. It is not Linux, or its kernel lacks a call (ENOSYS): kernels before 5.3 lack pidfd_open(2).
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    pub(crate) fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Keeps the kind that the system gave.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.source.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_source_and_not_said_twice() {
        let error = Error::new("cannot read the socket table", io::Error::from_raw_os_error(24));
        assert_eq!(error.to_string(), "cannot read the socket table");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), error.source.to_string());
    }

    #[test]
    fn the_kind_is_the_systems() {
        let error = Error::new("cannot look", io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let io = io::Error::from(error);
        assert_eq!((io.kind(), io.to_string()), (io::ErrorKind::PermissionDenied, "cannot look".to_owned()));
    }
}
