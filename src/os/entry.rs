//! Look up the script that a runtime runs, and the package it lies in.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use procfs::process::Process;
use rustix::fs::{AtFlags, OFlags, statat};

use crate::error::Error;
use crate::facts::{Entry, Environ, Exe, Seen, ToldBy};
use crate::identity::marked;
use crate::os::snapshot;
use crate::os::sockets::to_io;
use crate::script::{Script, script, subcommand};
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
    let mut command = Seen::Gone;
    match script(&exe.path, argv) {
        Script::Inline => return Ok(Entry::Inline),
        Script::At(path, args) => {
            let word = subcommand(args, &service.value_options).map(OsStr::to_owned);
            command = Seen::Value(word);
            match told(image, path, &command, ToldBy::Argv).map_err(fail)? {
                Seen::Value(entry) => return Ok(entry),
                Seen::Denied => return Ok(Entry::Unreadable),
                Seen::Gone => {}
            }
        }
        Script::Untold => {}
    }
    // `_` is inherited by what a process starts without a shell, so it only stands in for arguments that
    // tell nothing, and only the service's own package is believed of it.
    if let Some(path) = environ.get(OsStr::new("_"))
        && let Seen::Value(entry) = told(image, path, &command, ToldBy::Underscore).map_err(fail)?
        && in_package(&entry, service)
    {
        return Ok(entry);
    }
    if !marked(environ, service)
        && matches!(command, Seen::Gone)
        && let Some(entry) = told_by_child(pid, exe, service)
    {
        return Ok(entry);
    }
    Ok(Entry::Untold)
}

fn told(
    image: &Process,
    path: &OsStr,
    subcommand: &Seen<Option<OsString>>,
    by: ToldBy,
) -> io::Result<Seen<Entry>> {
    let path = match resolve(image, path)? {
        Seen::Value(path) => path,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    Ok(match package(&path)? {
        Seen::Value(package) => {
            Seen::Value(Entry::Script { path, package, subcommand: subcommand.clone(), told_by: by })
        }
        Seen::Denied => Seen::Denied,
        Seen::Gone => Seen::Gone,
    })
}

fn in_package(entry: &Entry, service: &Service) -> bool {
    matches!(entry, Entry::Script { package: Some(name), .. } if service.packages.contains(name))
}

/// A worker's script tells its launcher's package. Not a child that is an instance itself: its parent may be
/// a process manager that runs other people's programs as well. What cannot be read of a child tells nothing:
/// this evidence only ever adds an instance, and its absence leaves the process alone.
fn told_by_child(pid: u32, exe: &Exe, service: &Service) -> Option<Entry> {
    let wanted = service.subcommand.as_ref()?;
    snapshot::children(pid).into_iter().find_map(|child| {
        let image = Process::new(i32::try_from(child).ok()?).ok()?;
        let file = image.open_relative_flags("exe", OFlags::PATH | OFlags::CLOEXEC).ok()?.metadata().ok()?;
        if (file.dev(), file.ino()) != exe.file {
            return None;
        }
        let mut bytes = Vec::new();
        image.open_relative("cmdline").ok()?.read_to_end(&mut bytes).ok()?;
        let argv = crate::parse::argv(&bytes);
        let Script::At(path, args) = script(&exe.path, &argv) else { return None };
        if subcommand(args, &service.value_options) == Some(wanted.as_os_str()) {
            return None;
        }
        let Ok(Seen::Value(entry)) = told(&image, path, &Seen::Gone, ToldBy::Child(child)) else {
            return None;
        };
        in_package(&entry, service).then_some(entry)
    })
}

/// "Not there" and "may not look" as facts; what else goes wrong stays an error, and makes no script vanish.
fn look<T>(result: io::Result<T>) -> io::Result<Seen<T>> {
    match result {
        Ok(value) => Ok(Seen::Value(value)),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied => Ok(Seen::Denied),
            ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename => Ok(Seen::Gone),
            // A loop of links, or a socket in a manifest's place.
            _ if matches!(error.raw_os_error(), Some(nix::libc::ELOOP | nix::libc::ENXIO)) => Ok(Seen::Gone),
            _ => Err(error),
        },
    }
}

