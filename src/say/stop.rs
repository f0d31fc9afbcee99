//! How a supervisor is told to stop a process for good. A command is for a shell, so each value in it is one word.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::model::supervisors::{CONTAINER_INIT, Row, SUPERVISORS};
use crate::model::{Facts, Liveness, Manager, ProcessReport, Record, Supervised, Supervisor, escape, shell_word};

impl ProcessReport {
    /// The name by which its supervisor knows it, or the process above it that the supervisor looks after. `None`: no
    /// supervisor looks after it, or nobody here knows the name.
    #[must_use]
    pub fn entry(&self) -> Option<String> {
        match self.supervisor()? {
            Supervisor::Unit(unit) => Some(escape(unit.name.as_encoded_bytes())),
            Supervisor::Container(name) => name.as_ref().map(|name| escape(name.as_bytes())),
            Supervisor::Program(supervised) => {
                self.filled_in(supervised, |row| row.entry, |value| Some(escape(bytes(value))))
            }
        }
    }

    /// The command that stops it for good, where that is known: its supervisor does not start it again then. It is for
    /// the shell of the user who runs the supervisor.
    #[must_use]
    pub fn stop_command(&self) -> Option<String> {
        // A forwarder's unit forwards many ports.
        match self.supervisor().filter(|_| !self.judgement.identity.is_foreign() || self.forwards().is_none())? {
            // A job of cron or a login of sshd is in their unit, and the unit's stop does not end it.
            Supervisor::Unit(_) if !self.is_of_its_units_run() => None,
            Supervisor::Unit(unit) => match unit.manager {
                Manager::System => Some(format!("systemctl stop {}", word(&unit.name)?)),
                Manager::User(_) => Some(format!("systemctl --user stop {}", word(&unit.name)?)),
                Manager::Nested => None,
            },
            Supervisor::Container(name) => stop_container(name.as_deref()?, &self.process.facts.cgroup.value()?.path),
            Supervisor::Program(supervised) => self.filled_in(supervised, |row| row.stop, word),
        }
    }

    /// Its unit has a run, and it was started in another one.
    pub(super) fn is_of_another_run(&self) -> bool {
        let facts = &self.process.facts;
        matches!((&facts.record, &facts.run), (Record::Current { run, .. }, Some(of)) if run != of)
    }

    fn is_of_its_units_run(&self) -> bool {
        let facts = &self.process.facts;
        match &facts.record {
            Record::Current { run, .. } => facts.run.as_ref() == Some(run),
            Record::Outside(_) => true,
            Record::None | Record::Inactive | Record::Denied => false,
        }
    }

    /// The user who can stop it, beside root. `None`: root alone, or nobody here knows.
    #[must_use]
    pub fn stopped_by(&self) -> Option<u32> {
        match self.supervisor()? {
            Supervisor::Unit(unit) => match unit.manager {
                Manager::User(uid) => Some(uid),
                Manager::System | Manager::Nested => None,
            },
            Supervisor::Program(by) => {
                let mut above = self.process.ancestry.parents();
                above.find(|facts| facts.id == by.supervisor)?.uid.value().copied()
            }
            Supervisor::Container(_) => None,
        }
        .filter(|uid| *uid != 0)
    }

    /// Who stops it, and how: `` `sv down DIR` stops it``, with the user whose supervisor it is.
    #[must_use]
    pub fn stops(&self) -> Option<String> {
        if let Supervisor::Program(Supervised { by: CONTAINER_INIT, .. }) = self.supervisor()? {
            return Some("stop the container from outside".to_owned());
        }
        let user = self.stopped_by().map(|uid| format!(" as uid {uid}")).unwrap_or_default();
        self.stop_command().map(|command| format!("`{command}`{user} stops it"))
    }

    pub(super) const fn supervisor(&self) -> Option<&Supervisor> {
        match &self.judgement.liveness {
            Liveness::Live(supervisor) => Some(supervisor),
            Liveness::Protected(_) | Liveness::Leftover | Liveness::Unsupervised | Liveness::Unknown => None,
        }
    }

