//! The document as the golden files have it: laid out, and without what is around the tests.

use std::{env, process};

/// Stands for this process, whose children the servers are.
pub(super) const TESTS: &str = "the tests";

/// A line for each field of a document that is one line. No byte goes, and none but white space comes.
pub(super) fn laid_out(document: &str) -> String {
    let mut text = String::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut last = None;
    for c in document.chars() {
        let opened = !in_string && matches!(last, Some('{' | '['));
        let closes = !in_string && matches!(c, '}' | ']');
        depth = depth.saturating_sub(closes.into());
        // What is empty stays as short as it is.
        if opened != closes || (!in_string && last == Some(',')) {
            text += &format!("\n{}", " ".repeat(depth));
        }
        text.push(c);
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        depth += usize::from(!in_string && matches!(c, '{' | '['));
        last = (!in_string).then_some(c);
    }
    text
}

/// Replaces every list of this name in a document that is laid out. `by` gets what opens each object, and the parts
/// between: the first one stands before all objects, and is empty.
fn lists(document: &str, name: &str, by: impl Fn(Vec<&str>, &str) -> String) -> String {
    let key = format!("\"{name}\":[");
    let mut left = document;
    let mut text = String::new();
    while let Some((before, rest)) = left.split_once(&key) {
        let indent = " ".repeat(before.chars().rev().take_while(|c| *c == ' ').count());
        let end = if rest.starts_with(']') { Some(0) } else { rest.find(&format!("\n{indent}]")) };
        let (list, after) = rest.split_at(end.unwrap_or(rest.len()));
        let opening = format!("\n{indent} {{");
        text += &format!("{before}{key}{}", by(list.split(&opening).collect(), &opening));
        left = after;
    }
    text + left
}

/// Each lineage up to this process: what started the tests is not the scene's.
pub(super) fn without_ancestors(document: &str) -> String {
    let (exe, pid) = (format!("\"exe\":\"{}\"", exe().0), format!("\"pid\":{}", process::id()));
    let has = |object: &str, field: &str| object.lines().any(|line| line.trim().trim_end_matches(',') == field);
    lists(document, "lineage", |objects, opening| {
        match objects.iter().position(|object| has(object, &exe) && has(object, &pid)) {
            Some(own) => {
                format!("{}{}", objects[..own].join(opening), opening.replace('{', &format!("\"{TESTS}\"")))
            }
            None => objects.join(opening),
        }
    })
}

/// Two listeners at one address stand in the order of their inodes, and that is chance.
pub(super) fn with_sorted_twins(document: &str) -> String {
    let rest = |object: &str| object.lines().filter(|line| !line.contains("\"inode\"")).collect::<String>();
    lists(document, "listeners", |objects, opening| {
        let listeners = objects.iter().skip(1);
        let mut listeners: Vec<&str> = listeners.map(|object| object.trim_end_matches(',')).collect();
        if listeners.windows(2).all(|pair| rest(pair[0]) == rest(pair[1])) {
            listeners.sort_unstable();
        }
        let opened = listeners.iter().map(|listener| format!("{opening}{listener}"));
        opened.collect::<Vec<_>>().join(",")
    })
}

/// The path of this program, and its name.
pub(super) fn exe() -> (String, String) {
    let path = env::current_exe().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    (path.to_str().unwrap().to_owned(), name)
}
