//! Read the values of options. Each error is a clause that says what a good value looks like.

use std::time::Duration;

use anstream::ColorChoice;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use portclear::PortSpec;
use portclear::policy::{Marker, PortSpecError, Signal, SignalError};

/// The same on all Linux architectures (signal(7)). Other numbers are not.
const NUMBERS: [(&str, Signal); 5] =
    [("1", Signal::HUP), ("2", Signal::INT), ("3", Signal::QUIT), ("9", Signal::KILL), ("15", Signal::TERM)];

/// Other kinds of units than services.
const KINDS: [&str; 10] =
    ["socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

pub(crate) fn port(text: &str) -> Result<PortSpec, &'static str> {
    text.parse().map_err(|error: PortSpecError| error.reason())
}

pub(crate) fn pid(text: &str) -> Result<u32, &'static str> {
    let pid = text.parse().ok().filter(|pid| (1..=0x7fff_ffff).contains(pid));
    pid.ok_or("a pid is a number, like 1234; `portclear -n 18789` shows the pids of the holders")
}

pub(crate) fn marker(text: &str) -> Result<Marker, &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Marker::new(key, value)),
        _ => Err("a marker is a variable with its value, like MY_APP_SERVICE=api"),
    }
}

/// A number alone means seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let time =
        if is_number { text.parse().ok().map(Duration::from_secs) } else { humantime::parse_duration(text).ok() };
    time.ok_or("a time is a number of seconds, or a number with a unit, like 10, 10s, 500ms or 2min")
}

pub(crate) fn signal(text: &str) -> Result<Signal, SignalError> {
    let by_number = NUMBERS.into_iter().find(|(number, _)| *number == text);
    by_number.map_or_else(|| text.parse(), |(_, signal)| Ok(signal))
}

/// A unit's name becomes part of paths and of a text that systemd reads. As for systemctl, a name without an ending is
/// a service's.
pub(crate) fn unit_name(text: &str) -> Result<String, &'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let stem = text.strip_suffix(".service").unwrap_or(text);
    let is_other = KINDS.iter().any(|kind| stem.strip_suffix(kind).is_some_and(|rest| rest.ends_with('.')));
    if stem.is_empty() || stem.len() > 247 || is_other || !stem.chars().all(good) {
        return Err("a service's unit has a name like my-app or openclaw-gateway.service");
    }
    Ok(format!("{stem}.service"))
}

pub(crate) fn color() -> impl TypedValueParser<Value = ColorChoice> {
    PossibleValuesParser::new(["auto", "always", "never"]).map(|when| match when.as_str() {
        "always" => ColorChoice::Always,
        "never" => ColorChoice::Never,
        _ => ColorChoice::Auto,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_means_seconds() {
        let table = [("10", 10_000), ("0", 0), ("010", 10_000), ("10s", 10_000), ("500ms", 500), ("2min", 120_000)];
        for (text, millis) in table {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "1.5", "-1", "+1", "s", "10 x", "ten", "99999999999999999999", "1e3", "٣"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_signal_has_names_and_perhaps_a_number() {
        let names = ["SIGTERM", "TERM", "term", "sigterm", "15"];
        assert!(names.iter().all(|name| signal(name) == Ok(Signal::TERM)));
        let numbers = ["1", "2", "3", "9"].map(|number| signal(number).unwrap().name());
        assert_eq!(numbers, ["SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL"]);
        for bad in ["0", "10", "-9", "015", "STOP", "FOO", ""] {
            let error = signal(bad).unwrap_err().to_string();
            assert!(error.contains("TERM, INT, HUP, QUIT and KILL"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_unit_is_a_plain_service_name() {
        for good in ["gw", "gw@work", r"my\x2dgw", "my.app"] {
            let whole = format!("{good}.service");
            assert_eq!([good, &whole].map(|name| unit_name(name).unwrap()), [&whole[..], &whole]);
        }
        let long = "x".repeat(248);
        for bad in ["", ".service", "../x.service", "a b", "a\n.service", "gw.timer", "gw.socket", "ä.service", &long]
        {
            assert!(unit_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pid_is_a_number_that_a_process_may_have() {
        assert_eq!(pid("1234"), Ok(1234));
        for bad in ["", "0", "-1", "abc", "2147483648", "99999999999"] {
            assert!(pid(bad).is_err(), "{bad}");
        }
    }
}
