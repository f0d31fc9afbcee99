//! The files of an instance, laid out in a temporary folder as the gateway's are.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// `bin/node`, `openclaw/package.json`, `openclaw/dist/index.js`.
pub(crate) struct Layout {
    dir: TempDir,
    pub(crate) exe: PathBuf,
    pub(crate) script: PathBuf,
}

impl Layout {
    /// Lays out a new folder in `parent`. Copies `exe` there under `name`. Without a name it is used where it is.
    pub(crate) fn new(parent: &Path, exe: &Path, name: Option<&OsStr>, package: Option<&str>, script: &str) -> Self {
        // Another user must be able to start the files.
        let all = Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().prefix("portclear-").permissions(all).tempdir_in(parent);
        let dir = dir.expect("a temporary folder");
        let root = dir.path();
        let dist = root.join("openclaw/dist");
        fs::create_dir_all(&dist).unwrap();
        fs::create_dir(root.join("bin")).unwrap();
        if let Some(package) = package {
            let manifest = serde_json::json!({ "name": package, "version": "2026.9.1" });
            fs::write(root.join("openclaw/package.json"), manifest.to_string()).unwrap();
        }
        let path = dist.join("index.js");
        fs::write(&path, script).unwrap();
        let exe = match name {
            Some(name) => copy(exe, &root.join("bin").join(name)),
            None => exe.to_owned(),
        };
        Self { exe, script: path, dir }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }
}

/// A process of its own makes the copy. If this process had the copy open for writing, a child of another test could
/// inherit that descriptor, and executing the copy would fail with ETXTBSY.
pub(crate) fn copy(from: &Path, to: &Path) -> PathBuf {
    let status = Command::new("cp").arg(from).arg(to).status().expect("cp");
    assert!(status.success(), "cannot copy {}", from.display());
    to.to_owned()
}
