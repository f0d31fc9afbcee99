//! Why a process was judged as it was, in words.

use crate::model::supervisors::CONTAINER_INIT;
use crate::model::{
    Evidence, Identity, Liveness, NewerThan, ProcessReport, Protection, Record, Role, Seen, Supervised, Supervisor,
    Trace, Verdict, Why, WhyNot, escape,
};

impl ProcessReport {
    /// Why it was judged as it was: one clause, after "stale:" or "spared:".
    #[must_use]
    pub fn reason(&self) -> String {
        match self.judgement.verdict {
            Verdict::Stale(why) => self.stale(why),
            Verdict::Spared(why) => self.spared(why),
        }
    }

    fn stale(&self, why: Why) -> String {
        let evidence = evidence(&self.judgement.identity);
        match why {
            Why::Instance => {
                format!("an older instance of {}, and no supervisor runs it; {evidence}", self.service())
            }
            Why::Leftover => format!("left behind by an ended run; {evidence}"),
            Why::OwnUnit => "left behind by an ended run of this unit".to_owned(),
            Why::Live => format!("live, and this call may end live instances; {evidence}"),
            Why::Offspring => format!("an orphaned child of an instance, and this call may end those; {evidence}"),
            Why::Approved => format!("a person approved its end; {evidence}"),
            Why::Tree if self.judgement.identity.is_instance() => format!("part of the same instance; {evidence}"),
            Why::Tree if self.role == Role::Launcher => "it started this instance".to_owned(),
            Why::Tree => "this instance started it".to_owned(),
            Why::AnyOwner => format!("{}, and this call may end any owner", self.not_recognised()),
        }
    }

    fn spared(&self, why: WhyNot) -> String {
        let evidence = evidence(&self.judgement.identity);
        match why {
            WhyNot::Elsewhere => format!("part of the same instance, and it serves another port as well; {evidence}"),
            WhyNot::Declined => format!("nobody approved its end; {evidence}"),
            WhyNot::OtherInstance => "an instance of another profile or state folder than the caller's".to_owned(),
            WhyNot::Protected | WhyNot::Live | WhyNot::Unknown => self.liveness(&evidence),
            WhyNot::Newer(than) => match than {
                NewerThan::Caller => {
                    format!("it did not start before the caller, so it is probably the new server; {evidence}")
                }
                NewerThan::Server => {
                    format!(
                        "it started after the server that made this call, so it is newer than that server; {evidence}"
                    )
                }
                NewerThan::Signal => {
                    format!("it executed a program after this call signalled it, so it is newer; {evidence}")
                }
            },
            WhyNot::Offspring => format!("an instance started it, and it is no instance itself; {evidence}"),
            WhyNot::Foreign => match (self.forwards(), self.supervisor()) {
                (Some(forwards), _) => format!("{}: {}", self.not_recognised(), forwards.words()),
                (None, Some(by)) => format!("{}; {}", self.unrecognised(), self.looked_after(by)),
                (None, None) => self.unrecognised(),
            },
        }
    }

    fn liveness(&self, evidence: &str) -> String {
        match &self.judgement.liveness {
            Liveness::Protected(Protection::Init) if self.is_main_of_a_container() => {
                "it is PID 1 here, the main process of this container".to_owned()
            }
            Liveness::Protected(protection) => protected(*protection),
            Liveness::Live(supervisor @ Supervisor::Container(_)) => self.looked_after(supervisor),
            Liveness::Live(supervisor @ (Supervisor::Unit(_) | Supervisor::Program(_))) => {
                format!("{}; {evidence}", self.looked_after(supervisor))
            }
            Liveness::Leftover | Liveness::Unsupervised => self.unread_identity().to_owned(),
            Liveness::Unknown if self.judgement.identity == Identity::Unknown => self.unread_identity().to_owned(),
            Liveness::Unknown => self.unread_liveness().to_owned(),
        }
    }

    /// It is PID 1, and no systemd.
    pub(super) fn is_main_of_a_container(&self) -> bool {
        self.process.id().pid == 1 && self.process.facts.name() != "systemd"
    }

