//! Why a bind gave no listener.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::model::PortReport;
use crate::say::refusal;

/// Why [`crate::bind`] gave no listener.
///
/// Its [`source`](std::error::Error::source) is what the system said. It converts into an [`io::Error`] of the
/// same kind, so that `?` works in a function that only knows those.
///
/// ```no_run
/// use portclear::report::{Outcome, WhyHeld};
/// use portclear::{Policy, Service};
///
/// let policy = Policy::new(Service::of_current_exe()?);
/// let listener = match portclear::bind("127.0.0.1:18789", &policy) {
///     Ok(listener) => listener,
///     Err(error) => {
///         match error.report().map(|report| &report.status) {
///             Some(Ok(Outcome::Held(WhyHeld::Spared))) => eprintln!("somebody else's server is there: {error}"),
///             Some(Ok(Outcome::Survived(_))) => eprintln!("an earlier instance did not end: {error}"),
///             Some(_) => eprintln!("the port is in use: {error}"),
///             None => eprintln!("the system refused: {error}"),
///         }
///         return Err(error.into());
///     }
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
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

    /// Of the errors of several addresses one is given. Without a report that is the last one's, as std's is.
    pub(crate) fn says_more_than(&self, other: &Self) -> bool {
        let said = |error: &Self| {
            error.report().map(|report| report.processes().any(|process| !process.ending.signals.is_empty()))
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

/// `{:?}` is the sentence and its causes, for it is what a `main` that returns the error prints. `{:#?}` shows the whole
/// report.
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
