//! Short texts about one process, for lines and paragraphs.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use portclear::report::{Facts, ProcessReport, escape};

pub(crate) fn user(holder: &ProcessReport) -> String {
    match (holder.process.facts.uid.value(), &holder.user) {
        (Some(uid), Some(name)) => format!("uid {uid} {}", escape(name.as_bytes())),
        (Some(uid), None) => format!("uid {uid}"),
        (None, _) => "uid unreadable".to_owned(),
    }
}

pub(crate) fn exe(facts: &Facts) -> String {
    match facts.exe.value() {
        Some(exe) if exe.replaced => format!("{} (replaced on disk)", escape(exe.path.as_os_str().as_bytes())),
        Some(exe) => escape(exe.path.as_os_str().as_bytes()),
        None => "unreadable".to_owned(),
    }
}

pub(crate) fn unit(facts: &Facts) -> String {
    facts.unit().map_or_else(|| "-".to_owned(), |unit| unit.to_string())
}

pub(crate) fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// The two largest units: nobody asks for the milliseconds of a day.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(seconds).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `1 ms`, or `1 ms to 14 ms`.
pub(crate) fn span(times: impl Iterator<Item = Duration>, show: fn(Duration) -> String) -> String {
    let times: Vec<Duration> = times.collect();
    let shown = |time: Option<&Duration>| show(time.copied().unwrap_or_default());
    let (least, most) = (shown(times.iter().min()), shown(times.iter().max()));
    if least == most { most } else { format!("{least} to {most}") }
}
