//! How an instance of a service is recognised. Plain data: `judge` applies it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Environ, Facts, FileId, LockName, Runtime, Script, StateFolder};

/// A variable that the service manager writes into the environment of the service.
///
/// ```
/// use portclear::policy::Marker;
///
/// let marker = Marker::new("MY_APP_SERVICE", "api");
/// assert_eq!(marker.key, "MY_APP_SERVICE");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Marker {
    /// The whole name of the variable.
    pub key: OsString,
    /// Its whole value.
    pub value: OsString,
}

impl Marker {
    /// The variable `key` with exactly `value`.
    pub fn new(key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// A variable that the service sets for the processes it starts, and never for itself: for [`Service::offspring_sign`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffspringSign {
    /// The variable of this name is set, whatever its value.
    Set(OsString),
    /// The variable of this name is set to a pid that is not the process's own.
    OtherPid(OsString),
}

/// An executable of the service's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Executable {
    pub(crate) path: PathBuf,
    /// The file itself, where it is known.
    pub(crate) file: Option<FileId>,
}

/// An argument that tells one instance of the service from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InstanceOption {
    pub(crate) name: OsString,
    /// The value that it implies. `None`: it takes a value.
    pub(crate) stands_for: Option<OsString>,
}

/// How an instance of the service is recognised: by its markers, its executables, its runtimes and package.
///
/// ```
/// use portclear::Service;
/// use portclear::policy::{Marker, Runtime};
///
/// let by_executable = Service::new("my-app").executable("/usr/bin/my-app");
/// let by_package = Service::new("my-app").runtime(Runtime::Name("node".into())).package("my-app");
/// let by_marker = Service::new("my-app")
///     .runtime(Runtime::Name("python3".into()))
///     .markers([Marker::new("MY_APP_SERVICE", "api")]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Service {
    pub(crate) name: String,
    /// Sets of markers. One whole set is enough.
    pub(crate) markers: Vec<Vec<Marker>>,
    pub(crate) executables: Vec<Executable>,
    pub(crate) runtimes: Vec<Runtime>,
    pub(crate) packages: Vec<String>,
    pub(crate) subcommand: Option<OsString>,
    pub(crate) locks: Vec<LockName>,
    pub(crate) state: Option<StateFolder>,
    pub(crate) pid_files: Vec<PathBuf>,
    /// The titles that its processes give themselves. Empty: they may have any.
    pub(crate) titles: Vec<String>,
    /// Options before the subcommand whose value is the next argument.
    pub(crate) value_options: Vec<OsString>,
    pub(crate) offspring: Vec<OffspringSign>,
    /// Variables that tell one instance of the service from another.
    pub(crate) instance_keys: Vec<OsString>,
    /// Arguments that set an instance key. They win over the variable.
    pub(crate) instance_options: Vec<InstanceOption>,
    /// The instance key that these arguments set, for each package.
    pub(crate) option_keys: Vec<(String, OsString)>,
}

