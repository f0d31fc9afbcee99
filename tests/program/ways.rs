//! The ways in which the program shows a holder.

use serde_json::Value;

use crate::support::*;

/// All codes that portclear itself may use: bold, dim, three colours, off.
const OWN: [&str; 6] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

fn is_unsafe(c: char) -> bool {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns(c)
}

#[track_caller]
fn is_clean(text: &str, run: &Run) {
    let found: Vec<char> = text.chars().filter(|c| is_unsafe(*c) && *c != '\n').collect();
    assert!(found.is_empty(), "{found:?}: {run}");
}

fn without(text: &str, own: &[&str]) -> String {
    own.iter().fold(text.to_owned(), |text, code| text.replace(code, ""))
}

/// Shows one holder in every way. Each way is safe, and the fullest ones show these texts.
#[track_caller]
pub(super) fn shows(program: &dyn Fn(&[&str]) -> Portclear, line: &[&str], shown: &[&str]) {
    let with = |more: &[&str]| program(&[line, more].concat());
    let pipe = with(&[]).run();
    is_clean(&pipe.said(), &pipe);
    // One line is the holder's, and one is the port's.
    assert_eq!(pipe.said().lines().count(), 2, "{pipe}");
    assert!(pipe.said().lines().all(|line| line.starts_with("portclear: port ")), "{pipe}");

    let coloured = with(&["--color", "always"]).run();
    assert_eq!(without(&coloured.said(), &OWN).lines().count(), 2, "{coloured}");
    let [verbose, coloured_verbose] = [&["-v"][..], &["-v", "--color", "always"]].map(|way| with(way).run());
    let terminal = with(&["-v"]).on_terminal(Terminal::Both);
    for run in [&coloured, &verbose, &coloured_verbose, &terminal] {
        is_clean(&without(&run.said(), &OWN), run);
    }
    let block = without(&terminal.said(), &OWN);
    // A step that a person can take is a row of its own.
    let is_step = |line: &&str| line.starts_with("  next  ");
    for (at, line) in block.lines().filter(|line| !is_step(line)).enumerate() {
        match at {
            0 => assert!(line.starts_with("port "), "{terminal}"),
            1 => assert_eq!(line, "", "{terminal}"),
            2 => assert!(line.starts_with("  ") && line.contains(" (pid "), "{terminal}"),
            _ => {
                let row = line.strip_prefix("    ").and_then(|line| line.get(..9)).map(str::trim_end);
                let rows = ["verdict", "listens", "exe", "command", "started", "lineage", "unit", "markers", "memory"];
                assert!(row.is_some_and(|row| rows.contains(&row)), "{line}: {terminal}");
            }
        }
    }

    let json = with(&["--json"]).run();
    is_clean(&json.stdout, &json);
    assert_eq!(json.stdout.lines().count(), 1, "{json}");
    let mut texts = Vec::new();
    strings(&json.json(), &mut texts);
    assert!(texts.len() > 20, "{json}");
    texts.iter().for_each(|text| assert!(!text.chars().any(is_unsafe), "{text:?}: {json}"));

    for expected in shown {
        assert!(verbose.said().contains(expected), "{expected}: {verbose}");
        assert!(block.contains(expected), "{expected}: {terminal}");
        assert!(texts.iter().any(|text| text.contains(expected)), "{expected}: {json}");
    }
}

/// All strings of a document, its keys included.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(array) => array.iter().for_each(|one| strings(one, found)),
        Value::Object(object) => {
            for (key, value) in object {
                found.push(key.clone());
                strings(value, found);
            }
        }
        _ => {}
    }
}
