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
    let mut shown: Vec<String> = Vec::new();
    let mut hide_next = false;
    for arg in argv.iter().filter(|arg| !arg.is_empty()) {
        // Words are looked for in what was passed: an escape like `\n` ends in a letter of its own.
        let (raw, text) = (arg.to_string_lossy(), escape(arg.as_encoded_bytes()));
        let option = raw.split('=').next().unwrap_or_default();
        let secret = has(option, &["token", "passw", "secret", "api-key", "apikey", "api_key", "credential"]);
        let next = !hide_next && secret && text.starts_with('-') && !text.contains('=');
        shown.push(match text.split_once('=') {
            _ if hide_next => "…".to_owned(),
            Some((name, _)) if secret => format!("{name}=…"),
            _ if has(&raw, &["authorization", "bearer "]) => "…".to_owned(),
            _ => without_user(text),
        });
        hide_next = next;
    }
    let line = shown.join(" ");
    match line.char_indices().nth(COMMAND_LENGTH) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

fn has(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// An argument without the user and the password of a URL.
fn without_user(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => text,
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
