//! The folder of a supervisor, and the servers that it is to look after.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::builder::Builder;
use super::super::fixture::Fixture;
use super::super::installed::Installed;
use super::super::net::SECOND;

/// What a supervisor is to look after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// A gateway that carries both markers.
    Marked,
    /// A gateway without them.
    Unmarked,
    /// A shell script, and below it a gateway that carries both markers.
    Below,
    /// A shell script, and below it a server that is none of the service's.
    Innocent,
}

/// HOME of the supervisor, and its working directory. The drop removes it.
pub(crate) struct Home {
    server: Server,
    gateway: Installed,
    innocent: Installed,
    // The last: the others lie in it.
    folder: TempDir,
}

impl Home {
    pub(crate) fn new(server: Server) -> Self {
        let all = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("portclear-").permissions(all).tempdir().unwrap();
        let installed = |builder: Builder| Installed::of(builder.real_node(), folder.path());
        let gateway = installed(Fixture::gateway().marked(matches!(server, Server::Marked | Server::Below)));
        let innocent = installed(Fixture::other(SECOND));
        let home = Self { server, gateway, innocent, folder };
        let line = match server {
            Server::Marked | Server::Unmarked => format!("exec {}", shell(home.gateway.command())),
            // Not its last command: a shell may become that.
            Server::Below => format!("{}\nexit", shell(home.gateway.command())),
            Server::Innocent => format!("{}\nexit", shell(home.innocent.command())),
        };
        home.write("run", &format!("#!/bin/sh\n{line}\n"));
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below it, which may be executed.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A program without arguments. It becomes the gateway, or starts a server and stays above it.
    pub(crate) fn run(&self) -> String {
        self.path().join("run").to_str().expect("plain text").to_owned()
    }

    pub(crate) fn server(&self) -> Server {
        self.server
    }

    /// A program without arguments that becomes the innocent server.
    pub(crate) fn innocent(&self) -> String {
        let script = self.write("innocent", &format!("#!/bin/sh\nexec {}\n", shell(self.innocent.command())));
        script.display().to_string()
    }

    /// For a supervisor that wants a script of node: the script and its arguments, in the syntax of a shell.
    pub(crate) fn script(&self) -> [String; 2] {
        if self.server == Server::Innocent {
            let text = format!("require('node:child_process').spawn({:?}, {{ stdio: 'ignore' }});", self.run());
            let script = self.write("run.js", &text);
            return [shell([script.display().to_string()]), String::new()];
        }
        let [_, script, arguments @ ..] = self.gateway.argv() else { unreachable!("node, script, arguments") };
        [shell([script]), shell(arguments)]
    }

    /// What sets the variables of that script: `env KEY=VALUE …`. It keeps the PATH.
    pub(crate) fn environment(&self) -> String {
        let command = self.gateway.command();
        let variables = &command[..command.len() - self.gateway.argv().len()];
        shell(variables.iter().filter(|word| !word.starts_with("PATH=")))
    }

    /// A gateway on [`SECOND`], which is no one's: a command line with its variables.
    pub(super) fn second(&self) -> (Vec<String>, Installed) {
        let builder = Fixture::gateway_on(SECOND).real_node().marked(self.server == Server::Marked);
        let installed = Installed::of(builder, self.path());
        (installed.command(), installed)
    }
}

/// The words in the syntax of a shell.
pub(super) fn shell(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let words: Vec<String> = words.into_iter().map(|word| quoted(word.as_ref())).collect();
    words.join(" ")
}
