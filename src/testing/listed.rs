//! What the lists of messages are made of: tests/golden/messages. The library and the program each have one.

use std::path::Path;
use std::{env, fs};

/// The string literals of a source file below src that have words in them. Tests and comments are left out.
pub(crate) fn literals(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    // A literal goes on after a backslash at the end of its line.
    let code = lines.collect::<Vec<_>>().join("\n").replace("\\\n", "");
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The source files of a room.
pub(crate) fn files(room: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".rs")).collect();
    names.sort();
    names
}

/// The list is the one that lies there. With `PORTCLEAR_GOLDEN=write` it is written anew.
pub(crate) fn holds(name: &str, list: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages").join(name);
    if env::var_os("PORTCLEAR_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&path, list).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(list.lines()).find(|(then, now)| then != now);
    assert!(written == list, "{}: {differs:?} (then, now)", path.display());
}
