//! Why something could not be found out. A refusal is no error: it is an answer, and stands in the report.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::report::PortReport;

/// "Could not find out": what was attempted, and what the system said.
#[derive(Clone, Debug)]
pub struct Error {
    attempt: String,
    source: Arc<io::Error>,
}

impl Error {
    pub(crate) fn new(attempt: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { attempt: attempt.into(), source: Arc::new(source.into()) }
    }

    /// The process, or the machine, has no file descriptor left.
    pub(crate) fn is_out_of_descriptors(&self) -> bool {
        use nix::libc::{EMFILE, ENFILE};
        matches!(self.source.raw_os_error(), Some(EMFILE | ENFILE))
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

/// With the kind that the system gave.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// Why [`crate::bind`] gave no listener.
///
/// Its [`source`](std::error::Error::source) is what the system said. Converts into an [`io::Error`] of the
/// same kind, so that `?` works in a function that only knows those.
#[derive(Clone)]
pub struct BindError {
    attempt: String,
    source: Arc<io::Error>,
    report: Option<Box<PortReport>>,
}

impl BindError {
    pub(crate) fn new(attempt: impl Into<String>, source: io::Error) -> Self {
        Self { attempt: attempt.into(), source: Arc::new(source), report: None }
    }

    pub(crate) fn in_use(source: io::Error, report: PortReport) -> Self {
        let attempt = format!("cannot bind {}", report.spec);
        Self { report: Some(Box::new(report)), ..Self::new(attempt, source) }
    }

    /// Of the errors of several addresses one is given. Without a report that is the last one's, as std's is.
    pub(crate) fn says_more_than(&self, other: &Self) -> bool {
        let said = |error: &Self| {
            error.report().map(|report| {
                let mut processes = report.holders.iter().chain(&report.members);
                processes.any(|process| !process.ending.signals.is_empty())
            })
        };
        said(other).is_none() || said(self) > said(other)
    }

    /// What was found and done, where the address is in use: who holds it, and why that was left alone.
    /// `None`: the system refused for another reason, and nothing was looked for.
    #[must_use]
    pub fn report(&self) -> Option<&PortReport> {
        self.report.as_deref()
    }

    /// What the system said: [`io::ErrorKind::AddrInUse`] wherever there is a report.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// The sentence and its causes, for it is what a `main` that returns the error prints.
impl fmt::Debug for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt)?;
        match &self.report {
            Some(report) => write!(f, ": {}", report.refusal()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.report.as_ref().map(|report| &report.status) {
            // Who holds it could not be found out: that is the deeper cause.
            Some(Err(error)) => Some(error),
            _ => Some(&*self.source),
        }
    }
}

impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_source_and_not_said_twice() {
        let error = Error::new("cannot read the socket table", io::Error::from_raw_os_error(24));
        assert_eq!(error.to_string(), "cannot read the socket table");
        assert!(std::error::Error::source(&error).is_some());
    }
}
