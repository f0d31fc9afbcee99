//! Signals, by name: their numbers differ from system to system.

use std::fmt;
use std::str::FromStr;

/// A signal that ends a process which neither catches nor ignores it (signal(7)).
///
/// ```
/// use portclear::policy::Signal;
///
/// assert_eq!("hup".parse(), Ok(Signal::HUP));
/// assert_eq!(Signal::HUP.to_string(), "SIGHUP");
/// assert!("STOP".parse::<Signal>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(&'static str);

/// Signals that end a process which neither catches nor ignores them.
const ENDING: [&str; 23] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
    "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGIO",
    "SIGPWR", "SIGSYS",
];

/// Signals that do not end such a process.
const OTHERS: [&str; 8] = ["SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH"];

/// For whoever gave another one.
const USUAL: &str = "TERM, INT, HUP, QUIT and KILL";

impl Signal {
    /// SIGTERM: asks a process to end. It is the default of a [`Policy`](crate::Policy).
    pub const TERM: Self = Self("SIGTERM");
    /// SIGINT: what Ctrl+C sends from a terminal.
    pub const INT: Self = Self("SIGINT");
    /// SIGHUP: the terminal is gone. Many servers reload their settings on it instead.
    pub const HUP: Self = Self("SIGHUP");
    /// SIGQUIT: what Ctrl+\ sends from a terminal. It leaves a core dump (core(5)).
    pub const QUIT: Self = Self("SIGQUIT");
    /// SIGKILL: ends a process without asking. No process can catch or ignore it.
    pub const KILL: Self = Self("SIGKILL");

    /// The name in capitals, with `SIG`: `SIGTERM`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Why a text names no signal that ends a process. The message shows the text and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignalError(String);

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SignalError {}

impl FromStr for Signal {
    type Err = SignalError;

    /// A name as in signal(7), with or without `SIG`, in upper or lower case: `TERM`, `sigint`. Numbers are refused:
    /// they differ from machine to machine.
    fn from_str(text: &str) -> Result<Self, SignalError> {
        let upper = text.to_ascii_uppercase();
        let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        if let Some(name) = ENDING.into_iter().find(|known| *known == name) {
            return Ok(Self(name));
        }
        Err(SignalError(match OTHERS.into_iter().find(|known| *known == name) {
            Some(name) => format!("{name} does not end a process; {USUAL} do"),
            None => {
                let shown = super::escape(text.as_bytes());
                format!("'{shown}' is no name of a signal; {USUAL} are")
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_with_and_without_sig() {
        for name in ["TERM", "SIGTERM", "term", "SigTerm"] {
            assert_eq!(name.parse(), Ok(Signal::TERM));
        }
        for bad in ["", "SIG", "15", "STOP", "CONT", "TERMINATE", "-9", "SIGSIGTERM"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
        for signal in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::KILL] {
            assert_eq!(signal.name().parse(), Ok(signal));
        }
    }
}
