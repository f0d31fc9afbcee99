//! Which room imports which, and that no file imports itself by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, sources};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_room_imports_only_rooms_below_it),
        case!(no_file_imports_itself_by_way_of_others),
        case!(plain_data_and_decisions_touch_no_system),
        case!(rooms_below_the_program_name_no_crate_of_the_programs),
        case!(the_page_names_every_room),
    ]
}

/// Each room, and the rooms that it may import. None imports a room above it.
const ROOMS: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("judge", &["model"]),
    ("read", &["model"]),
    ("say", &["model"]),
    ("end", &["judge", "read", "say", "model"]),
    ("answer", &["end", "judge", "read", "say", "model"]),
    ("clear", &["answer", "end", "judge", "read", "model"]),
    ("bind_error", &["say", "model"]),
    ("rebind", &["answer", "clear", "end", "read", "bind_error", "model"]),
    ("system", &["rebind", "clear", "end", "read", "model"]),
    ("elsewhere", &["bind_error", "model"]),
    ("bind", &["system", "bind_error", "model"]),
    ("lib", &["bind", "system", "bind_error", "model"]),
    ("cli", &[]),
    ("main", &[]),
];

/// For the unit tests and the benchmarks alone.
const OUTSIDE: [&str; 2] = ["testing", "bench"];

/// Names that lib.rs passes on from the rooms.
const ROOT: [&str; 6] = ["BindError", "Error", "Policy", "PortSpec", "Report", "Service"];

fn rooms() -> Vec<Source> {
    let mut all = sources();
    all.retain(|source| !OUTSIDE.contains(&source.room()));
    all
}

fn a_room_imports_only_rooms_below_it() {
    let below: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    for source in rooms() {
        let room = source.room();
        let allowed = below.get(room).unwrap_or_else(|| panic!("{}: which room is {room}?", source.path));
        for import in [source.imports(), source.exports()].concat() {
            let Some(path) = import.strip_prefix("crate::") else { continue };
            let of = path.split("::").next().unwrap();
            let of = match of {
                "BindError" => "bind_error",
                of if ROOT.contains(&of) => "model",
                of => of,
            };
            assert!(of == room || allowed.contains(&of), "{} imports {import}", source.path);
        }
    }
}

/// A file as a node: its room and its name there.
type File = (String, String);

fn no_file_imports_itself_by_way_of_others() {
    let all = rooms();
    let files: BTreeSet<File> = all.iter().map(|source| (source.room().to_owned(), source.name().to_owned())).collect();
    // Which file of a room has a name that the room passes on.
    let mut owner: BTreeMap<(String, String), String> = BTreeMap::new();
    for source in all.iter().filter(|source| source.name().is_empty()) {
        for export in source.exports() {
            let parts: Vec<&str> = export.trim_start_matches("self::").split("::").collect();
            if let [file, .., name] = parts[..] {
                owner.insert((source.room().to_owned(), name.to_owned()), file.to_owned());
            }
        }
    }
    let target = |room: &str, import: &str| -> Option<File> {
        let path = match import.strip_prefix("super::") {
            Some(path) => format!("{room}::{path}"),
            None => import.strip_prefix("crate::")?.to_owned(),
        };
        let mut parts = path.split("::").map(str::to_owned);
        let (room, name) = (parts.next()?, parts.next().unwrap_or_default());
        let file = (room.clone(), name.clone());
        if files.contains(&file) {
            return Some(file);
        }
        let name = owner.get(&(room.clone(), name)).cloned().unwrap_or_default();
        files.contains(&(room.clone(), name.clone())).then_some((room, name))
    };
    let edges: BTreeMap<File, BTreeSet<File>> = all
        .iter()
        .map(|source| {
            let own = (source.room().to_owned(), source.name().to_owned());
            let to = source.imports().iter().filter_map(|import| target(source.room(), import)).collect();
            (own, to)
        })
        .collect();
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 100, "the imports are not seen");
    for file in &files {
        let (mut reached, mut queue) = (BTreeSet::new(), vec![file]);
        while let Some(next) = queue.pop() {
            for to in edges.get(next).into_iter().flatten() {
                assert!(to != file || next == file, "{file:?} imports itself by way of {next:?}");
                if reached.insert(to) {
                    queue.push(to);
                }
            }
        }
    }
}

/// Rooms that look nothing up, and the words that would.
fn plain_data_and_decisions_touch_no_system() {
    let words = [
        "std::fs", "std::env", "std::process", "std::os::unix", "nix::", "rustix::", "procfs::", "netstat2", "sysinfo",
    ];
    let clocks = ["Instant::now", "SystemTime::now"];
    for source in rooms().iter().filter(|source| ["model", "judge", "say"].contains(&source.room())) {
        for line in source.lines.iter().filter(|line| !line.trim_start().starts_with("//")) {
            for word in words.iter().chain(&clocks) {
                assert!(!line.contains(word), "{}: {line}", source.path);
            }
        }
    }
}

fn rooms_below_the_program_name_no_crate_of_the_programs() {
    for source in rooms().iter().filter(|source| !["cli", "main"].contains(&source.room())) {
        for import in source.imports() {
            let of = import.split("::").next().unwrap();
            assert!(!["anstream", "anstyle", "anyhow", "clap"].contains(&of), "{} imports {import}", source.path);
        }
    }
}

fn the_page_names_every_room() {
    let page = include_str!("../../docs/architecture.md");
    for (room, _) in ROOMS {
        assert!(page.contains(&format!("`{room}")), "docs/architecture.md has no word on {room}");
    }
}
