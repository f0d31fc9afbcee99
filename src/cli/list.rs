//! The list of all that the program says beside the library: tests/golden/messages/program.txt. A reviewer reads it as
//! a list.

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fmt::Write;
    use std::path::Path;
    use std::{env, fs};

    use portclear::policy::Also;
    use portclear::report::Change;

    use crate::cli::again::Call;
    use crate::cli::call;
    use crate::cli::exit::TABLE;

    /// Calls that are refused, one for each rule. A new rule of the arguments gets its line here.
    const REFUSED: &[&str] = &[
        "",
        "0",
        "65536",
        "x",
        "gateway.example:18789",
        "18789 --no-such",
        "18789 --grace x",
        "18789 --signal x",
        "18789 --settle x",
        "18789 --protect x",
        "18789 --color x",
        "18789 --service x",
        "18789 --service openclaw --package x",
        "18789,18790",
        ":18789",
        "http://127.0.0.1:18789/",
        "status",
        "list",
        "18789 --profile work",
        "18789 --drry-run",
        "18789 -n --check",
        "18789 -i -n",
        "18789 --exe /no/such",
        "18789 -q -v",
        "18789 -q --json",
        "18789 --marker A",
        "18789 --marker A=b",
        "18789 --runtime python3",
        "18789 --runtime /no/such --package x",
        "18789 --exe x",
        "18789 --exe /usr/bin/node",
        "unit",
        "unit 18789 --unit x/y",
    ];

    fn refused() -> Vec<String> {
        let refusal = |line: &&str| {
            let words = std::iter::once("portclear").chain(line.split(' ').filter(|word| !word.is_empty()));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            let error = match call::of(&words) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("portclear {line} is not refused"),
            };
            let said: Vec<&str> = error.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let said: Vec<&str> =
                said.into_iter().take_while(|line| !line.starts_with("For more information")).collect();
            format!("$ portclear {line}\n{}", said.join("\n"))
        };
        REFUSED.iter().map(refusal).collect()
    }

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
        let call = Call::new("portclear".into(), line.to_vec());
        let command = |change: &Change| call.again(change).unwrap_or_else(|| panic!("{change:?} has no command"));
        changes.iter().map(|change| format!("{change:?}: {}", without_folder(&command(change)))).collect()
    }

    /// sudo gets the whole path of this test.
    fn without_folder(command: &str) -> String {
        let words =
            command.split(' ').map(|word| if word.starts_with("/") && word.contains("/deps/") { "PATH" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    /// The texts in the source of what stands behind a sentence or a process: advice, and what became of it.
    fn texts_of(file: &str) -> Vec<String> {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli").join(file)).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        literals.filter(|text| text.contains(' ') && text.chars().any(char::is_alphabetic)).map(str::to_owned).collect()
    }

    #[test]
    fn all_that_the_program_says() {
        let mut list = String::new();
        let mut part = |title: &str, lines: &[String]| {
            let _ = writeln!(list, "# {title}\n\n{}\n", lines.join("\n"));
        };
        part("Arguments that are refused", &refused());
        let statuses: Vec<String> = TABLE.iter().map(|(exit, meaning)| format!("{} {meaning}", exit.code())).collect();
        part("The exit status", &statuses);
        part("The commands of next steps, for `portclear --grace 1s --no-kill --protect 7 18789`", &commands());
        part("Behind a sentence (advice.rs)", &texts_of("advice.rs"));
        part("About a process (group.rs)", &texts_of("group.rs"));
        part("The frame of a section (text.rs)", &texts_of("text.rs"));
        part("While it waits (live.rs)", &texts_of("live.rs"));
        part("While it asks (ask.rs)", &texts_of("ask.rs"));
        part("Errors of the program itself (mod.rs, dropin.rs, loaded.rs, stop.rs)", &{
            let mut all = Vec::new();
            for file in ["mod.rs", "dropin.rs", "loaded.rs", "stop.rs"] {
                all.extend(texts_of(file));
            }
            all
        });
        holds("program.txt", &list);
    }

    fn holds(name: &str, list: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages").join(name);
        if env::var_os("PORTCLEAR_GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&path, list).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        let differs = written.lines().zip(list.lines()).find(|(then, now)| then != now);
        assert!(written == list, "{}: {differs:?} (then, now)", path.display());
    }
}