    fn filled_in(
        &self, supervised: &Supervised, template: fn(&Row) -> &'static str, show: impl Fn(&OsStr) -> Option<String>,
    ) -> Option<String> {
        let row = SUPERVISORS.iter().find(|row| row.name == supervised.by)?;
        let line = || std::iter::once(&self.process.facts).chain(self.process.ancestry.parents());
        let child = line().find(|facts| facts.id == supervised.child)?;
        let parent = line().find(|facts| facts.id == supervised.supervisor)?;
        let value = |key: &str| match key {
            "reach" => reach(child, parent),
            key => value(key, child, parent).and_then(|value| show(&value)),
        };
        fill_in(template(row), &value).filter(|text| !text.is_empty())
    }
}

/// A variable of the child. `None`: it is not set, or the child is of another user than its supervisor. The child may
/// change its variables, and the command is for the shell of the supervisor's user.
fn variable<'a>(key: &str, child: &'a Facts, parent: &Facts) -> Option<&'a OsStr> {
    let is_of_one_user = child.uid.value().is_some_and(|uid| parent.uid.value() == Some(uid));
    child.environ.value().filter(|_| is_of_one_user)?.get(key)
}

/// The value of a key in a template (`model::supervisors`).
fn value(key: &str, child: &Facts, parent: &Facts) -> Option<OsString> {
    let folder = || parent.charge.as_ref()?.folder.as_deref();
    let variable = |key: &str| variable(key, child, parent).map(OsStr::to_owned);
    match key {
        "child" => Some(child.id.pid.to_string().into()),
        "pid" => Some(parent.id.pid.to_string().into()),
        "folder" => folder().map(|folder| folder.as_os_str().to_owned()),
        "base" => folder().and_then(Path::file_name).map(OsStr::to_owned),
        // pm2 also takes `all`.
        "pm_id" => variable(key).filter(|id| id.as_encoded_bytes().iter().all(u8::is_ascii_digit)),
        key => variable(key),
    }
}

/// The options that lead supervisorctl to this supervisord. `None`: nothing does. A relative path is of no use, for the
/// folder that it begins in is not known, and a URL with a password is nobody else's.
fn reach(child: &Facts, parent: &Facts) -> Option<String> {
    let argv = parent.argv.value()?;
    let Some(at) = argv.iter().position(|arg| arg == "-c" || arg == "--configuration") else {
        return Some(String::new());
    };
    let path = argv.get(at + 1).filter(|path| Path::new(path).is_absolute());
    if let Some(path) = path.and_then(|path| word(path)) {
        return Some(format!("-c {path} "));
    }
    let url = variable("SUPERVISOR_SERVER_URL", child, parent);
    let url = url.filter(|url| !url.as_encoded_bytes().contains(&b'@')).and_then(word)?;
    Some(format!("-s {url} "))
}

/// `None`: one of the values is not known, or nobody should print it.
fn fill_in(template: &str, value: &impl Fn(&str) -> Option<String>) -> Option<String> {
    match template.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (key, after))) => Some(format!("{before}{}{}", value(key)?, fill_in(after, value)?)),
        None => Some(template.to_owned()),
    }
}

/// The container's runtime is shown by the path of the cgroup: `/docker/ID`, `docker-ID.scope`, `libpod-ID.scope`.
fn stop_container(name: &str, cgroup: &Path) -> Option<String> {
    // Kubernetes starts what crictl(1) has stopped again.
    let commands = [("docker", "docker stop"), ("libpod", "podman stop")];
    let is_of = |runtime: &str| cgroup.iter().any(|part| part.as_encoded_bytes().starts_with(runtime.as_bytes()));
    let (runtime, command) = commands.iter().find(|(runtime, _)| is_of(runtime))?;
    let id = name.strip_prefix(runtime).and_then(|name| name.strip_prefix('-')).unwrap_or(name);
    let id = id.strip_suffix(".scope").unwrap_or(id);
    // Twelve digits of its number are enough for each of them.
    let id = if id.bytes().all(|b| b.is_ascii_hexdigit()) { id.get(..12).unwrap_or(id) } else { id };
    Some(format!("{command} {}", word(OsStr::new(id))?))
}

/// A value as one word for a shell. `None`: it would be an option, or nobody should print it.
pub(super) fn word(value: &OsStr) -> Option<String> {
    shell_word(value).filter(|_| !value.as_encoded_bytes().starts_with(b"-"))
}

fn bytes(value: &OsStr) -> &[u8] {
    value.as_encoded_bytes()
}
