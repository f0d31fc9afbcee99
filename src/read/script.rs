//! Look up the script that a runtime runs, and the package it lies in.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use procfs::process::Process;
use rustix::fs::{AtFlags, OFlags, statat};

use crate::error::Error;
use crate::facts::{Entry, Environ, Exe, Seen};
use crate::os::sockets::to_io;
use crate::script::{Script, instance_option, script, subcommand};
use crate::service::Service;

/// A manifest is a few kilobytes; what is far larger is none.
const MANIFEST_LIMIT: u64 = 1 << 20;

pub(crate) fn entry(
    pid: u32,
    image: &Process,
    exe: &Exe,
    argv: &[OsString],
    environ: &Environ,
    service: &Service,
) -> Result<Entry, Error> {
    let fail = |error: io::Error| Error::new(format!("cannot look up the script of process {pid}"), error);
    if service.runtime_of(&exe.path).is_none() {
        return Ok(Entry::NotARuntime);
    }
    let (path, args) = match script(&exe.path, argv) {
        Script::At(path, args) => (path, args),
        Script::Inline => return Ok(Entry::Inline),
        Script::Ambiguous => return Ok(Entry::Unreadable),
        Script::Untold => return Ok(Entry::Untold),
    };
    let path = match resolve(image, path, environ).map_err(fail)? {
        Seen::Value(path) => path,
        Seen::Denied => return Ok(Entry::Unreadable),
        Seen::Gone => return Ok(Entry::Untold),
    };
    let package = match package(&path).map_err(fail)? {
        Seen::Value(package) => package,
        Seen::Denied => return Ok(Entry::Unreadable),
        Seen::Gone => return Ok(Entry::Untold),
    };
    let subcommand = subcommand(args, &service.value_options).map(OsStr::to_owned);
    Ok(Entry::Script { path, package, subcommand })
}

/// The instance key that the service's own script, as it was found, is given by an argument, and its value.
pub(crate) fn instance_key(
    entry: &Entry,
    exe: &Exe,
    argv: &[OsString],
    service: &Service,
) -> Option<(OsString, OsString)> {
    let Entry::Script { package: Some(package), .. } = entry else { return None };
    let (_, key) = service.option_keys.iter().find(|(of, _)| of == package)?;
    let Script::At(_, args) = script(&exe.path, argv) else { return None };
    Some((key.clone(), instance_option(args, service)?))
}

/// "Not there" and "may not look" as facts; what else goes wrong stays an error, and makes no script vanish.
fn look<T>(result: io::Result<T>) -> io::Result<Seen<T>> {
    match result {
        Ok(value) => Ok(Seen::Value(value)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(Seen::Gone),
            // A path that is too long to follow may still lead to a script.
            ErrorKind::PermissionDenied | ErrorKind::InvalidFilename => Ok(Seen::Denied),
            // A loop of links, or a socket in a manifest's place.
            _ if matches!(error.raw_os_error(), Some(nix::libc::ELOOP | nix::libc::ENXIO)) => {
                Ok(Seen::Denied)
            }
            _ => Err(error),
        },
    }
}

/// The real path of a script, if it is the same file for its process and for us. A process in a mount
/// namespace or a chroot of its own may have another one there, or only one of the two may have any: then it
/// may not be judged by what we see.
fn resolve(image: &Process, path: &OsStr, environ: &Environ) -> io::Result<Seen<PathBuf>> {
    let path = Path::new(path);
    let absolute = if path.is_absolute() {
        path.to_owned()
    } else {
        match look(image.cwd().map_err(to_io))? {
            // The process has gone elsewhere since its script was named.
            Seen::Value(folder) if moved(&folder, environ) => return Ok(Seen::Gone),
            Seen::Value(folder) => folder.join(path),
            Seen::Denied => return Ok(Seen::Denied),
            Seen::Gone => return Ok(Seen::Gone),
        }
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match look(image.open_relative_flags("root", flags).map_err(to_io))? {
        Seen::Value(root) => root,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    let theirs = |path: &Path| {
        let below = path.strip_prefix("/").unwrap_or(path);
        let about = statat(&root, below, AtFlags::empty());
        look(about.map(|about| (about.st_dev, about.st_ino)).map_err(io::Error::from))
    };
    // Node takes `dist/index` for `dist/index.js`.
    let mut with_extension = absolute.clone().into_os_string();
    with_extension.push(".js");
    for path in [absolute, PathBuf::from(with_extension)] {
        let real = match look(fs::canonicalize(&path))? {
            Seen::Value(real) => real,
            Seen::Denied => return Ok(Seen::Denied),
            Seen::Gone if theirs(&path)? == Seen::Gone => continue,
            Seen::Gone => return Ok(Seen::Denied),
        };
        let ours = look(fs::metadata(&real))?;
        let same = ours.value().map(|ours| (ours.dev(), ours.ino())) == theirs(&real)?.value().copied();
        return Ok(if same && ours.value().is_some() { Seen::Value(real) } else { Seen::Denied });
    }
    Ok(Seen::Gone)
}

/// Whether the process has left the folder that PWD says it was started in, where PWD says one.
fn moved(folder: &Path, environ: &Environ) -> bool {
    let started_in = environ.get(OsStr::new("PWD")).and_then(|pwd| fs::canonicalize(pwd).ok());
    started_in.is_some_and(|started_in| started_in != folder)
}

/// The name of the package that a file belongs to: that of the nearest manifest above it which has one. The
/// search ends at a node_modules folder, as Node's own does (Node.js, "Modules: ECMAScript modules",
/// LOOKUP_PACKAGE_SCOPE). A manifest that cannot be believed ends it too: the name above would be another
/// package's.
fn package(script: &Path) -> io::Result<Seen<Option<String>>> {
    let about = match look(fs::metadata(script))? {
        Seen::Value(about) => about,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    let folders = script.ancestors().skip(usize::from(!about.is_dir()));
    for folder in folders.take_while(|folder| folder.file_name() != Some(OsStr::new("node_modules"))) {
        let path = folder.join("package.json");
        match look(fs::symlink_metadata(&path))? {
            Seen::Value(manifest) if manifest.is_file() => {}
            Seen::Gone => continue,
            // A link may lead to the manifest of another package.
            Seen::Value(_) | Seen::Denied => return Ok(Seen::Denied),
        }
        // What it was may have been exchanged since: not following, and not blocking on a FIFO.
        let options = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
        let file = match look(OpenOptions::new().read(true).custom_flags(options).open(path))? {
            Seen::Value(file) => file,
            Seen::Denied | Seen::Gone => return Ok(Seen::Denied),
        };
        let manifest = file.metadata()?;
        // In /tmp anybody may drop a manifest above somebody else's script.
        if !manifest.is_file() || !(manifest.uid() == about.uid() || manifest.uid() == 0) {
            return Ok(Seen::Denied);
        }
        let mut text = Vec::new();
        file.take(MANIFEST_LIMIT).read_to_end(&mut text)?;
        if text.len() as u64 == MANIFEST_LIMIT {
            return Ok(Seen::Denied);
        }
        let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(&text) else {
            return Ok(Seen::Denied);
        };
        if let Some(name) = manifest.get("name").and_then(|name| name.as_str()) {
            return Ok(Seen::Value(Some(name.to_owned())));
        }
    }
    Ok(Seen::Value(None))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = package(&top.path().join(path)).unwrap();
            let found = match &found {
                Seen::Value(name) => Seen::Value(name.as_deref()),
                Seen::Denied => Seen::Denied,
                Seen::Gone => Seen::Gone,
            };
            assert_eq!(found, expected, "{path}");
        }
    }
}
