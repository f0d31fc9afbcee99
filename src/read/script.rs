//! Look up the script that a runtime runs, and the package it lies in.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use procfs::process::Process;
use rustix::fs::{AtFlags, OFlags, statat};

use super::proc::{Miss, to_io};
use crate::model::argv::{Argument, instance_option, script as argument, subcommand};
use crate::model::{Environ, Error, Exe, Script, Service};

/// A manifest is a few kilobytes; a far larger file is none.
const MANIFEST_LIMIT: u64 = 1 << 20;

type Looked<T> = Result<T, Miss<io::Error>>;

/// A process whose script is looked up.
pub(crate) struct Runs<'a> {
    pub(crate) pid: u32,
    pub(crate) root: &'a Process,
    pub(crate) exe: &'a Exe,
    pub(crate) argv: &'a [OsString],
}

impl Runs<'_> {
    pub(crate) fn script(&self, environ: &Environ, service: &Service) -> Result<Script, Error> {
        if service.runtime_of(&self.exe.path).is_none() {
            return Ok(Script::NotARuntime);
        }
        let (path, args) = match argument(&self.exe.path, self.argv) {
            Argument::At(path, args) => (path, args),
            Argument::Inline => return Ok(Script::Inline),
            Argument::Ambiguous => return Ok(Script::Unreadable),
            Argument::Hidden => return Ok(Script::Hidden),
        };
        let found = self.resolve(path, environ).and_then(|path| Ok((package(&path)?, path)));
        match found {
            Ok((package, path)) => {
                let subcommand = subcommand(args, &service.value_options).map(OsStr::to_owned);
                Ok(Script::At { path, package, subcommand })
            }
            Err(Miss::Denied) => Ok(Script::Unreadable),
            Err(Miss::Gone) => Ok(Script::Hidden),
            Err(Miss::Failed(error)) => {
                Err(Error::new(format!("cannot look up the script of process {}", self.pid), error))
            }
        }
    }

    /// The instance key that an argument of the service's own script sets, and its value.
    pub(crate) fn instance_key(&self, script: &Script, service: &Service) -> Option<(OsString, OsString)> {
        let Script::At { package: Some(package), .. } = script else { return None };
        let (_, key) = service.option_keys.iter().find(|(of, _)| of == package)?;
        let Argument::At(_, args) = argument(&self.exe.path, self.argv) else { return None };
        Some((key.clone(), instance_option(args, service)?))
    }

    /// The real path of a script, if it is the same file for its process and for us. A process in its own mount
    /// namespace or chroot may see another file there, or none. Such a script is not judged.
    fn resolve(&self, path: &OsStr, environ: &Environ) -> Looked<PathBuf> {
        let path = Path::new(path);
        let absolute = if path.is_absolute() {
            path.to_owned()
        } else {
            let folder = look(self.root.cwd().map_err(to_io))?;
            if has_moved(&folder, environ) {
                return Err(Miss::Gone);
            }
            folder.join(path)
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = look(self.root.open_relative_flags("root", flags).map_err(to_io))?;
        let theirs = |path: &Path| {
            let below = path.strip_prefix("/").unwrap_or(path);
            let about = statat(&root, below, AtFlags::empty());
            look(about.map(|about| (about.st_dev, about.st_ino)).map_err(io::Error::from))
        };
        // Node takes `dist/index` for `dist/index.js`.
        let mut with_extension = absolute.clone().into_os_string();
        with_extension.push(".js");
        for path in [absolute, PathBuf::from(with_extension)] {
            let real = match look(fs::canonicalize(&path)) {
                Ok(real) => real,
                Err(Miss::Gone) => match theirs(&path) {
                    Err(Miss::Gone) => continue,
                    Err(Miss::Failed(error)) => return Err(Miss::Failed(error)),
                    Ok(_) | Err(Miss::Denied) => return Err(Miss::Denied),
                },
                Err(other) => return Err(other),
            };
            let ours = look(fs::metadata(&real)).map_err(or_denied)?;
            let theirs = theirs(&real).map_err(or_denied)?;
            return if (ours.dev(), ours.ino()) == theirs { Ok(real) } else { Err(Miss::Denied) };
        }
        Err(Miss::Gone)
    }
}

/// "Not there" and "may not look" are facts. Any other failure stays an error: the script must not seem to be gone.
fn look<T>(result: io::Result<T>) -> Looked<T> {
    result.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Miss::Gone,
        // A path that is too long to follow may still lead to a script.
        ErrorKind::PermissionDenied | ErrorKind::InvalidFilename => Miss::Denied,
        // A loop of links, or a socket in a manifest's place.
        _ if matches!(error.raw_os_error(), Some(nix::libc::ELOOP | nix::libc::ENXIO)) => Miss::Denied,
        _ => Miss::Failed(error),
    })
}

