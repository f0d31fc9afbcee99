//! The real OpenClaw, which `.ci/openclaw` installs. It runs in the test's network, with a /tmp of the test's own:
//! there it writes, whatever its variables say.

mod gateway;
mod model;
pub(crate) mod unit;

use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use serde_json::json;
use tempfile::TempDir;

pub(crate) use gateway::Gateway;
pub(crate) use model::Model;

use super::server::Server;
use super::start::run_as;

/// The folder that `.ci/openclaw` fills.
pub(crate) fn installed() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let folder = variable("PORTCLEAR_OPENCLAW").or_else(|| Some(cache()?.join("portclear-tests/openclaw")))?;
    let parts = ["bin/node", "bin/bun", "2026.9.6/started", "2026.2.26/started", "clawdbot/started"];
    parts.iter().all(|part| folder.join(part).exists()).then_some(folder)
}

/// How long any part of a start may take. A gateway has seven seconds of work for a processor before it serves.
const START: Duration = Duration::from_secs(90);

/// Where a test sees the folder, read-only.
pub(crate) const PROGRAMS: &str = "/mnt/openclaw";

/// What of OpenClaw is of no use without a network, switched off; and its launcher, which only some tests want.
pub(crate) const SWITCHES: [&str; 7] = [
    "NO_RESPAWN", "SKIP_CHANNELS", "SKIP_CRON", "SKIP_CANVAS_HOST", "SKIP_BROWSER_CONTROL_SERVER",
    "SKIP_GMAIL_WATCHER", "DISABLE_BONJOUR",
];

/// A home for the gateways of a test. Make it before anything that the test puts into /tmp: the new /tmp shows what
/// was there before, and the test's own files are gone with the test.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        own_tmp();
        let all = Permissions::from_mode(0o755);
        let home = Self { folder: tempfile::Builder::new().permissions(all).tempdir().unwrap() };
        fs::create_dir(home.path("tmp")).unwrap();
        home.configure(".openclaw/openclaw.json");
        home
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Its path as a word.
    pub(crate) fn word(&self, below: &str) -> String {
        self.path(below).to_str().expect("plain text").to_owned()
    }

    /// Writes a file of settings: no password, no plugins, and the model of [`Model`].
    pub(crate) fn configure(&self, file: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), settings(file.ends_with("openclaw.json"))).unwrap();
    }

    /// Gives all of it to another user.
    pub(crate) fn give_to(&self, uid: u32) {
        let status = Command::new("chown").args(["-R", &format!("{uid}:{uid}")]).arg(self.folder.path()).status();
        assert!(status.expect("chown").success());
    }

    /// `node …/openclaw/dist/entry.js gateway run --port 18789`, of 2026.9.6.
    pub(crate) fn gateway(&self) -> Claw<'_> {
        self.claw(&["gateway", "run", "--port", "18789"])
    }

    /// Any other command of it.
    pub(crate) fn claw(&self, arguments: &[&str]) -> Claw<'_> {
        Claw {
            home: self,
            runtime: "node",
            script: "2026.9.6/node_modules/openclaw/dist/entry.js",
            prefix: "OPENCLAW",
            ready: "[gateway] ready",
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            without: Vec::new(),
            launched: false,
            uid: None,
        }
    }
}

/// The settings of a gateway. The older releases do not know all of them.
pub(crate) fn settings(of_today: bool) -> String {
    let gateway = match of_today {
        true => json!({ "mode": "local", "bind": "loopback", "auth": { "mode": "none" } }),
        false => json!({ "mode": "local", "bind": "loopback", "auth": { "mode": "token", "token": "t" } }),
    };
    let model = json!({ "id": "m", "name": "m", "contextWindow": 64000, "maxTokens": 1000 });
    let provider = json!({ "baseUrl": model::URL, "apiKey": "none", "api": "openai-completions", "models": [model] });
    let models = json!({ "providers": { "mute": provider } });
    let mut all = json!({ "gateway": gateway, "plugins": { "enabled": false } });
    if of_today {
        all["models"] = models;
        all["agents"] = json!({ "defaults": { "model": "mute/m" } });
    }
    all.to_string()
}

/// A command of OpenClaw before it starts.
pub(crate) struct Claw<'a> {
    home: &'a Home,
    runtime: &'static str,
    script: &'static str,
    /// Its variables begin with it.
    prefix: &'static str,
    /// What it says when it serves.
    ready: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Ends of the names of variables that it does not get.
    without: Vec<&'static str>,
    launched: bool,
    uid: Option<u32>,
}

