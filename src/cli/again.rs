//! The command that makes this very call again, with a change. A person can paste it into a shell.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use portclear::policy::Also;
use portclear::report::{Change, shell_word};

/// Where sudo looks for a program: its usual secure_path (sudoers(5)).
const SECURE_PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The options that only look, and the one that asks.
const LOOKS: [&str; 3] = ["-n", "--dry-run", "--check"];
const ASKS: [&str; 2] = ["-i", "--interactive"];

/// How the program was called.
pub(crate) struct CommandLine {
    /// As it was typed.
    program: OsString,
    /// Tells where it lies. A free port is not to cost a look.
    file: fn() -> io::Result<PathBuf>,
    arguments: Vec<OsString>,
}

impl CommandLine {
    pub(crate) fn of_this_process() -> Self {
        let mut arguments = env::args_os();
        let program = arguments.next().unwrap_or_else(|| "portclear".into());
        Self::new(program, arguments.collect())
    }

    pub(crate) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        Self { program, file: env::current_exe, arguments }
    }

    /// `None`: an argument has no form that is safe to paste, or the call has the option already.
    pub(crate) fn again(&self, change: &Change) -> Option<String> {
        match change {
            Change::Nothing => self.line(&[], &self.arguments),
            Change::Look if self.looks_only() => self.line(&[], &self.arguments),
            Change::Look => self.line(&["-n".into()], &self.stripped(&ASKS)),
            Change::AsRoot => {
                let words = self.arguments.iter().map(|word| shell_word(word)).collect::<Option<Vec<_>>>()?;
                let program = self.for_sudo().and_then(|program| shell_word(&program))?;
                Some([vec!["sudo".to_owned(), program], words].concat().join(" "))
            }
            Change::Also(also) => {
                let option = match also {
                    Also::AnyOwner => "--any-owner",
                    Also::Live => "--live",
                    Also::Offspring => "--offspring",
                    Also::Tree => "--tree",
                    Also::Sweep => "--sweep",
                    _ => return None,
                };
                let has = self.arguments.iter().any(|word| word == option);
                if has { None } else { self.line(&[option.into()], &self.that_acts()) }
            }
            Change::Grace(seconds) => self
                .line(&["--grace".into(), format!("{seconds}s").into()], &without(&self.that_acts(), "--grace", true)),
            Change::Kill => self.line(&[], &without(&self.that_acts(), "--no-kill", false)),
            Change::Unprotect(pid) => self.line(&[], &self.unprotected(*pid)),
            Change::Executable(path) => {
                self.line(&["-n".into(), "--exe".into(), path.into()], &self.of_another_service())
            }
            Change::Package(name) => {
                self.line(&["-n".into(), "--package".into(), name.into()], &self.of_another_service())
            }
            _ => None,
        }
    }

    /// The same call, where it was only to look: it clears the port.
    pub(crate) fn that_clears(&self) -> Option<String> {
        self.line(&[], &self.that_acts())
    }

    fn line(&self, first: &[OsString], then: &[OsString]) -> Option<String> {
        let words = std::iter::once(&self.program).chain(first).chain(then);
        let words: Option<Vec<String>> = words.map(|word| shell_word(word)).collect();
        words.map(|words| words.join(" "))
    }

    /// sudo does not search the folders of its caller.
    fn for_sudo(&self) -> Option<OsString> {
        let file = (self.file)().ok()?;
        let is_found = file.parent().is_some_and(|folder| SECURE_PATH.iter().any(|known| folder == Path::new(known)));
        if is_found { file.file_name().map(OsStr::to_owned) } else { Some(file.into_os_string()) }
    }

    /// It ends nobody.
    pub(crate) fn looks_only(&self) -> bool {
        self.stripped(&LOOKS) != self.arguments
    }

    /// Without `-n`, `--check` and `-i`: the command is to have its effect.
    fn that_acts(&self) -> Vec<OsString> {
        self.stripped(&[&LOOKS[..], &ASKS].concat())
    }

    /// Without these options, also where one stands in a cluster of letters.
    fn stripped(&self, options: &[&str]) -> Vec<OsString> {
        let is_letter =
            |c: char| options.iter().any(|option| option.strip_prefix('-').is_some_and(|o| o == c.to_string()));
        let is_cluster = |text: &str| text.starts_with('-') && text.bytes().skip(1).all(|b| b.is_ascii_lowercase());
        let strip = |word: &OsString| match word.to_str() {
            Some(text) if options.contains(&text) => None,
            Some(text) if is_cluster(text) => Some(text.replace(is_letter, "").into()),
            _ => Some(word.clone()),
        };
        self.arguments.iter().filter_map(strip).collect()
    }

    fn unprotected(&self, pid: u32) -> Vec<OsString> {
        let mut left: Vec<OsString> = Vec::new();
        for word in self.that_acts() {
            let is_it = word.to_str() == Some(&pid.to_string()) && left.last().is_some_and(|last| last == "--protect");
            if is_it {
                left.pop();
            } else if word.to_str() != Some(&format!("--protect={pid}")) {
                left.push(word);
            }
        }
        left
    }

    fn of_another_service(&self) -> Vec<OsString> {
        without(&self.that_acts(), "--service", true)
    }
}

