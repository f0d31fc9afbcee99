//! Why a bind gave no listener.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::model::PortReport;
use crate::say::refusal;

/// Why [`crate::bind`] gave no listener.
///
/// Its text is a sentence for the log, which names the holders. Its [`source`](std::error::Error::source) is what the
/// system said, or why the holders could not be found out. It converts into an [`io::Error`] of the same kind, so that
/// `?` works in a function that only knows those.
///
/// ```
/// use std::net::TcpListener;
/// use portclear::report::{Outcome, WhyHeld};
/// use portclear::{BindError, Policy, Service};
///
/// fn what_to_do(error: &BindError) -> &'static str {
///     match error.report().map(|report| &report.status) {
///         Some(Ok(Outcome::Held(WhyHeld::Spared))) => "a rule spares the holder: choose another port, or stop it",
///         Some(Ok(Outcome::Survived(_))) => "an earlier instance did not end: give it a longer grace",
///         Some(Ok(Outcome::Respawned)) => "somebody starts it again: stop that first",
///         Some(Ok(_)) => "the port is in use",
///         Some(Err(_)) => "the port is in use, and nobody could find out by whom",
///         None => "the system refused the address",
///     }
/// }
///
/// # #[cfg(target_os = "linux")] {
/// // The caller itself holds the port, and is never ended.
/// let own = TcpListener::bind("127.0.0.1:0")?;
/// let policy = Policy::new(Service::of_current_exe()?);
/// let error = portclear::bind(own.local_addr()?, &policy).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
/// assert!(what_to_do(&error).starts_with("a rule spares the holder"));
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
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

    /// Whether to prefer it to the error of another address. Signals say most, then a report; else the later one wins.
    pub(crate) fn says_more_than(&self, other: &Self) -> bool {
        let said = |error: &Self| {
            error.report().map(|report| report.processes().any(|process| !process.ending.signals.is_empty()))
        };
        said(other).is_none() || said(self) > said(other)
    }

    /// What was found and done, if the address is in use: who holds it, and why the holder was left alone. `None`:
    /// nobody looked, for the system refused the address for another reason, or this system is not Linux.
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

/// `{:?}` is the sentence and its causes: a `main` that returns the error prints that. `{:#?}` shows the whole report,
/// with the holders' raw command lines. They may have secrets in them.
impl fmt::Debug for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let Self { attempt, source, report } = self;
            let mut all = f.debug_struct("BindError");
            return all.field("attempt", attempt).field("source", source).field("report", report).finish();
        }
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
            Some(report) => write!(f, ": {}", refusal(report)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.report.as_ref().map(|report| &report.status) {
            // The deeper cause is that the holders could not be found out.
            Some(Err(error)) => Some(error),
            _ => Some(&*self.source),
        }
    }
}

/// Keeps the kind that the system gave, and wraps this error.
impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_systems_is_a_sentence_and_its_cause() {
        let error = BindError::new("cannot bind 192.0.2.1:80", io::Error::new(io::ErrorKind::AddrNotAvailable, "no"));
        assert_eq!(error.to_string(), "cannot bind 192.0.2.1:80");
        assert_eq!(format!("{error:?}"), "cannot bind 192.0.2.1:80: no");
        assert!(error.report().is_none());
        let io = io::Error::from(error.clone());
        assert_eq!((io.kind(), io.to_string()), (error.kind(), error.to_string()));
        assert!(io.get_ref().is_some_and(|inner| inner.is::<BindError>()));
    }

    #[cfg(all(target_os = "linux", not(portclear_elsewhere)))]
    #[test]
    fn debug_is_the_sentence_and_with_a_hash_the_report() {
        use crate::{Policy, Service};

        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = own.local_addr().unwrap();
        let error = crate::bind(address, &Policy::new(Service::new("nothing"))).unwrap_err();
        let (sentence, whole) = (format!("{error:?}"), format!("{error:#?}"));
        assert!(sentence.starts_with(&format!("cannot bind {address}: held, and left alone")), "{sentence}");
        assert!(sentence.ends_with(&format!(": {}", error.source)), "{sentence}");
        assert!(!sentence.contains("PortReport") && sentence.lines().count() == 1, "{sentence}");
        assert!(whole.starts_with("BindError {") && whole.contains("report: Some(\n        PortReport {"), "{whole}");
    }
}