impl Claw<'_> {
    /// `openclaw.mjs` is what the command `openclaw` is, `dist/index.js` what its unit runs.
    pub(crate) fn script(mut self, script: &'static str) -> Self {
        self.script = match script {
            "openclaw.mjs" => "2026.9.6/node_modules/openclaw/openclaw.mjs",
            "dist/index.js" => "2026.9.6/node_modules/openclaw/dist/index.js",
            other => panic!("no script {other}"),
        };
        self
    }

    pub(crate) fn bun(mut self) -> Self {
        self.runtime = "bun";
        self
    }

    /// 2026.2.26.
    pub(crate) fn older(mut self) -> Self {
        self.script = "2026.2.26/node_modules/openclaw/dist/entry.js";
        self.ready = "[gateway] listening on ";
        self
    }

    /// clawdbot 2026.1.24-3.
    pub(crate) fn clawdbot(mut self) -> Self {
        // Where this folder is, OpenClaw itself wants it to be moved first.
        self.home.configure(".clawdbot/clawdbot.json");
        self.script = "clawdbot/node_modules/clawdbot/dist/entry.js";
        self.ready = "[gateway] listening on ";
        self.prefix = "CLAWDBOT";
        self
    }

    /// With the launcher that it starts itself with, unless it is told not to.
    pub(crate) fn launched(mut self) -> Self {
        self.launched = true;
        self.without.push("_NO_RESPAWN");
        self
    }

    /// Keeps what it compiles.
    pub(crate) fn compiled(mut self) -> Self {
        self.without.push("NODE_DISABLE_COMPILE_CACHE");
        let folder = self.home.word("tmp/compiled");
        self.env("NODE_COMPILE_CACHE", &folder)
    }

    /// These words precede the others: `--profile x`.
    pub(crate) fn before(mut self, words: &[&str]) -> Self {
        self.arguments.splice(..0, words.iter().map(|&word| word.to_owned()));
        self
    }

    /// Serves another port. A gateway has one.
    pub(crate) fn port(mut self, port: u16) -> Self {
        *self.arguments.last_mut().expect("a port") = port.to_string();
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Starts it, and does not wait.
    #[track_caller]
    pub(crate) fn spawn(&self) -> Server {
        let home = self.home.word("");
        let words = |words: Vec<OsString>| words.into_iter().map(|word| word.into_string().expect("plain text"));
        let mut argv: Vec<String> = self.uid.map(run_as).map(words).into_iter().flatten().collect();
        if self.uid.is_some() {
            // The change of user has undone what the start set.
            argv.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(str::to_owned));
        }
        argv.extend(["env", "-C", &home].map(str::to_owned));
        argv.push(format!("{PROGRAMS}/bin/{}", self.runtime));
        argv.push(format!("{PROGRAMS}/{}", self.script));
        argv.extend(self.arguments.iter().cloned());
        let mut environment = variables(&home, self.prefix);
        environment.retain(|(key, _)| !self.without.iter().any(|end| key.ends_with(end)));
        environment.extend(self.environment.iter().cloned());
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (&**key, &**value)).collect();
        Server::start(&argv, &environment)
    }

    /// Starts it, and waits until it serves and all of it has started.
    #[track_caller]
    pub(crate) fn start(&self) -> Gateway {
        Gateway::new(self.spawn(), self.ready, self.launched)
    }
}

/// What a gateway or another command of it needs.
pub(crate) fn variables(home: &str, prefix: &str) -> Vec<(String, String)> {
    let temporary = Path::new(home).join("tmp");
    let own =
        [("HOME", home), ("TMPDIR", temporary.to_str().expect("plain text")), ("NODE_DISABLE_COMPILE_CACHE", "1")];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let switches = SWITCHES.map(|switch| (format!("{prefix}_{switch}"), "1".to_owned()));
    own.into_iter().chain(switches).collect()
}

/// Gives the calling thread mounts of its own: /tmp, to which nothing that is written there stays, and the programs.
fn own_tmp() {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let script = r#"
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 openclaw /mnt
        mkdir /mnt/work /mnt/openclaw
        mkdir -m 1777 /mnt/tmp
        mount --bind "$1" /mnt/openclaw
        mount -o remount,bind,ro /mnt/openclaw
        mount -t overlay -o lowerdir=/tmp,upperdir=/mnt/tmp,workdir=/mnt/work openclaw /tmp
    "#;
    let programs = installed().expect("OpenClaw");
    let status = Command::new("sh").args(["-ec", script, "sh"]).arg(programs).status();
    assert!(status.expect("sh").success(), "cannot mount");
}
