//! A process's name and command line, for people.

use std::ffi::OsString;

use crate::model::{Facts, ProcessReport, Role, escape};

/// Longer command lines are cut: the line is for recognising a process, not for running it again.
const COMMAND_LENGTH: usize = 160;

impl Facts {
    /// The executable's file name, escaped. If that may not be read: the name that the process gives itself.
    #[must_use]
    pub fn name(&self) -> String {
        let file = self.exe.value().and_then(|exe| exe.path.file_name());
        file.map_or_else(|| escape(self.comm.as_encoded_bytes()), |name| escape(name.as_encoded_bytes()))
    }

    /// The command line for people: escaped, cut, and without the values of options like `--token`.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        self.argv.value().map(|argv| command_line(argv))
    }
}

fn command_line(argv: &[OsString]) -> String {
    let secret = |option: &[u8]| {
        let option = option.to_ascii_lowercase();
        let words = [&b"token"[..], b"passw", b"secret", b"api-key", b"apikey", b"api_key", b"credential"];
        words.iter().any(|word| option.windows(word.len()).any(|part| part == *word))
    };
    let mut shown: Vec<String> = Vec::new();
    let mut hide_next = false;
    for arg in argv.iter().filter(|arg| !arg.is_empty()) {
        let bytes = arg.as_encoded_bytes();
        let name = bytes.split(|b| *b == b'=').next().unwrap_or_default();
        shown.push(match (hide_next, bytes.contains(&b'=') && secret(name)) {
            (true, _) => "…".to_owned(),
            (false, true) => format!("{}=…", escape(name)),
            (false, false) => without_credentials(bytes),
        });
        hide_next = !hide_next && bytes.starts_with(b"-") && !bytes.contains(&b'=') && secret(name);
    }
    let line = shown.join(" ");
    match line.char_indices().nth(COMMAND_LENGTH) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// An argument without credentials: it hides `Authorization: …` completely, and the user and password of a URL.
fn without_credentials(bytes: &[u8]) -> String {
    let lower = bytes.to_ascii_lowercase();
    let has = |word: &[u8]| lower.windows(word.len()).any(|part| part == word);
    if has(b"authorization") || has(b"bearer ") {
        return "…".to_owned();
    }
    let host = bytes.windows(3).position(|part| part == b"://").map(|at| at + 3);
    let user = host.and_then(|host| bytes.get(host..)).and_then(|rest| {
        rest.split(|b| *b == b'/').next().and_then(|authority| authority.iter().rposition(|b| *b == b'@'))
    });
    match (host, user) {
        (Some(host), Some(user)) => {
            let (before, after) = (bytes.get(..host), bytes.get(host + user..));
            format!("{}…{}", escape(before.unwrap_or_default()), escape(after.unwrap_or_default()))
        }
        _ => escape(bytes),
    }
}

impl ProcessReport {
    /// The command line for people. `None`: it may not be read, or it is that of a member which is no instance. An MCP
    /// server often gets its keys there.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let shown = self.role == Role::Holder || self.judgement.identity.is_instance();
        self.process.facts.command().filter(|_| shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_option_takes_is_not_shown() {
        let table = [
            ("node gw --token abc --port 1", "node gw --token … --port 1"),
            ("node gw --auth-token=abc", "node gw --auth-token=…"),
            ("run API_KEY=abc x", "run API_KEY=… x"),
            ("gw --password --token", "gw --password …"),
            ("gw tokens.txt", "gw tokens.txt"),
            ("mcp postgres://u:pw@db/x?a=b@c", "mcp postgres://…@db/x?a=b@c"),
            ("mcp http://db/u:pw@x", "mcp http://db/u:pw@x"),
            ("mcp --header Authorization:abc", "mcp --header …"),
        ];
        for (line, shown) in table {
            let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(command_line(&argv), shown);
        }
    }

    #[test]
    fn a_long_or_hostile_command_line_is_one_short_line() {
        let shown = command_line(&["ü\n".repeat(500).into()]);
        assert_eq!(shown.chars().count(), COMMAND_LENGTH + 1);
        assert!(!shown.contains('\n'));
    }
}
