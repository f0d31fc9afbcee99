//! Programs that run the scripts of many services.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A program that runs the service's script, and the scripts of others: for
/// [`Service::runtime`](crate::Service::runtime).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Runtime {
    /// The executable's file name, with or without a version: `python` is also `python3.11`.
    Name(String),
    /// The executable's path: absolute and without links, as /proc/PID/exe has it (proc_pid_exe(5)).
    Path(PathBuf),
}

/// Programs that run the scripts and programs of many services: none of them is a service's own executable.
const RUNTIMES: [&str; 48] = [
    "node", "nodejs", "bun", "deno", "qjs", "gjs", "python", "pypy", "uwsgi", "ruby", "perl", "php", "php-fpm",
    "php-cgi", "java", "lua", "luajit", "dotnet", "mono", "mono-sgen", "electron", "julia", "R", "guile", "racket",
    "tclsh", "wish", "sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "toybox", "coreutils", "env", "beam.smp",
    "wasmtime", "wasmer", "wine", "wine64", "wine-preloader", "wine64-preloader", "gdbserver", "rr", "systemd", "init",
];

/// Further runtimes, by the beginning of their names: the dynamic linker as a command, emulators of another machine,
/// and valgrind's tools.
const LOADERS: [&str; 8] =
    ["ld-linux", "ld-musl-", "ld.so", "qemu-", "memcheck-", "callgrind-", "helgrind-", "massif-"];

impl Runtime {
    /// Whether this crate knows the executable at `exe` as a runtime, by its file name. A runtime runs anybody's
    /// script, so it identifies no service. The list is never complete.
    ///
    /// ```
    /// use portclear::policy::Runtime;
    ///
    /// assert!(Runtime::is_known("/usr/bin/python3.11".as_ref()));
    /// assert!(Runtime::is_known("/usr/bin/python3.13t".as_ref()));
    /// assert!(!Runtime::is_known("/usr/bin/my-app".as_ref()));
    /// assert!(!Runtime::is_known("/usr/bin/node-exporter".as_ref()));
    /// ```
    #[must_use]
    pub fn is_known(exe: &Path) -> bool {
        let name = exe.file_name().unwrap_or_default().as_encoded_bytes();
        // Wider than `is`: also `python3.13t` and `node-24`.
        let version = |rest: &[u8]| {
            let rest = rest.strip_prefix(b"-").unwrap_or(rest);
            let number = rest.strip_suffix(b"t").or(rest.strip_suffix(b"d")).unwrap_or(rest);
            rest.is_empty()
                || number.first().is_some_and(u8::is_ascii_digit)
                    && number.iter().all(|b| b.is_ascii_digit() || *b == b'.')
        };
        RUNTIMES.iter().any(|runtime| name.strip_prefix(runtime.as_bytes()).is_some_and(version))
            || LOADERS.iter().any(|loader| name.starts_with(loader.as_bytes()))
    }

    /// Whether the executable at `exe` (as /proc/PID/exe names it) is this runtime.
    pub(crate) fn is(&self, exe: &Path) -> bool {
        match self {
            Self::Path(path) => path == exe,
            Self::Name(name) => exe.file_name().is_some_and(|file| is_version_of(file, name)),
        }
    }
}

/// Whether `file` is `name`, with or without a version: `python3.11` is `python`.
pub(crate) fn is_version_of(file: &OsStr, name: &str) -> bool {
    let version = file.to_str().and_then(|file| file.strip_prefix(name));
    version.is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_its_file_name_with_or_without_a_version() {
        let name = |name: &str| Runtime::Name(name.to_owned());
        let table = [
            (name("node"), "/usr/bin/node", true),
            (name("node"), "/usr/bin/node20", true),
            (name("python"), "/usr/bin/python3.11", true),
            (name("python3"), "/usr/bin/python3.11", true),
            (name("node"), "/usr/bin/nodejs", false),
            (name("node"), "/usr/bin/node-red", false),
            (name("node"), "/usr/bin/xnode", false),
            (name("node"), "/opt/node/other", false),
            (Runtime::Path("/usr/bin/node".into()), "/usr/bin/node", true),
            (Runtime::Path("/usr/bin/node".into()), "/opt/bin/node", false),
        ];
        for (runtime, exe, expected) in table {
            assert_eq!(runtime.is(Path::new(exe)), expected, "{runtime:?} {exe}");
        }
    }
}