impl Service {
    /// A service that nothing identifies yet.
    ///
    /// It matches no process. A call with it ends only the processes that an ended run left in the caller's own systemd
    /// unit. Say what the service is with [`executable`](Self::executable), with [`package`](Self::package) and
    /// [`runtime`](Self::runtime), or with [`markers`](Self::markers) and [`runtime`](Self::runtime).
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            markers: Vec::new(),
            executables: Vec::new(),
            runtimes: Vec::new(),
            packages: Vec::new(),
            subcommand: None,
            locks: Vec::new(),
            state: None,
            pid_files: Vec::new(),
            titles: Vec::new(),
            value_options: Vec::new(),
            offspring: Vec::new(),
            instance_keys: Vec::new(),
            instance_options: Vec::new(),
            option_keys: Vec::new(),
        }
    }

    /// The service's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It is a service that this crate knows, and nobody described it.
    pub(crate) const fn is_known(&self) -> bool {
        self.state.is_some()
    }

    /// Adds a set of markers that must all hold. With several sets, any one of them is enough. An empty set adds
    /// nothing.
    ///
    /// Children inherit a marker. So it identifies an instance only with a [`runtime`](Self::runtime).
    pub fn markers(mut self, all_of: impl IntoIterator<Item = Marker>) -> Self {
        let all_of: Vec<Marker> = all_of.into_iter().collect();
        if !all_of.is_empty() {
            self.markers.push(all_of);
        }
        self
    }

    /// Adds an executable that is the service's own, by its absolute path. This does not refuse a
    /// [runtime](Runtime::is_known): with one, every script that it runs is an instance.
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.executables.push(Executable { path: path.into(), file: None });
        self
    }

    /// Adds an executable that is known as a file, whatever its path.
    pub(crate) fn file(mut self, path: PathBuf, file: FileId) -> Self {
        self.executables.push(Executable { path, file: Some(file) });
        self
    }

    /// Adds a runtime that runs the service's script.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtimes.push(runtime);
        self
    }

    /// Adds a package that the service's script lies in, by the `name` in its package.json. It identifies an instance
    /// if a [`runtime`](Self::runtime) of the service runs the script.
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.push(name.into());
        self
    }

    /// Adds a file in which the service writes its pid: its first word. It identifies an instance if the file is not
    /// older than the process, and belongs to the user of the process or to root.
    pub fn pid_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pid_files.push(path.into());
        self
    }

    /// Sets the subcommand: the first argument after the script that is no option. With another subcommand, the
    /// package's program is not the service.
    pub fn subcommand(mut self, word: impl Into<OsString>) -> Self {
        self.subcommand = Some(word.into());
        self
    }

    /// Adds a variable that tells one instance of the service from another: a profile, a state folder. An instance
    /// whose value differs from the caller's is spared. Processes with different values never count as one instance.
    pub fn instance_key(mut self, name: impl Into<OsString>) -> Self {
        self.instance_keys.push(name.into());
        self
    }

    /// Adds a variable that the service sets for the processes it starts. A process that carries it is no instance.
    pub fn offspring_sign(mut self, sign: OffspringSign) -> Self {
        self.offspring.push(sign);
        self
    }

    /// The names of all variables that show identity. No other variable is kept.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &OsStr> {
        let signs = self.offspring.iter().map(|sign| match sign {
            OffspringSign::Set(key) | OffspringSign::OtherPid(key) => key.as_os_str(),
        });
        self.marker_keys().chain(signs).chain(self.instance_keys.iter().map(OsString::as_os_str))
    }

    pub(crate) fn marker_keys(&self) -> impl Iterator<Item = &OsStr> {
        self.markers.iter().flatten().map(|marker| marker.key.as_os_str())
    }

    /// Whether one set of markers holds completely, with exact names and values.
    pub(crate) fn is_marked(&self, environ: &Environ) -> bool {
        let holds = |set: &Vec<Marker>| set.iter().all(|m| environ.get(&m.key) == Some(m.value.as_os_str()));
        self.markers.iter().any(holds)
    }

    /// The markers that an environment has. A variable with another value is not shown: it may be anybody's.
    pub(crate) fn markers_in(&self, environ: &Environ) -> Vec<Marker> {
        let has = |marker: &&Marker| environ.get(&marker.key) == Some(marker.value.as_os_str());
        let mut found: Vec<Marker> = self.markers.iter().flatten().filter(has).cloned().collect();
        found.dedup();
        found
    }

    /// The values of the instance keys; unset and empty both mean the default instance.
    pub(crate) fn instance_of(&self, environ: &Environ) -> Vec<Option<OsString>> {
        let value = |key: &OsString| environ.get(key).filter(|value| !value.is_empty()).map(OsStr::to_owned);
        self.instance_keys.iter().map(value).collect()
    }

    /// The pid of the service's own process, which it passes to the processes it starts.
    pub(crate) fn pid_in(&self, environ: &Environ) -> Option<u32> {
        self.offspring.iter().find_map(|sign| match sign {
            OffspringSign::OtherPid(key) => environ.get(key)?.to_str()?.parse().ok(),
            OffspringSign::Set(_) => None,
        })
    }

    /// The service may run in it, and only its lock can show that: its script is hidden, or lies in no package.
    pub(crate) fn may_lock(&self, facts: &Facts) -> bool {
        let is_untold = matches!(facts.script, Script::Hidden | Script::At { package: None, .. });
        !self.locks.is_empty() && is_untold && facts.exe.value().is_some_and(|exe| self.runtime_of(&exe.path).is_some())
    }

    /// The process has a title that the service's processes give themselves.
    pub(crate) fn is_titled(&self, facts: &Facts) -> bool {
        let title = facts.argv.value().and_then(|argv| argv.first()).and_then(|title| title.to_str());
        title.is_some_and(|title| self.titles.iter().any(|own| title.trim_end() == own))
    }

    /// The process calls itself by a name that no process of the service has. The name of its runtime is no name of its
    /// own: pm2 gives a script the title `node /path/of/it`.
    pub(crate) fn is_named_otherwise(&self, facts: &Facts) -> bool {
        let Some(title) = facts.argv.value().and_then(|argv| argv.first()) else { return false };
        let first =
            title.as_encoded_bytes().split(|b| *b == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
        let is_runtime = first.is_some_and(|word| self.runtime_of(Path::new(word)).is_some());
        !self.titles.is_empty() && !title.is_empty() && !is_runtime && !self.is_titled(facts)
    }

    pub(crate) fn runtime_of(&self, exe: &Path) -> Option<&Runtime> {
        self.runtimes.iter().find(|runtime| runtime.is(exe))
    }
}
