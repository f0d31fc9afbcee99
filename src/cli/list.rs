//! The list of all that the program says beside the library: tests/golden/messages/program.txt. A reviewer reads it as
//! a list.

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fmt::Write;
    use std::path::Path;

    use portclear::policy::Also;
    use portclear::report::Change;

    use crate::cli::again::CommandLine;
    use crate::cli::listed::{files, holds, literals};

    /// These texts stand in docs/options.md, or in tests/golden/arguments.txt beside the line that brings them.
    const ELSEWHERE: [&str; 6] = ["call.rs", "help.rs", "hint.rs", "service.rs", "texts.rs", "values.rs"];

    /// The commands that a next step may have. A change that the program does not know has none, and a test of the
    /// library lists where each is said.
    fn commands() -> Vec<String> {
        let changes = [
            Change::Nothing,
            Change::Look,
            Change::AsRoot,
            Change::Also(Also::AnyOwner),
            Change::Also(Also::Live),
            Change::Also(Also::Offspring),
            Change::Also(Also::Tree),
            Change::Also(Also::Sweep),
            Change::Grace(330),
            Change::Kill,
            Change::Unprotect(7),
            Change::Executable("/usr/bin/my-app".into()),
            Change::Package("my-app".to_owned()),
        ];
        let line = ["--grace", "1s", "--no-kill", "--protect", "7", "18789"].map(OsString::from);
        let call = CommandLine::new("portclear".into(), line.to_vec());
        let command = |change: &Change| call.again(change).unwrap_or_else(|| panic!("{change:?} has no command"));
        changes.iter().map(|change| format!("{change:?}: {}", without_folder(&command(change)))).collect()
    }

    /// sudo gets the whole path of this test.
    fn without_folder(command: &str) -> String {
        let words =
            command.split(' ').map(|word| if word.starts_with("/") && word.contains("/deps/") { "PATH" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    /// The texts in the source, but for those that are only a frame of others.
    fn texts_of(file: &str) -> Vec<String> {
        let is_said = |text: &String| {
            let parts = text.split(['{', '}']).step_by(2);
            parts.flat_map(str::split_whitespace).filter(|word| word.chars().any(char::is_alphabetic)).count() > 1
        };
        literals(&Path::new("cli").join(file)).into_iter().filter(is_said).collect()
    }

    #[test]
    fn all_that_the_program_says() {
        let mut list = String::new();
        let mut part = |title: &str, lines: &[String]| {
            let _ = writeln!(list, "# {title}\n\n{}\n", lines.join("\n"));
        };
        part("The commands of next steps, for `portclear --grace 1s --no-kill --protect 7 18789`", &commands());
        for file in files("cli").iter().filter(|file| !ELSEWHERE.contains(&&file[..])) {
            let texts = texts_of(file);
            if !texts.is_empty() {
                part(file, &texts);
            }
        }
        holds("program.txt", &list);
    }
}
