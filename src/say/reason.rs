//! Why a holder was judged as it was, in words. Text of other processes is escaped here, once, for every way of
//! showing it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::escape;
use crate::facts::Facts;
use crate::identity::{Evidence, Identity, Trace};
use crate::liveness::{Liveness, Supervisor};
use crate::protection::Protection;
use crate::report::ProcessReport;
use crate::rules::Rule;
use crate::tree::Role;

/// Longer command lines are cut: the line is for recognising a process, not for running it again.
const COMMAND_LENGTH: usize = 160;

impl Facts {
    /// The executable's file name, or where it may not be read the name the process gives itself. Escaped.
    #[must_use]
    pub fn name(&self) -> String {
        let file = self.exe.value().and_then(|exe| exe.path.file_name());
        file.map_or_else(|| escape(self.comm.as_bytes()), |name| escape(name.as_bytes()))
    }

    /// The command line for people: escaped, cut, and without what options like `--token` take.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        self.argv.value().map(|argv| command_line(argv))
    }
}

fn command_line(argv: &[OsString]) -> String {
    let secret = |option: &[u8]| {
        let option = option.to_ascii_lowercase();
        let words = [&b"token"[..], b"passw", b"secret", b"api-key", b"apikey", b"api_key", b"credential"];
        words.iter().any(|word| option.windows(word.len()).any(|part| part == *word))
    };
    let mut shown: Vec<String> = Vec::new();
    let mut hide_next = false;
    for arg in argv.iter().filter(|arg| !arg.is_empty()) {
        let bytes = arg.as_bytes();
        let name = bytes.split(|b| *b == b'=').next().unwrap_or_default();
        shown.push(match (hide_next, bytes.contains(&b'=') && secret(name)) {
            (true, _) => "…".to_owned(),
            (false, true) => format!("{}=…", escape(name)),
            (false, false) => without_credentials(bytes),
        });
        hide_next = !hide_next && bytes.starts_with(b"-") && !bytes.contains(&b'=') && secret(name);
    }
    let line = shown.join(" ");
    match line.char_indices().nth(COMMAND_LENGTH) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// An argument without what logs in: `Authorization: …` as a whole, and of a URL the user and password.
fn without_credentials(bytes: &[u8]) -> String {
    let lower = bytes.to_ascii_lowercase();
    let has = |word: &[u8]| lower.windows(word.len()).any(|part| part == word);
    if has(b"authorization") || has(b"bearer ") {
        return "…".to_owned();
    }
    let host = bytes.windows(3).position(|part| part == b"://").map(|at| at + 3);
    let user = host.and_then(|host| bytes.get(host..)).and_then(|rest| {
        rest.split(|b| *b == b'/').next().and_then(|authority| authority.iter().rposition(|b| *b == b'@'))
    });
    match (host, user) {
        (Some(host), Some(user)) => {
            let (before, after) = (bytes.get(..host), bytes.get(host + user..));
            format!("{}…{}", escape(before.unwrap_or_default()), escape(after.unwrap_or_default()))
        }
        _ => escape(bytes),
    }
}

impl ProcessReport {
    /// The command line for people. Of what an instance started it is nobody's to show: an MCP server is often
    /// given its keys there.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let shown = self.role == Role::Holder || matches!(self.judgement.identity, Identity::Instance(_));
        self.holder.facts.command().filter(|_| shown)
    }

    /// Why it was judged as it was: one clause, after "stale:" or "spared:".
    #[must_use]
    pub fn reason(&self) -> String {
        let judgement = &self.judgement;
        match judgement.rule {
            Rule::StaleInstance => format!("an instance that nobody looks after; {}", self.evidence()),
            Rule::StaleLeftover => format!("left behind by an ended run; {}", self.evidence()),
            Rule::OwnUnit => "left behind by an ended run of the caller's own unit".to_owned(),
            Rule::EndLive => format!("live, but live ones were to be ended; {}", self.evidence()),
            Rule::EndOffspring => {
                format!("nobody looks after it, and offspring was to be ended; {}", self.evidence())
            }
            Rule::Tree => match &judgement.identity {
                Identity::Instance(_) => format!("part of an instance that is ended; {}", self.evidence()),
                _ => "started by an instance that is ended".to_owned(),
            },
            Rule::Elsewhere => {
                format!("part of the same instance, and it serves another port as well; {}", self.evidence())
            }
            Rule::OtherInstance => {
                "an instance of another profile or state folder than the caller's".to_owned()
            }
            Rule::AnyOwner => "not the service's, but any owner was to be ended".to_owned(),
            Rule::Protected | Rule::Live | Rule::Unknown => match &judgement.liveness {
                Liveness::Protected(protection) => protected(*protection),
                Liveness::Live(Supervisor::Container(Some(name))) => {
                    format!(
                        "it runs in a container ({}), whose runtime looks after it",
                        escape(name.as_bytes())
                    )
                }
                Liveness::Live(Supervisor::Unit(unit)) => {
                    format!("unit {unit} runs it now; {}", self.evidence())
                }
                Liveness::Live(Supervisor::Container(None)) => {
                    "it runs in a pid namespace of its own, as in a container, whose runtime looks after it"
                        .to_owned()
                }
                _ => "what would tell may not be read from here".to_owned(),
            },
            Rule::Newer => {
                format!(
                    "it did not start before the caller, or what called it, or is another since, so it is \
                     newer, not stale; {}",
                    self.evidence()
                )
            }
            Rule::Offspring => format!("an instance started it, and it is none itself; {}", self.evidence()),
            Rule::Foreign => match self.hint() {
                Some(hint) => format!("not the service's: {hint}"),
                None => "not the service's: neither what it executes nor a marker says so".to_owned(),
            },
        }
    }

    fn evidence(&self) -> String {
        match &self.judgement.identity {
            Identity::Instance(evidence) => match evidence {
                Evidence::Executable => "it executes the service's own executable".to_owned(),
                Evidence::Package(name) => {
                    format!("its script lies in package {}", escape(name.as_bytes()))
                }
                Evidence::WorkerOf(pid) => {
                    format!("it carries the marker and runs what its ancestor {pid}, an instance, runs")
                }
                Evidence::MarkedRuntime => "it carries the marker and runs the service's runtime".to_owned(),
            },
            Identity::Offspring(trace) => match trace {
                Trace::Variable(name) => {
                    format!("it carries {}, which the service sets for its children", escape(name.as_bytes()))
                }
                Trace::OtherExecutable => "it carries the marker but executes something else".to_owned(),
                Trace::OtherPackage(name) => {
                    format!(
                        "it carries the marker but its script lies in package {}",
                        escape(name.as_bytes())
                    )
                }
                Trace::OtherCommand => "it carries the marker but runs another subcommand".to_owned(),
                Trace::InlineCode => "it carries the marker but runs no script".to_owned(),
                Trace::Scope => "it carries the marker, and was started in a scope of its own".to_owned(),
                Trace::OtherCgroup(pid) => {
                    format!(
                        "it carries the marker, and its ancestor {pid}, an instance, is in another cgroup"
                    )
                }
            },
            Identity::Foreign => "nothing shows it to be the service's".to_owned(),
            Identity::Unknown => "what would tell may not be read".to_owned(),
        }
    }

    /// What people know the program as. For reading alone: no verdict asks for it.
    fn hint(&self) -> Option<String> {
        let argument = |name: &str| {
            let argv = self.holder.facts.argv.value()?;
            let at = argv.iter().position(|arg| arg == name)?;
            argv.get(at + 1).map(|value| escape(value.as_bytes()))
        };
        let container = || match (argument("-container-ip"), argument("-container-port")) {
            (Some(ip), Some(port)) => format!("it forwards the port to a container ({ip}:{port})"),
            _ => "it forwards the port to a container".to_owned(),
        };
        let forwarders =
            ["docker-proxy", "com.docker.backend", "rootlessport", "slirp4netns", "passt", "pasta", "conmon"];
        let name = self.holder.facts.name();
        match name.as_str() {
            "ssh" | "autossh" | "sshd-session" => Some("it is an SSH tunnel".to_owned()),
            name if forwarders.contains(&name) || argument("-container-ip").is_some() => {
                Some(format!("{}; stop the container that publishes it", container()))
            }
            _ => None,
        }
    }
}