/// The arguments without an option, and without its value.
fn without(arguments: &[OsString], option: &str, takes_value: bool) -> Vec<OsString> {
    let is_joined = |word: &OsStr| {
        let rest = word.to_str().and_then(|word| word.strip_prefix(option));
        rest.is_some_and(|rest| rest.starts_with('='))
    };
    let mut left = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == option {
            if takes_value {
                words.next();
            }
        } else if !is_joined(word) {
            left.push(word.clone());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(is_installed: bool, line: &str) -> CommandLine {
        let file: fn() -> io::Result<PathBuf> = match is_installed {
            true => || Ok("/usr/bin/portclear".into()),
            false => || Ok("/home/me/.cargo/bin/portclear".into()),
        };
        let arguments = line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
        CommandLine { program: "portclear".into(), file, arguments }
    }

    #[test]
    fn the_same_call_with_a_change() {
        use Change::{AsRoot, Executable, Grace, Kill, Look, Nothing, Package, Unprotect};
        let (live, tree) = (Change::Also(Also::Live), Change::Also(Also::Tree));
        let home = false;
        // whether the program lies where sudo looks, the arguments, the change → the command
        let table = [
            (home, "18789", Nothing, Some("portclear 18789")),
            (home, "18789", Look, Some("portclear -n 18789")),
            (home, "-nv 18789", Look, Some("portclear -nv 18789")),
            (home, "18789", AsRoot, Some("sudo /home/me/.cargo/bin/portclear 18789")),
            (true, "-n [::1]:18789", AsRoot, Some("sudo portclear -n '[::1]:18789'")),
            (home, "18789 --tree", live.clone(), Some("portclear --live 18789 --tree")),
            (home, "-n 18789", live.clone(), Some("portclear --live 18789")),
            (home, "-vn 18789", live.clone(), Some("portclear --live -v 18789")),
            (home, "--dry-run 18789", tree, Some("portclear --tree 18789")),
            (home, "--live 18789", live.clone(), None),
            (home, "-i 18789", Look, Some("portclear -n 18789")),
            (home, "-vi 18789", live.clone(), Some("portclear --live -v 18789")),
            (true, "--interactive 18789", AsRoot, Some("sudo portclear --interactive 18789")),
            (home, "--grace 1s 18789 --no-kill", Grace(330), Some("portclear --grace 330s 18789 --no-kill")),
            (home, "--grace=1s 18789", Grace(60), Some("portclear --grace 60s 18789")),
            (home, "--grace 1s --no-kill 18789", Kill, Some("portclear --grace 1s 18789")),
            (home, "--protect 7 --protect 18789 18789", Unprotect(18789), Some("portclear --protect 7 18789")),
            (home, "--protect=7 18789", Unprotect(7), Some("portclear 18789")),
            (home, "18789", Executable("/opt/my app".into()), Some("portclear -n --exe '/opt/my app' 18789")),
            (home, "--service openclaw 1", Package("a$(id)".to_owned()), Some("portclear -n --package 'a$(id)' 1")),
            (home, "-n 18800", Package("server".to_owned()), Some("portclear -n --package server 18800")),
            (home, "--check 18800", Package("server".to_owned()), Some("portclear -n --package server 18800")),
            (home, "18789", Package("a'$(id)".to_owned()), None),
            (home, "18789", Package("a\u{1b}[2J".to_owned()), None),
            (home, "--marker A=\n 18789", live, None),
        ];
        for (file, line, change, expected) in table {
            assert_eq!(call(file, line).again(&change).as_deref(), expected, "{line} {change:?}");
        }
    }
}
