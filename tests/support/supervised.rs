//! The real supervisors, which `.ci/supervisors` has installed.

use std::path::{Path, PathBuf};

/// Where the program of this name is: in the folder of `.ci/supervisors`, or on the path.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let folder = folder()?;
    let bins = ["npm/node_modules/.bin", "python/bin", "debian/usr/bin", "debian/usr/sbin", "debian/sbin"];
    let own = bins.iter().map(|bin| folder.join(bin));
    let path = std::env::var_os("PATH")?;
    own.chain(std::env::split_paths(&path)).map(|bin| bin.join(program)).find(|file| is_program(file))
}

/// The same folder as in `.ci/supervisors`.
pub(crate) fn folder() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    of("PORTCLEAR_SUPERVISORS").or_else(|| Some(cache()?.join("portclear-tests/supervisors")))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