fn protected(protection: Protection) -> String {
    match protection {
        Protection::Caller => "it is the caller itself".to_owned(),
        Protection::Ancestor => "the caller descends from it".to_owned(),
        Protection::Descendant => "the caller started it".to_owned(),
        Protection::Init => {
            "PID 1 is never signalled, nor a user's service manager; if it is systemd, it holds the port for a socket \
             unit (systemctl list-sockets) or in a unit's file descriptor store"
                .to_owned()
        }
        Protection::SameInstance(pid) => {
            format!("it is part of the instance (pid {pid}) that the caller descends from")
        }
        Protection::Inherited(pid) => {
            format!("process {pid} is the service that this call was started by, with what it started")
        }
        Protection::Named(pid) => format!("process {pid} is protected by name, with what it started"),
        Protection::CallersAncestryUnreadable => {
            "the caller's own ancestry cannot be read to its end (is /proc mounted with hidepid?), so this may be \
             an ancestor"
                .to_owned()
        }
        Protection::AncestryUnreadable => {
            "its ancestry cannot be read to its end, so it may descend from what is protected".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_option_takes_is_not_shown() {
        let table = [
            ("node gw --token abc --port 1", "node gw --token … --port 1"),
            ("node gw --auth-token=abc", "node gw --auth-token=…"),
            ("run API_KEY=abc x", "run API_KEY=… x"),
            ("gw --password --token", "gw --password …"),
            ("gw tokens.txt", "gw tokens.txt"),
            ("mcp postgres://u:pw@db/x?a=b@c", "mcp postgres://…@db/x?a=b@c"),
            ("mcp http://db/u:pw@x", "mcp http://db/u:pw@x"),
            ("mcp --header Authorization:abc", "mcp --header …"),
        ];
        for (line, shown) in table {
            let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(command_line(&argv), shown);
        }
    }

    #[test]
    fn a_long_or_hostile_command_line_is_one_short_line() {
        let shown = command_line(&["ü\n".repeat(500).into()]);
        assert_eq!(shown.chars().count(), COMMAND_LENGTH + 1);
        assert!(!shown.contains('\n'));
    }
}
