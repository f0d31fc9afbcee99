//! The lock files of a service: how they are named.

use std::path::{Path, PathBuf};

/// A lock file of the service that the process itself wrote and keeps open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Its path, as the descriptor shows it.
    pub path: PathBuf,
    /// The port that is written in it.
    pub port: Option<u16>,
    /// The state folder that is written in it.
    pub state_dir: Option<PathBuf>,
}

impl Lock {
    /// The lock is about this port, or about none.
    pub(crate) fn is_about(&self, ports: &[u16]) -> bool {
        ports.is_empty() || self.port.is_none_or(|port| ports.contains(&port))
    }
}

/// How a service names its locks: `FOLDER-UID/KIND.state.lock` and `FOLDER-UID/KIND.HASH.lock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockName {
    /// The folder's name, without the user's number.
    pub(crate) folder: String,
    /// What the file's name begins with, and the role that may be written in it.
    pub(crate) kind: String,
}

/// Where a service keeps its state, and with it its lock. One instance at a time may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StateFolder {
    /// The variable that names it.
    pub(crate) key: String,
    /// Without that variable it is this name in the home, which this other variable or HOME names.
    pub(crate) name: String,
    pub(crate) home_key: String,
    /// Its lock, below `tmp`.
    pub(crate) lock: LockName,
}

impl LockName {
    /// The name of the lock that belongs to a state folder.
    pub(crate) fn file(&self) -> String {
        format!("{}.state.lock", self.kind)
    }

    /// Whether a lock of this user may have the path.
    pub(crate) fn is(&self, path: &Path, uid: u32) -> bool {
        let folder = path.parent().and_then(Path::file_name);
        let middle = || {
            let file = path.file_name()?.to_str()?;
            file.strip_prefix(self.kind.as_str())?.strip_prefix('.')?.strip_suffix(".lock")
        };
        let is_hash = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        folder.is_some_and(|folder| folder == format!("{}-{uid}", self.folder).as_str())
            && middle().is_some_and(|text| text == "state" || is_hash(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_the_service_s_folder_and_name() {
        let name = LockName { folder: "openclaw".to_owned(), kind: "gateway".to_owned() };
        let table = [
            ("/tmp/openclaw-1000/gateway.0a1b2c3d.lock", true),
            ("/home/u/.openclaw/tmp/openclaw-1000/gateway.state.lock", true),
            ("/tmp/openclaw-1001/gateway.state.lock", false),
            ("/tmp/openclaw/gateway.state.lock", false),
            ("/tmp/xopenclaw-1000/gateway.state.lock", false),
            ("/tmp/openclaw-1000/sub/gateway.state.lock", false),
            ("/tmp/openclaw-1000/gateway.0a1b2c3.lock", false),
            ("/tmp/openclaw-1000/gateway.0a1b2c3x.lock", false),
            ("/tmp/openclaw-1000/gateway.lock", false),
            ("/tmp/openclaw-1000/gateway.state.lock.bak", false),
            ("/tmp/openclaw-1000/node.state.lock", false),
            ("gateway.state.lock", false),
        ];
        for (path, is) in table {
            assert_eq!(name.is(Path::new(path), 1000), is, "{path}");
        }
    }
}