    /// The fact that is missing where nobody can tell who looks after it.
    fn unread_liveness(&self) -> &'static str {
        let facts = &self.process.facts;
        match (&facts.nested, &facts.cgroup, &facts.record) {
            (Seen::Denied | Seen::Gone, _, _) => "its pid namespace may not be read from here",
            (_, Seen::Denied | Seen::Gone, _) => "its cgroup may not be read from here",
            (_, _, Record::Denied) => "systemd's record of its unit may not be read from here",
            (_, _, Record::Current { .. }) => "the run that it was started in is not known",
            (_, _, Record::None | Record::Outside(_) | Record::Inactive) => {
                "portclear cannot read PID 1, which may look after it"
            }
        }
    }

    /// Who looks after it.
    fn looked_after(&self, supervisor: &Supervisor) -> String {
        match supervisor {
            Supervisor::Container(Some(name)) => {
                format!(
                    "it runs in a container ({}), and the container's runtime looks after it",
                    escape(name.as_bytes())
                )
            }
            Supervisor::Container(None) => {
                "it runs in a pid namespace of its own, as in a container, and the container's runtime looks after it"
                    .to_owned()
            }
            Supervisor::Unit(unit) => format!("unit {unit} runs it now"),
            Supervisor::Program(Supervised { by: CONTAINER_INIT, child, .. }) => {
                format!("process {} is the main process of this container, and the container ends with it", child.pid)
            }
            Supervisor::Program(Supervised { by, supervisor, child }) => {
                let above = (*child != self.process.id()).then(|| format!(", through process {} above it", child.pid));
                let entry = self.entry().map(|entry| format!(" as {entry}")).unwrap_or_default();
                format!("{by} (pid {}) looks after it{entry}{}", supervisor.pid, above.unwrap_or_default())
            }
        }
    }

    /// What a well-known program does, for people. No verdict depends on it.
    pub(super) fn forwards(&self) -> Option<Forwards> {
        let argument = |name: &str| {
            let argv = self.process.facts.argv.value()?;
            let at = argv.iter().position(|arg| arg == name)?;
            argv.get(at + 1).map(|value| escape(value.as_encoded_bytes()))
        };
        let ip = argument("-container-ip");
        let forwarders =
            ["docker-proxy", "com.docker.backend", "rootlessport", "slirp4netns", "passt", "pasta", "conmon"];
        match self.process.facts.name().as_str() {
            "ssh" | "autossh" | "sshd-session" => Some(Forwards::Tunnel),
            name if ip.is_some() || forwarders.contains(&name) => {
                let target = ip.zip(argument("-container-port")).map(|(ip, port)| format!(" ({ip}:{port})"));
                let is_dockers = name == "docker-proxy" || name == "com.docker.backend";
                Some(Forwards::Container { target: target.unwrap_or_default(), is_dockers })
            }
            _ => None,
        }
    }
}

/// What a program forwards the port to.
pub(super) enum Forwards {
    Tunnel,
    /// Another runtime than docker, or an unknown one, where it is not docker's.
    Container {
        target: String,
        is_dockers: bool,
    },
}

impl Forwards {
    fn words(&self) -> String {
        match self {
            Self::Tunnel => "it is an SSH tunnel".to_owned(),
            Self::Container { target, .. } => format!("it forwards the port to a container{target}"),
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
            Trace::OtherTitle => "it carries the marker but has a title that no process of the service has".to_owned(),
            Trace::InlineCode => "it carries the marker but runs no script".to_owned(),
            Trace::Scope => "it carries the marker, but runs in a scope of its own".to_owned(),
            Trace::OtherCgroup(pid) => {
                format!("it carries the marker, but its ancestor {pid}, an instance, is in another cgroup")
            }
        },
        Identity::Foreign => "nothing shows that it is the service".to_owned(),
        Identity::Unknown => "what it is may not be read from here".to_owned(),
    }
}

fn protected(protection: Protection) -> String {
    match protection {
        Protection::Caller => "it is the caller itself".to_owned(),
        Protection::Ancestor => "this call runs inside it: it is an ancestor of the caller".to_owned(),
        Protection::Descendant => "the caller started it".to_owned(),
        Protection::Init => {
            "PID 1 and a user's service manager are never signalled; systemd holds a port for a socket unit, or in a \
             unit's file descriptor store"
                .to_owned()
        }
        Protection::SameInstance(pid) => format!("it is part of the instance (pid {pid}) that this call runs inside"),
        Protection::Inherited(pid) => {
            format!("process {pid} made this call; this is process {pid} or one of its children")
        }
        Protection::Supervisor(name) => {
            format!("it is {name} itself, and holds the port for the processes that it looks after")
        }
        Protection::Named(pid) => format!("this call protects process {pid}, and all that it started"),
        Protection::CallersAncestryUnreadable => {
            "the caller's own ancestors cannot all be read (is /proc mounted with hidepid?), so this may be one of them"
                .to_owned()
        }
        Protection::AncestryUnreadable => {
            "its ancestors cannot all be read, so it may descend from a protected process".to_owned()
        }
    }
}
