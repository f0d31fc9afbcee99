//! What a fixture looks like before it starts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::pidns::PidNs;

/// What the service manager writes into the gateway's environment.
pub(crate) const MARKERS: [(&str, &str); 2] =
    [("OPENCLAW_SERVICE_MARKER", "openclaw"), ("OPENCLAW_SERVICE_KIND", "gateway")];

/// What a fixture does on SIGTERM, INT, HUP, QUIT, USR1 and USR2. It reports each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OnTerm {
    /// Ends with status 0.
    Exit,
    Ignore,
    /// Serves on for so many milliseconds and ends with status 0. A second signal ends it at once, with status 1.
    Drain(u64),
    /// Starts its successor by fork and exec, with its sockets. Ends once the successor has executed.
    HandOver,
    /// Forks and ends. The child has executed nothing. It holds the sockets, and ends at its own signal.
    LeaveFork,
    /// Passes the signal on to its children and waits for them. Ends with 0 if all of them did.
    Forward,
}

/// [`Fixture::gateway`] and its like make one, [`Builder::start`] starts it.
pub(crate) struct Builder {
    pub(super) config: Map<String, Value>,
    pub(super) runtime: Option<PathBuf>,
    pub(super) exe_name: Option<OsString>,
    pub(super) script: &'static str,
    pub(super) package: Option<String>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) arguments: Vec<OsString>,
    pub(super) sockets: Vec<(String, &'static str)>,
    pub(super) arg0: Option<OsString>,
    pub(super) cwd: Option<PathBuf>,
    pub(super) wrapper: Vec<OsString>,
    pub(super) uid: Option<u32>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            config: Map::from_iter([("name".to_owned(), json!(name)), ("on_term".to_owned(), json!("exit"))]),
            runtime: None,
            exe_name: Some("node".into()),
            script: concat!(include_str!("fixture.py"), "\n\n", include_str!("fixture_commands.py")),
            package: None,
            environment: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            arguments: Vec::new(),
            sockets: Vec::new(),
            arg0: None,
            cwd: None,
            wrapper: Vec::new(),
            uid: None,
        }
    }

    /// The file name of the executable. It is `node` without this.
    pub(crate) fn exe_name(mut self, name: impl Into<OsString>) -> Self {
        self.exe_name = Some(name.into());
        self
    }

    pub(crate) fn package(mut self, name: &str) -> Self {
        self.package = Some(name.to_owned());
        self
    }

    pub(crate) fn no_package(mut self) -> Self {
        self.package = None;
        self
    }

    /// Carries both markers, or neither.
    pub(crate) fn marked(mut self, marked: bool) -> Self {
        self.environment.retain(|(key, _)| MARKERS.iter().all(|(marker, _)| key != marker));
        if marked {
            self.environment.extend(MARKERS.map(|(key, value)| (key.into(), value.into())));
        }
        self
    }

    /// Sets a variable, or replaces its earlier value.
    pub(crate) fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let key = key.into();
        self.environment.retain(|(earlier, _)| *earlier != key);
        self.environment.push((key, value.into()));
        self
    }

    /// These arguments follow the script. Without this they are `gateway --port N`.
    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(OsString::from).collect();
        self
    }

    /// `127.0.0.1:18789`, `0.0.0.0:…`, `[::1]:…`, or `[::]:…` (dual-stack). A fixture may listen on several.
    pub(crate) fn listen(self, at: &str) -> Self {
        self.socket(at, "listen")
    }

    pub(crate) fn listen_v6only(self, at: &str) -> Self {
        self.socket(at, "v6only")
    }

    /// Sets SO_REUSEPORT: several processes of one user may then listen on the same address.
    pub(crate) fn listen_reuseport(self, at: &str) -> Self {
        self.socket(at, "reuseport")
    }

    /// Sets no SO_REUSEADDR, like a careless server, and its connections have none either.
    pub(crate) fn listen_without_reuse(self, at: &str) -> Self {
        self.socket(at, "rigid")
    }

    /// Binds, and never listens.
    pub(crate) fn bound(self, at: &str) -> Self {
        self.socket(at, "bound")
    }

    /// The same without SO_REUSEADDR.
    pub(crate) fn bound_exclusively(self, at: &str) -> Self {
        self.socket(at, "exclusive")
    }

    pub(crate) fn on_term(self, on_term: OnTerm) -> Self {
        let value = match on_term {
            OnTerm::Exit => json!("exit"),
            OnTerm::Ignore => json!("ignore"),
            OnTerm::Drain(ms) => json!(ms),
            OnTerm::HandOver => json!("hand-over"),
            OnTerm::LeaveFork => json!("leave-fork"),
            OnTerm::Forward => json!("forward"),
        };
        self.set("on_term", value)
    }

    /// Forks once it is bound. Both processes serve the same sockets. For [`super::Sd::install`].
    pub(crate) fn forks(self) -> Self {
        self.set("forks", json!("both"))
    }

    /// The same, but only the child keeps the sockets. So do a launcher and its worker.
    pub(crate) fn forks_listener(self) -> Self {
        self.set("forks", json!("listener"))
    }

    /// Starts any program with its own environment, as an agent does. It may be called several times.
    pub(crate) fn spawns(mut self, argv: &[&str]) -> Self {
        let spawns = self.config.entry("spawns").or_insert_with(|| json!([]));
        spawns.as_array_mut().expect("a list").push(json!(argv));
        self
    }

    /// Starts a child again that has ended.
    pub(crate) fn respawns(self) -> Self {
        self.set("respawns", json!(true))
    }

    pub(crate) fn arg0(mut self, bytes: &[u8]) -> Self {
        self.arg0 = Some(OsStr::from_bytes(bytes).to_owned());
        self
    }

    pub(crate) fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Needs root.
    pub(crate) fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    pub(crate) fn inside(mut self, namespace: &PidNs) -> Self {
        self.wrapper = namespace.entering();
        self
    }

    /// Starts behind another wrapper, a program that executes or forks its arguments.
    pub(crate) fn behind(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
        self
    }

    pub(super) fn address(&self) -> Option<&str> {
        self.sockets.first().map(|(at, _)| at.as_str())
    }

    pub(super) fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn socket(mut self, at: &str, kind: &'static str) -> Self {
        self.sockets.push((at.to_owned(), kind));
        self
    }
}