/// The real path of a script, as its process sees it.
fn resolve(image: &Process, path: &OsStr) -> io::Result<Seen<PathBuf>> {
    let path = Path::new(path);
    let absolute = if path.is_absolute() {
        path.to_owned()
    } else {
        match look(image.cwd().map_err(to_io))? {
            Seen::Value(folder) => folder.join(path),
            Seen::Denied => return Ok(Seen::Denied),
            Seen::Gone => return Ok(Seen::Gone),
        }
    };
    // Node takes `dist/index` for `dist/index.js`.
    let mut with_extension = absolute.clone().into_os_string();
    with_extension.push(".js");
    let mut real = look(fs::canonicalize(&absolute))?;
    if real == Seen::Gone {
        real = look(fs::canonicalize(PathBuf::from(with_extension)))?;
    }
    let Seen::Value(real) = real else { return Ok(real) };
    // A process in a mount namespace or chroot of its own may have another file at this path.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match look(image.open_relative_flags("root", flags).map_err(to_io))? {
        Seen::Value(root) => root,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    let below = real.strip_prefix("/").unwrap_or(&real);
    let theirs = look(statat(&root, below, AtFlags::empty()).map_err(io::Error::from))?;
    let ours = look(fs::metadata(&real))?;
    Ok(match (theirs, ours) {
        (Seen::Denied, _) | (_, Seen::Denied) => Seen::Denied,
        (Seen::Value(theirs), Seen::Value(ours))
            if (theirs.st_dev, theirs.st_ino) == (ours.dev(), ours.ino()) =>
        {
            Seen::Value(real)
        }
        _ => Seen::Gone,
    })
}

/// The name of the package that a file belongs to: that of the nearest manifest above it which has one. The
/// search ends at a node_modules folder, as Node's own does (Node.js, "Modules: ECMAScript modules",
/// LOOKUP_PACKAGE_SCOPE).
fn package(script: &Path) -> io::Result<Seen<Option<String>>> {
    let about = match look(fs::metadata(script))? {
        Seen::Value(about) => about,
        Seen::Denied => return Ok(Seen::Denied),
        Seen::Gone => return Ok(Seen::Gone),
    };
    let folders = script.ancestors().skip(usize::from(!about.is_dir()));
    for folder in folders.take_while(|folder| folder.file_name() != Some(OsStr::new("node_modules"))) {
        // Not blocking: whoever owns the folder may have put a FIFO there.
        let options = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
        let path = folder.join("package.json");
        let file = match look(OpenOptions::new().read(true).custom_flags(options).open(path))? {
            Seen::Value(file) => file,
            Seen::Denied => return Ok(Seen::Denied),
            Seen::Gone => continue,
        };
        let manifest = file.metadata()?;
        // In /tmp anybody may drop a manifest above somebody else's script.
        if !manifest.is_file() || !(manifest.uid() == about.uid() || manifest.uid() == 0) {
            continue;
        }
        let mut text = Vec::new();
        file.take(MANIFEST_LIMIT).read_to_end(&mut text)?;
        let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
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
        let table = [
            ("gw/dist/index.js", Some("openclaw")),
            ("gw", Some("openclaw")),
            ("gw/ext/index.js", Some("ext")),
            ("gw/broken/index.js", Some("openclaw")),
            ("gw/odd/index.js", Some("openclaw")),
            ("gw/fifo/index.js", Some("openclaw")),
            ("gw/node_modules/dep/index.js", None),
            ("gw/node_modules/named/index.js", Some("named")),
        ];
        for (path, name) in table {
            let expected = Seen::Value(name.map(str::to_owned));
            assert_eq!(package(&top.path().join(path)).unwrap(), expected, "{path}");
        }
    }
}
