//! Why a process was judged as it was, in words.

use crate::model::supervisors::CONTAINER_INIT;
use crate::model::{
    Evidence, Identity, Liveness, ProcessReport, Protection, Role, Supervised, Supervisor, Trace, Verdict, Why, WhyNot,
    escape,
};

impl ProcessReport {
    /// Why it was judged as it was: one clause, after "stale:" or "spared:".
    #[must_use]
    pub fn reason(&self) -> String {
        let (evidence, is_instance) = (evidence(&self.judgement.identity), self.judgement.identity.is_instance());
        match self.judgement.verdict {
            Verdict::Stale(why) => match why {
                Why::Instance => format!("an instance that nobody looks after; {evidence}"),
                Why::Leftover => format!("left behind by an ended run; {evidence}"),
                Why::OwnUnit => "left behind by an ended run of the caller's own unit".to_owned(),
                Why::Live => format!("live, but live ones were to be ended; {evidence}"),
                Why::Offspring => format!("nobody looks after it, and offspring was to be ended; {evidence}"),
                Why::Tree if is_instance => format!("part of an instance that is ended; {evidence}"),
                Why::Tree if self.role == Role::Launcher => "it started an instance that is ended".to_owned(),
                Why::Tree => "started by an instance that is ended".to_owned(),
                Why::AnyOwner => "not the service's, but any owner was to be ended".to_owned(),
            },
            Verdict::Spared(why) => match why {
                WhyNot::Elsewhere => {
                    format!("part of the same instance, and it serves another port as well; {evidence}")
                }
                WhyNot::OtherInstance => "an instance of another profile or state folder than the caller's".to_owned(),
                WhyNot::Protected | WhyNot::Live | WhyNot::Unknown => self.liveness(&evidence),
                WhyNot::Newer => format!(
                    "it did not start before the caller, or what called it, or is another since, so it is newer, not \
                     stale; {evidence}"
                ),
                WhyNot::Offspring => format!("an instance started it, and it is none itself; {evidence}"),
                WhyNot::Foreign => {
                    let told = self.supervisor().map(|by| format!("; {}", self.looked_after(by))).unwrap_or_default();
                    match self.forwards() {
                        Some(hint) => format!("not the service's: {hint}"),
                        None => format!("not the service's: neither what it executes nor a marker says so{told}"),
                    }
                }
            },
        }
    }

    fn liveness(&self, evidence: &str) -> String {
        match &self.judgement.liveness {
            Liveness::Protected(protection) => protected(*protection),
            Liveness::Live(supervisor) => {
                let evidence = match supervisor {
                    Supervisor::Container(_) => String::new(),
                    Supervisor::Unit(_) | Supervisor::Program(_) => format!("; {evidence}"),
                };
                let stop = self.stops().map(|stops| format!("; {stops}")).unwrap_or_default();
                format!("{}{evidence}{stop}", self.looked_after(supervisor))
            }
            Liveness::Leftover | Liveness::Unsupervised | Liveness::Unknown => {
                "what would tell may not be read from here".to_owned()
            }
        }
    }

    /// Who looks after it.
    fn looked_after(&self, supervisor: &Supervisor) -> String {
        match supervisor {
            Supervisor::Container(Some(name)) => {
                format!("it runs in a container ({}), whose runtime looks after it", escape(name.as_bytes()))
            }
            Supervisor::Container(None) => {
                "it runs in a pid namespace of its own, as in a container, whose runtime looks after it".to_owned()
            }
            Supervisor::Unit(unit) => format!("unit {unit} runs it now"),
            Supervisor::Program(Supervised { by: CONTAINER_INIT, child, .. }) => {
                format!("process {} is the main process of this container, which ends with it", child.pid)
            }
            Supervisor::Program(Supervised { by, supervisor, child }) => {
                let above = (*child != self.process.id()).then(|| format!(", by process {} above it", child.pid));
                let entry = self.entry().map(|entry| format!(" as {entry}")).unwrap_or_default();
                format!("{by} (pid {}) looks after it{entry}{}", supervisor.pid, above.unwrap_or_default())
            }
        }
    }

    /// What a well-known program does, for people. No verdict depends on it.
    pub(super) fn forwards(&self) -> Option<String> {
        let argument = |name: &str| {
            let argv = self.process.facts.argv.value()?;
            let at = argv.iter().position(|arg| arg == name)?;
            argv.get(at + 1).map(|value| escape(value.as_encoded_bytes()))
        };
        let ip = argument("-container-ip");
        let forwarders =
            ["docker-proxy", "com.docker.backend", "rootlessport", "slirp4netns", "passt", "pasta", "conmon"];
        match self.process.facts.name().as_str() {
            "ssh" | "autossh" | "sshd-session" => Some("it is an SSH tunnel".to_owned()),
            name if ip.is_some() || forwarders.contains(&name) => {
                let target = ip.zip(argument("-container-port")).map(|(ip, port)| format!(" ({ip}:{port})"));
                let target = target.unwrap_or_default();
                Some(format!("it forwards the port to a container{target}; stop the container that publishes it"))
            }
            _ => None,
        }
    }
}

fn evidence(identity: &Identity) -> String {
    match identity {
        Identity::Instance(evidence) => match evidence {
            Evidence::Executable => "it executes the service's own executable".to_owned(),
            Evidence::Package(name) => format!("its script lies in package {}", escape(name.as_bytes())),
            Evidence::Lock(path) => {
                format!("it holds the service's lock {}", escape(path.as_os_str().as_encoded_bytes()))
            }
            Evidence::PidFile(path) => {
                format!("the pid file {} names it", escape(path.as_os_str().as_encoded_bytes()))
            }
            Evidence::WorkerOf(pid) => format!("it belongs to its ancestor {pid}, which is an instance"),
            Evidence::MarkedRuntime => "it carries the marker and runs the service's runtime".to_owned(),
        },
        Identity::Offspring(trace) => match trace {
            Trace::Variable(name) => {
                format!("it carries {}, which the service sets for its children", escape(name.as_bytes()))
            }
            Trace::OtherExecutable => "it carries the marker but executes something else".to_owned(),
            Trace::OtherPackage(name) => {
                format!("it carries the marker but its script lies in package {}", escape(name.as_bytes()))
            }
            Trace::OtherCommand => "it carries the marker but runs another subcommand".to_owned(),
            Trace::OtherTitle => "it carries the marker but has a title that no gateway has".to_owned(),
            Trace::InlineCode => "it carries the marker but runs no script".to_owned(),
            Trace::Scope => "it carries the marker, and was started in a scope of its own".to_owned(),
            Trace::OtherCgroup(pid) => {
                format!("it carries the marker, and its ancestor {pid}, an instance, is in another cgroup")
            }
        },
        Identity::Foreign => "nothing shows it to be the service's".to_owned(),
        Identity::Unknown => "what would tell may not be read".to_owned(),
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
        Protection::Supervisor(name) => {
            format!(
                "it is {name} itself, which holds the port for the processes that it looks after; `{name} list` names them"
            )
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
