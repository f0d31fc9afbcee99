//! Look up the script that a runtime runs, and the package it lies in.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use procfs::process::Process;
use rustix::fs::{AtFlags, OFlags, statat};

use crate::error::Error;
use crate::facts::{Entry, Environ, Exe, Seen, ToldBy};
use crate::identity::marked;
use crate::os::snapshot;
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
    if service.runtime_of(&exe.path).is_none() {
        return Ok(Entry::NotARuntime);
    }
    let mut command = Seen::Gone;
    match script(&exe.path, argv) {
        Script::Inline => return Ok(Entry::Inline),
        Script::At(path, args) => {
            let word = subcommand(args, &service.value_options).map(OsStr::to_owned);
            command = Seen::Value(word);
            if let Some(path) = resolve(image, path) {
                return Ok(told(path, command, ToldBy::Argv));
            }
        }
        Script::Untold => {}
    }
    // `_` is inherited by what a process starts without a shell, so it only stands in for arguments that
    // tell nothing, and only the service's own package is believed of it.
    if let Some(path) = environ.get(OsStr::new("_")).and_then(|path| resolve(image, path)) {
        let entry = told(path, command.clone(), ToldBy::Underscore);
        if in_package(&entry, service) {
            return Ok(entry);
        }
    }
    if !marked(environ, service)
        && matches!(command, Seen::Gone)
        && let Some(entry) = told_by_child(pid, exe, service)
    {
        return Ok(entry);
    }
    Ok(Entry::Untold)
}

fn told(path: PathBuf, subcommand: Seen<Option<OsString>>, told_by: ToldBy) -> Entry {
    Entry::Script { package: package(&path), path, subcommand, told_by }
}

fn in_package(entry: &Entry, service: &Service) -> bool {
    matches!(entry, Entry::Script { package: Some(name), .. } if service.packages.contains(name))
}

/// A worker's script tells its launcher's package. Not a child that is an instance itself: its parent may be
/// a process manager that runs other people's programs as well.
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
        let Script::At(path, args) = script(&exe.path, &argv) else {
            return None;
        };
        if subcommand(args, &service.value_options) == Some(wanted.as_os_str()) {
            return None;
        }
        let entry = told(resolve(&image, path)?, Seen::Gone, ToldBy::Child(child));
        in_package(&entry, service).then_some(entry)
    })
}

/// The real path of a script, as its process sees it. `None`: it cannot be told.
fn resolve(image: &Process, path: &OsStr) -> Option<PathBuf> {
    let path = Path::new(path);
    // `_` of a shell is a path or a bare name; a bare name would be looked for in a folder it never meant.
    let absolute = if path.is_absolute() { path.to_owned() } else { image.cwd().ok()?.join(path) };
    // Node takes `dist/index` for `dist/index.js`.
    let mut with_extension = absolute.clone().into_os_string();
    with_extension.push(".js");
    let real =
        [absolute, PathBuf::from(with_extension)].iter().find_map(|path| fs::canonicalize(path).ok())?;
    // A process in a mount namespace or chroot of its own may have another file at this path.
    let root = image.open_relative_flags("root", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC).ok()?;
    let theirs = statat(&root, real.strip_prefix("/").ok()?, AtFlags::empty()).ok()?;
    let ours = fs::metadata(&real).ok()?;
    ((theirs.st_dev, theirs.st_ino) == (ours.dev(), ours.ino())).then_some(real)
}

/// The name of the package that a file belongs to: that of the nearest manifest above it which has one. The
/// search ends at a node_modules folder, as Node's own does (Node.js, "Modules: ECMAScript modules",
/// LOOKUP_PACKAGE_SCOPE).
fn package(script: &Path) -> Option<String> {
    let owner = fs::metadata(script).ok()?.uid();
    let folders = script.ancestors().skip(usize::from(!script.is_dir()));
    folders.take_while(|folder| folder.file_name() != Some(OsStr::from_bytes(b"node_modules"))).find_map(
        |folder| {
            let mut text = Vec::new();
            // Not blocking: whoever owns the folder may have put a FIFO there.
            let options = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
            let file =
                OpenOptions::new().read(true).custom_flags(options).open(folder.join("package.json")).ok()?;
            let about = file.metadata().ok()?;
            // In /tmp anybody may drop a manifest above somebody else's script.
            if !about.is_file() || !(about.uid() == owner || about.uid() == 0) {
                return None;
            }
            file.take(MANIFEST_LIMIT).read_to_end(&mut text).ok()?;
            let manifest: serde_json::Value = serde_json::from_slice(&text).ok()?;
            manifest.get("name")?.as_str().map(str::to_owned)
        },
    )
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
            assert_eq!(package(&top.path().join(path)).as_deref(), name, "{path}");
        }
    }
}