/// For a file that was there a moment ago.
fn or_denied(miss: Miss<io::Error>) -> Miss<io::Error> {
    match miss {
        Miss::Gone | Miss::Denied => Miss::Denied,
        failed @ Miss::Failed(_) => failed,
    }
}

/// Whether the process has changed its folder since it was started. PWD may name the folder it was started in.
fn has_moved(folder: &Path, environ: &Environ) -> bool {
    let started_in = environ.get("PWD").and_then(|pwd| fs::canonicalize(pwd).ok());
    started_in.is_some_and(|started_in| started_in != folder)
}

/// The package of a file: the name in the nearest manifest above it that has one. The search ends at a node_modules
/// folder, as Node's own does (Node.js, "Modules: ECMAScript modules", LOOKUP_PACKAGE_SCOPE). It also ends at a
/// manifest that cannot be trusted: a name above it would be another package's.
fn package(script: &Path) -> Looked<Option<String>> {
    let about = look(fs::metadata(script))?;
    let folders = script.ancestors().skip(usize::from(!about.is_dir()));
    for folder in folders.take_while(|folder| folder.file_name() != Some(OsStr::new("node_modules"))) {
        let path = folder.join("package.json");
        match look(fs::symlink_metadata(&path)) {
            Ok(manifest) if manifest.is_file() => {}
            Err(Miss::Gone) => continue,
            // A link may lead to the manifest of another package.
            Ok(_) => return Err(Miss::Denied),
            Err(miss) => return Err(miss),
        }
        if let Some(name) = package_name(&path, about.uid())? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The name in a manifest, for a script of this user.
fn package_name(path: &Path, user: u32) -> Looked<Option<String>> {
    // Somebody may have replaced the file since. Follow no link, and do not block on a FIFO.
    let options = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(options).open(path);
    let file = look(file).map_err(or_denied)?;
    let manifest = file.metadata().map_err(Miss::Failed)?;
    // In /tmp anybody may put a manifest above somebody else's script.
    if !manifest.is_file() || !(manifest.uid() == user || manifest.uid() == 0) {
        return Err(Miss::Denied);
    }
    let mut text = Vec::new();
    file.take(MANIFEST_LIMIT).read_to_end(&mut text).map_err(Miss::Failed)?;
    if text.len() as u64 == MANIFEST_LIMIT {
        return Err(Miss::Denied);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&text).map_err(|_| Miss::Denied)?;
    Ok(manifest.get("name").and_then(|name| name.as_str()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Seen;

    #[test]
    fn the_package_is_the_nearest_named_manifest_and_no_farther_than_node_modules() {
        let top = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("gw/package.json", r#"{"name": "openclaw"}"#);
        write("gw/dist/package.json", r#"{"type": "module"}"#);
        write("gw/dist/index.js", "");
        write("gw/ext/package.json", r#"{"name": "ext"}"#);
        write("gw/ext/index.js", "");
        write("gw/broken/package.json", "{");
        write("gw/broken/index.js", "");
        write("gw/node_modules/dep/index.js", "");
        write("gw/node_modules/named/package.json", r#"{"name": "named"}"#);
        write("gw/node_modules/named/index.js", "");
        write("gw/odd/package.json", r#"{"name": 7}"#);
        write("gw/odd/index.js", "");
        let fifo = top.path().join("gw/fifo/package.json");
        write("gw/fifo/index.js", "");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(top.path().join("gw/package.json"), {
            write("gw/link/index.js", "");
            top.path().join("gw/link/package.json")
        })
        .unwrap();
        let table = [
            ("gw/dist/index.js", Seen::Value(Some("openclaw"))),
            ("gw", Seen::Value(Some("openclaw"))),
            ("gw/ext/index.js", Seen::Value(Some("ext"))),
            ("gw/odd/index.js", Seen::Value(Some("openclaw"))),
            ("gw/broken/index.js", Seen::Denied),
            ("gw/fifo/index.js", Seen::Denied),
            ("gw/link/index.js", Seen::Denied),
            ("gw/node_modules/dep/index.js", Seen::Value(None)),
            ("gw/node_modules/named/index.js", Seen::Value(Some("named"))),
            ("gw/none.js", Seen::Gone),
        ];
        for (path, expected) in table {
            let found = match package(&top.path().join(path)) {
                Ok(name) => Seen::Value(name),
                Err(Miss::Denied) => Seen::Denied,
                Err(Miss::Gone) => Seen::Gone,
                Err(Miss::Failed(error)) => panic!("{path}: {error}"),
            };
            let expected = expected.and_then(|name| Some(name.map(str::to_owned)));
            assert_eq!(found, expected, "{path}");
        }
    }
}
