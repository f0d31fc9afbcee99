//! The lock files of a gateway: what it has open, and files like them.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, chown};
use serde_json::{Map, Value, json};

use super::fixture::Fixture;
use super::libc;

/// A lock file that a process has open.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    /// The flags of open(2), in octal.
    pub(crate) flags: String,
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) inode: u64,
    pub(crate) content: Value,
    /// What follows the text in JSON.
    pub(crate) tail: String,
}

/// The locks `gateway.….lock` that a process has open, by its outer pid.
pub(crate) fn locks_of(pid: u32) -> Vec<Held> {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut held: Vec<Held> = fds.flatten().filter_map(|fd| held(pid, &fd.path())).collect();
    held.sort_by(|one, other| one.path.cmp(&other.path));
    held
}

fn held(pid: u32, fd: &Path) -> Option<Held> {
    let path = fs::read_link(fd).ok()?;
    let name = path.file_name()?.to_str()?;
    if !(name.starts_with("gateway.") && name.ends_with(".lock")) {
        return None;
    }
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", fd.file_name()?.to_str()?)).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim().to_owned();
    let about = fs::metadata(fd).ok()?;
    let text = fs::read_to_string(fd).ok()?;
    let end = text.rfind('}')? + 1;
    Some(Held {
        flags,
        mode: about.mode() & 0o777,
        links: about.nlink(),
        inode: about.ino(),
        content: serde_json::from_str(&text[..end]).ok()?,
        tail: text[end..].to_owned(),
        path,
    })
}

/// A lock file that is not written yet.
pub(crate) struct Lock {
    folder: PathBuf,
    uid: u32,
    content: Map<String, Value>,
}

impl Lock {
    /// What OpenClaw 2026.9.6 writes, if it were this process and its state folder lay beside its files.
    pub(crate) fn of(fixture: &Fixture) -> Self {
        let state = fixture.root().join("state");
        let uid = fs::metadata(format!("/proc/{}", fixture.pid())).unwrap().uid();
        let content = json!({
            "pid": fixture.inner_pid(),
            "ownerId": "11111111-2222-4333-8444-555555555555",
            "cronOwnerProjection": "dynamic-default-v1",
            "createdAt": "2026-11-21T18:17:03.224Z",
            "configPath": state.join("openclaw.json"),
            "stateDir": state,
            "port": 18789,
            "startTime": fixture.process().stat().starttime,
        });
        let Value::Object(content) = content else { unreachable!("an object") };
        Self { folder: state.join(format!("tmp/openclaw-{uid}")), uid, content }
    }

    /// 2026.2 knows no port, no state folder and no owner.
    pub(crate) fn older(self) -> Self {
        ["ownerId", "cronOwnerProjection", "stateDir", "port"].iter().fold(self, |lock, key| lock.without(key))
    }

    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.content.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.content.remove(key);
        self
    }

    /// The number that stands there, and this.
    pub(crate) fn plus(self, key: &str, number: u64) -> Self {
        let sum = self.content[key].as_u64().unwrap() + number;
        self.set(key, sum)
    }

    /// Another name for the folder.
    pub(crate) fn folder(mut self, name: &str) -> Self {
        self.folder.set_file_name(name);
        self
    }

    /// Its folder, which is there from now on.
    pub(crate) fn made_folder(&self) -> &Path {
        fs::create_dir_all(&self.folder).unwrap();
        &self.folder
    }

    pub(crate) fn text(&self) -> String {
        let text = serde_json::to_string_pretty(&self.content).unwrap();
        // By what follows, OpenClaw knows whether the file is still its own.
        text + "\n\t\t\t \t  \t \t\t \n"
    }

    /// Writes it under this name, for the user of the fixture.
    pub(crate) fn write(&self, name: &str) -> PathBuf {
        let path = self.made_folder().join(name);
        let _ = fs::remove_file(&path);
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_CLOEXEC);
        let mut file = options.open(&path).unwrap();
        file.write_all(self.text().as_bytes()).unwrap();
        chown(&path, Some(Uid::from_raw(self.uid)), None).unwrap();
        path
    }
}

impl Fixture {
    /// Writes a lock and keeps it open, as the gateway does. Gives its path.
    pub(crate) fn locks(&self, lock: &Lock, name: &str) -> PathBuf {
        let path = lock.write(name);
        self.open(&path, "write");
        path
    }

    /// OpenClaw 2026.9.6 as it was started by hand, as far as anybody can see it from outside: its title, its two
    /// locks, its two children. What it serves is a fixture's. Its case needs `Needs::Node`.
    pub(crate) fn stand_in() -> Self {
        let builder = Self::gateway().marked(false).listen("[::1]:18789").real_node();
        let stand_in = builder.title("openclaw-gateway").workers(2).start();
        let lock = Lock::of(&stand_in);
        stand_in.locks(&lock, "gateway.state.lock");
        stand_in.locks(&lock, "gateway.0a1b2c3d.lock");
        stand_in
    }
}
