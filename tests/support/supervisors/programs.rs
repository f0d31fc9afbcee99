//! Where the programs are that `.ci/supervisors` has installed.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const BINS: [&str; 7] = [
    "npm/node_modules/.bin", "python/bin", "debian/usr/bin", "debian/usr/sbin", "debian/bin", "debian/sbin",
    "debian/lib/rc/bin",
];

/// The PATH of supervisors and of shells: the folder of `.ci/supervisors`, and the system's.
pub(crate) fn path() -> OsString {
    let own = folder().map(|folder| BINS.map(|bin| folder.join(bin)));
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::join_paths(own.into_iter().flatten().chain(system)).expect("a folder without a colon")
}

/// The program of this name.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()).map(|bin| bin.join(program)).find(|file| is_program(file))
}

/// The same folder as in `.ci/supervisors`.
pub(crate) fn folder() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    of("PORTCLEAR_SUPERVISORS").or_else(|| Some(cache()?.join("portclear-tests/supervisors")))
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
