//! The right form of a command line that is wrong, as far as it can be guessed.

use std::ffi::OsString;

use clap::error::ErrorKind;
use portclear::PortSpec;
use portclear::report::escape;

/// A command line, as far as the hints need it.
pub(crate) struct Line {
    /// The port that the examples of a hint have: one that the line names.
    port: String,
    is_unit: bool,
}

impl Line {
    pub(crate) fn of(line: &[OsString]) -> Self {
        let words = line.iter().skip(1).filter_map(|word| word.to_str());
        let ports = words.filter_map(|word| word.parse::<PortSpec>().ok());
        // A small number is a time more often than a port.
        let port = ports.max_by_key(PortSpec::port).map_or_else(|| "18789".to_owned(), |port| port.to_string());
        let is_unit = line.first().is_some_and(|word| word == "unit");
        Self { port, is_unit }
    }

    /// `option` and `value` as clap's error names them. A value that is no port is a `value` of the argument PORT.
    pub(crate) fn hint(&self, kind: ErrorKind, option: &str, value: &str) -> Option<String> {
        let is_port = option.starts_with("<PORT>");
        if kind == ErrorKind::UnknownArgument {
            return self.of_option(option);
        }
        if is_port { self.of_word(value).or_else(|| self.of_port(value)) } else { None }
    }

    /// An option that the program does not have.
    fn of_option(&self, option: &str) -> Option<String> {
        let port = &self.port;
        let name = option.trim_start_matches('-');
        if self.is_unit
            && let Some(hint) = of_units_option(name)
        {
            return Some(hint.to_owned());
        }
        let hint = match name {
            "9" | "KILL" | "SIGKILL" => format!("to send SIGKILL at once: portclear --signal KILL {port}"),
            "15" | "TERM" | "SIGTERM" => format!("SIGTERM is what portclear sends: portclear {port}"),
            "k" | "kill" => format!("portclear ends a stale instance without an option: portclear {port}"),
            "f" | "force" => {
                format!("there is no --force. First see why portclear leaves the holder alone: portclear -n {port}")
            }
            "list" | "l" | "show" | "status" | "who" | "look" => {
                format!("to see who holds the port, and end nobody: portclear -n {port}")
            }
            "dryrun" | "dry" | "simulate" | "just-print" | "what-if" => format!("portclear --dry-run {port}"),
            "check-only" | "is-free" | "test" => format!("portclear --check {port}"),
            "timeout" | "wait" | "t" => format!("the time that an instance has to end: portclear --grace 10s {port}"),
            "p" | "port" => format!("the port stands alone: portclear {port}"),
            "profile" => format!(
                "portclear has no --profile: name the port of that profile's gateway, and look first: portclear -n {port}"
            ),
            _ => return None,
        };
        Some(hint)
    }

    /// A word that looks like a command.
    fn of_word(&self, word: &str) -> Option<String> {
        let port = &self.port;
        let hint = match &word.to_lowercase()[..] {
            "status" | "list" | "ls" | "show" | "look" | "who" | "info" | "inspect" => {
                format!("to see who holds the port, and end nobody: portclear -n {port}")
            }
            "check" | "test" => format!("to ask whether the port is free: portclear --check {port}"),
            "kill" | "stop" | "free" | "clear" | "end" | "clean" | "release" | "port" => {
                format!("portclear needs no command: portclear {port}")
            }
            "start" | "restart" | "run" => format!("portclear starts nothing. To free the port: portclear {port}"),
            "openclaw" | "gateway" => format!("name the port of the gateway: portclear {port}"),
            "unit" | "units" | "systemd" | "dropin" | "drop-in" | "install" => {
                format!("to print a drop-in for a systemd unit: portclear unit {port}")
            }
            "help" => "portclear --help".to_owned(),
            "version" => "portclear --version".to_owned(),
            _ => return None,
        };
        Some(hint)
    }

    /// A text that has a port in it.
    fn of_port(&self, text: &str) -> Option<String> {
        let command = if self.is_unit { "portclear unit" } else { "portclear" };
        let text = text.trim();
        if let Some(ports) = list(text) {
            return Some(format!("write several ports with spaces: {command} {ports}"));
        }
        if let Some(ports) = range(text) {
            return Some(format!("portclear takes no range. Name each port: {command} {ports}"));
        }
        let bare = without_scheme(text);
        if bare.ends_with("/udp") {
            return Some("portclear frees TCP ports only".to_owned());
        }
        let place = bare.split('/').next().unwrap_or_default();
        let place = place.rsplit('@').next().unwrap_or_default().trim_start_matches(['#', '*']);
        let is_address = place == "localhost" || place.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        let (host, port) = place.rsplit_once(':').unwrap_or(("", place));
        // An IPv6 address without brackets may have a port behind it.
        let bracketed = format!("[{host}]:{port}");
        let lower = place.to_lowercase();
        let forms = [place, &lower, &bracketed].into_iter().find_map(|form| form.parse::<PortSpec>().ok());
        match (forms, port.parse::<PortSpec>()) {
            (Some(spec), _) => Some(format!("{command} {spec}")),
            (None, Ok(port)) if host.is_empty() => Some(format!("{command} {port}")),
            (None, Ok(port)) => Some(format!("portclear looks at this machine only: {command} {port}")),
            (None, Err(_)) if is_address => {
                let place =
                    if place.contains(':') && !place.starts_with('[') { format!("[{place}]") } else { place.into() };
                Some(format!("the port is missing: {command} {}:{}", escape(place.as_bytes()), self.port))
            }
            (None, Err(_)) => None,
        }
    }
}

