//! docs/comparison.md: the part between its two marks.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use super::seen::Scene;
use super::tools::{Places, folder};

const BEGIN: &str = "<!-- written by `.ci/comparison` -->\n";
const END: &str = "<!-- end -->\n";

pub(super) fn write(scenes: &[Scene]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/comparison.md");
    let page = std::fs::read_to_string(&path).expect("docs/comparison.md");
    let (before, rest) = page.split_once(BEGIN).expect("the first mark");
    let (_, after) = rest.split_once(END).expect("the second mark");
    std::fs::write(path, format!("{before}{BEGIN}\n{}\n{END}{after}", tables(scenes))).expect("docs/comparison.md");
}

fn tables(scenes: &[Scene]) -> String {
    let tools: Vec<&str> = Places::here().tools(18789).iter().map(|tool| tool.name).collect();
    let mut text = versions();
    let _ = write!(text, "\n| | {} |\n|---|{}\n", tools.join(" | "), "---|".repeat(tools.len()));
    for scene in scenes {
        let _ = writeln!(text, "| {} | {} |", scene.title, scene.cells.join(" | "));
    }
    let unseen = scenes.iter().find(|scene| scene.title.starts_with("Another user")).expect("the scene");
    text += "\nAnother user's gateway, in the words of each tool:\n\n";
    for (tool, said) in tools.iter().zip(&unseen.said) {
        let said = first_words(said);
        let said = if said.is_empty() { "nothing".to_owned() } else { format!("\"{said}\"") };
        let _ = writeln!(text, "- {}: {said}", tool.replace('\\', ""));
    }
    text
}

/// An error of node stands between its place and its stack.
fn first_words(said: &str) -> String {
    // Each run has a folder of its own. An installed portclear names itself without one.
    let words = said.split(' ').map(|word| if word.ends_with("/portclear") { "portclear" } else { word });
    let said = &words.collect::<Vec<_>>().join(" ")[..];
    let error = said.split_once("Error: ").map_or(said, |(_, error)| error);
    let error = error.split(" at Module.").next().unwrap_or_default();
    match error.char_indices().nth(120) {
        Some((end, _)) => format!("{} …", &error[..end]),
        None => error.to_owned(),
    }
}

fn versions() -> String {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let package = |name: &str| first_line(&["dpkg-query", "-W", "-f", "${Version}", name]);
    let killport = folder().unwrap().join("bin/killport");
    format!(
        "{}, {}: portclear {}, lsof {}, fuser (psmisc) {}, {}, kill-port 2.0.1, OpenClaw 2026.9.6, {}, node {}.\n",
        &date[..10],
        first_line(&["uname", "-sr"]),
        env!("CARGO_PKG_VERSION"),
        package("lsof"),
        package("psmisc"),
        first_line(&[killport.to_str().unwrap(), "--version"]),
        first_line(&["systemctl", "--version"]),
        first_line(&["node", "--version"]),
    )
}

fn first_line(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("a tool");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("unknown").to_owned()
}
