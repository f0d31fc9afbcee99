//! The options that describe the service, and the service that they make.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use portclear::Service;
use portclear::policy::{Marker, Runtime};
use portclear::report::escape;

use crate::cli::values::marker;

// No doc comments on options: see `args`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct ServiceArgs {
    #[arg(long, value_name = "NAME", default_value = "openclaw", value_parser = ["openclaw"])]
    #[arg(conflicts_with_all = ["markers", "executables", "runtimes", "packages", "pid_files"])]
    pub(crate) service: String,
    #[arg(long = "marker", value_name = "KEY=VALUE", value_parser = marker)]
    pub(crate) markers: Vec<Marker>,
    #[arg(long = "exe", value_name = "PATH")]
    pub(crate) executables: Vec<PathBuf>,
    #[arg(long = "runtime", value_name = "PATH|NAME")]
    pub(crate) runtimes: Vec<String>,
    #[arg(long = "package", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) packages: Vec<String>,
    #[arg(long = "pid-file", value_name = "PATH")]
    pub(crate) pid_files: Vec<PathBuf>,
}

impl ServiceArgs {
    /// No option describes another service than the one that portclear knows.
    pub(crate) fn is_known(&self) -> bool {
        let described = [self.executables.is_empty(), self.packages.is_empty(), self.runtimes.is_empty()];
        described.into_iter().all(|is_empty| is_empty) && self.markers.is_empty() && self.pid_files.is_empty()
    }

    /// The error is a sentence.
    pub(crate) fn service(&self) -> Result<Service, String> {
        if !(self.executables.is_empty() && self.packages.is_empty() && self.pid_files.is_empty()) {
            return self.other_service();
        }
        // Children inherit a marker, and a runtime runs anybody's script: neither identifies an instance alone.
        match (self.markers.is_empty(), self.runtimes.is_empty()) {
            (true, true) => Service::named(&self.service).ok_or_else(|| "portclear knows no such service".to_owned()),
            (false, true) => Err("--marker needs --exe, --runtime or --package beside it, \
                because the children of an instance inherit the marker"
                .to_owned()),
            (true, false) => {
                Err("--runtime needs --marker or --package beside it, because a runtime runs any script".to_owned())
            }
            (false, false) => self.other_service(),
        }
    }

    fn other_service(&self) -> Result<Service, String> {
        let mut service = Service::new("the service").markers(self.markers.clone());
        for path in &self.executables {
            service = service.executable(executable(path)?);
        }
        for path in &self.pid_files {
            service = service.pid_file(absolute("--pid-file", path)?);
        }
        for text in &self.runtimes {
            service = service.runtime(runtime(text)?);
        }
        if self.runtimes.is_empty() && !self.packages.is_empty() {
            for name in ["node", "nodejs", "bun", "deno"] {
                service = service.runtime(Runtime::Name(name.to_owned()));
            }
        }
        Ok(self.packages.iter().fold(service, |service, name| service.package(name)))
    }
}

/// The path without links, as /proc/PID/exe has it.
fn executable(path: &Path) -> Result<PathBuf, String> {
    let shown = shown(path);
    if !shown.contains('/') {
        return Err(format!("--exe takes a path, and '{shown}' is a name; write /the/path/of/{shown}"));
    }
    let real = existing("--exe", path)?;
    let about = real.metadata().map_err(|error| format!("--exe '{shown}': {error}"))?;
    if !about.is_file() {
        return Err(format!("--exe '{shown}': that is no file; name the program itself"));
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err(format!("--exe '{shown}': that file is not executable"));
    }
    if Runtime::is_known(&real) {
        return Err(format!(
            "--exe '{shown}' runs the scripts of many services; use --runtime with --marker or --package"
        ));
    }
    Ok(real)
}

fn runtime(text: &str) -> Result<Runtime, String> {
    match text {
        "" => Err("--runtime takes a path or a file name".to_owned()),
        name if !name.contains('/') => Ok(Runtime::Name(name.to_owned())),
        path => existing("--runtime", Path::new(path)).map(Runtime::Path),
    }
}

fn existing(option: &str, path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| {
        let gone = error.kind() == ErrorKind::NotFound;
        let why = if gone { "there is no such file".to_owned() } else { error.to_string() };
        format!("{option} '{}': {why}", shown(path))
    })
}

/// The path as it is seen from any folder. Links stay: an upgrade may change where they lead.
pub(crate) fn absolute(option: &str, path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{option} '{}': {error}", shown(path)))
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