/// An option of the program that has no place in a unit file.
fn of_units_option(name: &str) -> Option<&'static str> {
    match name {
        "protect" => Some("a pid means nothing in a unit file: the process has another one after a restart"),
        "n" | "dry-run" | "check" => Some("a hook that only looks would free no port"),
        "i" | "interactive" => Some("a hook has no terminal, and nobody who answers"),
        "json" | "color" => Some("the journal takes plain lines; the hook prints them without an option"),
        "profile" => Some("the hook takes the profile from the unit: Environment=OPENCLAW_PROFILE=NAME"),
        _ => None,
    }
}

fn without_scheme(text: &str) -> &str {
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

fn list(text: &str) -> Option<String> {
    let parts = text.split([',', ';', ' ']).map(str::trim).filter(|part| !part.is_empty());
    let ports: Vec<String> =
        parts.map(|part| part.parse::<PortSpec>().map(|port| port.to_string()).ok()).collect::<Option<_>>()?;
    (ports.len() > 1).then(|| ports.join(" "))
}

fn range(text: &str) -> Option<String> {
    let (first, last) = text.split_once("..").or_else(|| text.split_once('-'))?;
    let [first, last] = [first, last].map(|port| port.trim().parse::<u16>().ok().filter(|port| *port > 0));
    let (first, last) = first.zip(last).filter(|(first, last)| first < last)?;
    if last - first > 3 {
        return Some(format!("$(seq {first} {last})"));
    }
    Some((first..=last).map(|port| port.to_string()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hint_for_port(text: &str) -> Option<String> {
        let line = Line::of(&["portclear", text].map(OsString::from));
        line.hint(ErrorKind::ValueValidation, "<PORT>...", text)
    }

    #[test]
    fn a_port_in_another_form_is_shown_in_the_right_one() {
        let table = [
            ("18789,18790", "portclear 18789 18790"),
            ("18789, 127.0.0.1:80", "portclear 18789 127.0.0.1:80"),
            ("18789 18790", "portclear 18789 18790"),
            (":18789", "portclear 18789"),
            ("*:18789", "portclear 18789"),
            (" 18789 ", "portclear 18789"),
            ("http://127.0.0.1:18789/", "portclear 127.0.0.1:18789"),
            ("ws://[::1]:18789/a?token=x", "portclear [::1]:18789"),
            ("ws://user:secret@localhost:18789", "portclear localhost:18789"),
            ("Localhost:80", "portclear localhost:80"),
            ("::1:18789", "portclear [::1]:18789"),
            ("18789/tcp", "portclear 18789"),
            ("tcp/18789", ""),
            ("53/udp", "portclear frees TCP ports only"),
            ("18789-18790", "portclear 18789 18790"),
            ("18789..18791", "portclear 18789 18790 18791"),
            ("18000-19000", "portclear $(seq 18000 19000)"),
            ("localhost", "the port is missing: portclear localhost:18789"),
            ("127.0.0.1", "the port is missing: portclear 127.0.0.1:18789"),
            ("fe80::", "the port is missing: portclear [fe80::]:18789"),
            ("[::1]", "the port is missing: portclear [::1]:18789"),
            ("gateway.example:18789", "this machine only: portclear 18789"),
            ("http://gateway.example:18789/", "this machine only: portclear 18789"),
            ("LIST", "portclear -n 18789"),
            ("kill", "portclear needs no command: portclear 18789"),
            ("0", ""),
            ("99999", ""),
            ("nonsense", ""),
        ];
        for (text, wanted) in table {
            let hint = hint_for_port(text).unwrap_or_default();
            assert!(hint.ends_with(wanted) && (hint.is_empty() == wanted.is_empty()), "{text}: {hint}");
        }
    }

    #[test]
    fn a_hint_has_the_port_of_the_line() {
        let line = Line::of(&["portclear", "--profile", "work", "kill", "8080"].map(OsString::from));
        assert_eq!(line.of_word("kill").unwrap(), "portclear needs no command: portclear 8080");
        assert!(line.of_option("--profile").unwrap().ends_with("look first: portclear -n 8080"));
    }

    proptest! {
        #[test]
        fn a_hint_has_nothing_of_a_hostile_text(text in ".{0,40}") {
            if let Some(hint) = hint_for_port(&text) {
                prop_assert!(!hint.chars().any(char::is_control), "{hint:?}");
            }
        }
    }
}
