//! The files that need nothing but themselves: the sums, the archive, the manual, the completions.

use super::{file, folder, has, run};
use crate::support::*;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(each_file_has_its_sum),
        case!(the_program_runs_in_an_empty_root),
        case!(the_manual_is_well_formed_and_has_every_option),
        case!(the_shells_complete_options_and_the_unit),
    ]
}

fn each_file_has_its_sum() {
    let folder = folder().unwrap();
    run(&["sha256sum", "--check", "--strict", "SHA256SUMS"], &folder).succeeded();
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let name = entry.file_name().into_string().unwrap();
        assert!(name == "SHA256SUMS" || sums.contains(&name), "{name}");
    }
}

fn the_program_runs_in_an_empty_root() {
    let root = tempfile::tempdir().unwrap();
    let archive = file("portclear-", &format!("-{}-linux.tar.gz", std::env::consts::ARCH));
    let tar = ["tar", "--extract", "--no-same-owner", "--strip-components=1", "--file", archive.to_str().unwrap()];
    run(&tar, root.path()).succeeded();
    let version = run(&["chroot", ".", "/portclear", "--version"], root.path());
    assert_eq!(version.stdout, format!("portclear {}\n", env!("CARGO_PKG_VERSION")), "{version}");
    let free = run(&["chroot", ".", "/portclear", "-v", "18789"], root.path());
    assert_eq!(free.status, 0, "{free}");
    for name in [
        "portclear.1", "portclear-unit.1", "completions/_portclear", "LICENSE-MIT", "LICENSE-APACHE", "README.md",
        "CHANGELOG.md",
    ] {
        assert!(root.path().join(name).is_file(), "{name}");
    }
    let size = root.path().join("portclear").metadata().unwrap().len();
    assert!(size <= 3_000_000, "{size} bytes");
}

fn the_manual_is_well_formed_and_has_every_option() {
    let folder = folder().unwrap().join("pages");
    for (name, call) in [("portclear.1", &["--help"][..]), ("portclear-unit.1", &["unit", "--help"])] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap().replace("\\-", "-");
        let help = portclear(call).stdout;
        for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
            let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            assert!(text.contains(option), "{name}: {option}");
        }
        for heading in
            ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "NOTES", "\"SEE ALSO\""]
        {
            assert!(text.contains(&format!(".SH {heading}\n")), "{name}: {heading}");
        }
        let linters: [&[&str]; 2] = [&["groff", "-ww", "-man", "-Tutf8", "-z"], &["mandoc", "-Tlint", "-Wwarning"]];
        for lint in linters {
            if !has(lint[0]) {
                continue;
            }
            let linted = run(&[lint, &[name]].concat(), &folder);
            assert_eq!((linted.stdout.as_str(), linted.stderr.as_str()), ("", ""), "{}: {linted}", lint[0]);
        }
    }
}

fn the_shells_complete_options_and_the_unit() {
    let folder = folder().unwrap().join("pages");
    let table = [
        ("portclear --any", "--any-owner"),
        ("portclear --signal Q", "QUIT"),
        ("portclear un", "unit"),
        ("portclear unit --un", "--unit"),
    ];
    for (line, expected) in table {
        let words: Vec<&str> = line.split(' ').collect();
        let (current, before) = (words[words.len() - 1], words[words.len() - 2]);
        let script = format!(
            ". ./portclear.bash; COMP_WORDS=({line}); COMP_CWORD={}; _portclear portclear '{current}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let run = run(&["bash", "-c", &script], &folder);
        assert_eq!(run.stdout.trim_end(), expected, "{line}: {run}");
    }
    for (shell, name) in [("zsh", "_portclear"), ("fish", "portclear.fish")] {
        if has(shell) {
            run(&[shell, "-n", name], &folder).succeeded();
        }
    }
}
