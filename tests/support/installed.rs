//! A server that is laid out for a unit, or for a start by hand.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::builder::Builder;
use super::layout::Layout;
use super::sd::text;

/// Its text form is the lines of a unit that start it. The drop removes its files.
pub(crate) struct Installed {
    argv: Vec<String>,
    environment: Vec<(String, String)>,
    notifies: bool,
    /// One of these holds the files.
    _files: (Option<Layout>, Option<TempDir>),
}

/// A service that knows nothing of markers. Its child listens on 127.0.0.1 and answers as a fixture does. Its main
/// process waits for the child, and ends at SIGTERM.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plain {
    Python,
    Perl,
    /// Runs socat, or a python where there is none.
    Shell,
}

const PYTHON: &str = r#"
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if len(sys.argv) < 3 and os.fork():
    server.close()
    sys.exit(os.wait()[1])
while True:
    client, _ = server.accept()
    try:
        client.sendall(f"{os.getpid()} plain\n".encode())
        client.recv(1)
    except OSError:
        pass  # A client that only looks whether somebody listens.
    client.close()
"#;

const PERL: &str = r#"
use strict;
$SIG{PIPE} = "IGNORE";
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 8, ReuseAddr => 1)
    or die "cannot bind: $@";
if (fork) { close $server; wait; exit $?; }
while (my $client = $server->accept) {
    $client->autoflush(1);
    print $client "$$ plain\n";
    <$client>;
    close $client;
}
"#;

const SHELL: &str = r#"
if command -v socat >/dev/null; then
  sh -c 'exec socat "TCP-LISTEN:$1,bind=127.0.0.1,reuseaddr,fork" "SYSTEM:echo $$ plain"' sh "$1" &
else
  /usr/bin/python3 "${0%/*}/plain.py" "$1" alone &
fi
wait
"#;

impl Installed {
    pub(super) fn of(builder: Builder, folder: &Path) -> Self {
        let builder = builder.set("commanded", json!(false));
        let layout = builder.layout(folder);
        let command = builder.command(&layout, false);
        let text = |text: &OsStr| text.to_str().expect("plain text").to_owned();
        let variables = command.get_envs().filter_map(|(key, value)| Some((text(key), text(value?))));
        Self {
            argv: std::iter::once(command.get_program()).chain(command.get_args()).map(text).collect(),
            environment: variables.collect(),
            notifies: !builder.script.starts_with("'use strict'"),
            _files: (Some(layout), None),
        }
    }

    pub(super) fn plain(language: Plain, port: u16, folder: &Path) -> Self {
        let all = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(all).tempdir_in(folder).unwrap();
        for (name, script) in [("plain.py", PYTHON), ("plain.pl", PERL), ("plain.sh", SHELL)] {
            fs::write(folder.path().join(name), script).unwrap();
        }
        let (program, script) = match language {
            Plain::Python => ("/usr/bin/python3", "plain.py"),
            Plain::Perl => ("/usr/bin/perl", "plain.pl"),
            Plain::Shell => ("/bin/sh", "plain.sh"),
        };
        Self {
            argv: vec![program.to_owned(), text(&folder.path().join(script)), port.to_string()],
            environment: Vec::new(),
            notifies: false,
            _files: (None, Some(folder)),
        }
    }

    /// The command line, without variables.
    pub(crate) fn argv(&self) -> &[String] {
        &self.argv
    }

    /// A command line that also sets the variables. For `scope`, `session`, `enter` and `transient`.
    pub(crate) fn command(&self) -> Vec<String> {
        let variables = self.environment.iter().map(|(key, value)| format!("{key}={value}"));
        std::iter::once("/usr/bin/env".to_owned()).chain(variables).chain(self.argv.iter().cloned()).collect()
    }
}

/// A fixture says when it serves (`Type=notify`). [`super::Sd::until_answers`] waits for the others.
impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Type={}", if self.notifies { "notify" } else { "exec" })?;
        for (key, value) in &self.environment {
            writeln!(f, "Environment={}", quoted(&format!("{key}={value}")))?;
        }
        let words: Vec<String> = self.argv.iter().map(|word| quoted(word).replace('$', "$$")).collect();
        writeln!(f, "ExecStart={}", words.join(" "))
    }
}

fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%");
    format!("\"{escaped}\"")
}
