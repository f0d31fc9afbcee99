//! The files of src, without their unit tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One file below src.
pub(super) struct Source {
    /// Its path below src.
    pub(super) path: String,
    /// Its lines above the unit tests.
    pub(super) lines: Vec<String>,
}

pub(super) fn sources() -> Vec<Source> {
    let src = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&src, &src, &mut found);
    assert!(found.len() > 50, "src lies elsewhere");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(src: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(src, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let tests = |(at, line): &(usize, &str)| {
                *line == "#[cfg(test)]" && text.lines().nth(at + 1).is_some_and(|next| next == "mod tests {")
            };
            let end = text.lines().enumerate().find(tests).map_or(usize::MAX, |(at, _)| at);
            let lines = text.lines().take(end).map(str::to_owned).collect();
            let path = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path, lines });
        }
    }
}

impl Source {
    /// The room that it stands in: its folder, or for a file of src itself its name.
    pub(super) fn room(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// Its name inside its room. The room's own file has none.
    pub(super) fn name(&self) -> &str {
        let name = self.path.split('/').nth(1).unwrap_or("mod.rs").trim_end_matches(".rs");
        if name == "mod" { "" } else { name }
    }

    /// What it imports, one path each: `use crate::a::{b, c};` is `crate::a::b` and `crate::a::c`. Re-exports are no
    /// imports.
    pub(super) fn imports(&self) -> Vec<String> {
        self.uses("use ")
    }

    /// The names that it passes on from its own files.
    pub(super) fn exports(&self) -> Vec<String> {
        [self.uses("pub use "), self.uses("pub(crate) use ")].concat()
    }

    fn uses(&self, keyword: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = self.lines.iter();
        while let Some(line) = lines.next() {
            let Some(mut statement) = line.trim_start().strip_prefix(keyword).map(str::to_owned) else { continue };
            while !statement.ends_with(';') {
                statement += lines.next().expect("the end of the statement").trim();
            }
            expand("", statement.trim_end_matches(';'), &mut found);
        }
        found
    }
}

fn expand(before: &str, tree: &str, found: &mut Vec<String>) {
    let Some((path, list)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap().trim();
        found.push(format!("{before}{name}").trim_end_matches("::self").to_owned());
        return;
    };
    let (mut depth, mut item) = (0, String::new());
    for c in list.chars() {
        match c {
            ',' | '}' if depth == 0 => {
                if !item.trim().is_empty() {
                    expand(&format!("{before}{path}"), item.trim(), found);
                }
                item.clear();
            }
            c => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
}
