//! Writes the manual and the completions into a folder, from the definition of the command line in src/cli.
//!
//! `cargo run --features pages --bin pages -- FOLDER`. SOURCE_DATE_EPOCH is the date of the manual.

#![cfg_attr(test, allow(clippy::type_complexity))]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// The parts of the program that define the command line. Nothing here calls the rest of them.
#[allow(dead_code)]
#[path = "../src/cli"]
mod cli {
    pub(crate) mod args;
    pub(crate) mod exit;
    pub(crate) mod help;
    pub(crate) mod service;
    pub(crate) mod texts;
    pub(crate) mod values;
}

use cli::{exit, help, texts};

const NOTES: [&str; 4] = [
    "A port is free if a server can bind it that sets SO_REUSEADDR first, as Node, Bun and Rust's TcpListener do.",
    "portclear needs no privilege. But an ordinary user cannot see who holds the socket of another user. Then portclear \
     signals nobody. The exit status is 4, and the message names the command that would work.",
    "On a terminal, Ctrl-C stops the wait and kills nobody.",
    "In a unit, use it as ExecStartPre=/usr/bin/portclear PORT. portclear-unit(1) prints the drop-in.",
];

const UNIT_NOTES: [&str; 1] =
    ["The drop-in calls portclear by the path of the program that printed it. Print it again if that path changes."];

const SEE_ALSO: &str = "systemd.service(5), systemctl(1), ss(8), lsof(8), fuser(1), kill(1)";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name the folder: pages FOLDER")?);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("portclear.1"), page(help::command(), "portclear", main_sections)?)?;
    fs::write(folder.join("portclear-unit.1"), page(help::unit_command(), "portclear-unit", unit_sections)?)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut completed(), "portclear", &folder)?;
    }
    Ok(())
}

fn date() -> Result<String, Failure> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds.parse()?),
        Err(_) => SystemTime::now(),
    };
    Ok(humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect())
}

/// The whole command line, for completion. There is nothing to complete in a port, and a completion for zsh would take
/// the word `unit` for one.
fn completed() -> Command {
    let options = |command: &Command| -> Vec<Arg> {
        command.get_arguments().filter(|arg| !arg.is_positional()).map(hinted).collect()
    };
    let (clear, unit) = (help::command(), help::unit_command());
    let unit_about = unit.get_about().cloned().unwrap_or_default();
    let new = |name| Command::new(name).version("").disable_help_flag(true).disable_version_flag(true);
    let unit = new("unit").about(unit_about).args(options(&unit));
    new("portclear").args(options(&clear)).subcommand(unit)
}

/// The values of most options are no names of files.
fn hinted(arg: &Arg) -> Arg {
    let arg = arg.clone();
    let short = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let long = arg.get_long_help().map(ToString::to_string).unwrap_or_default();
    let arg = if short.is_empty() { arg.help(long.split(". ").next().unwrap_or_default().to_owned()) } else { arg };
    match arg.get_id().as_str() {
        "executables" | "pid_files" => arg.value_hint(ValueHint::FilePath),
        "runtimes" => arg.value_hint(ValueHint::CommandName),
        "signal" => arg.value_parser(PossibleValuesParser::new(["TERM", "INT", "HUP", "QUIT", "KILL"])),
        _ if arg.get_action().takes_values() => arg.value_hint(ValueHint::Other),
        _ => arg,
    }
}

fn page(command: Command, name: &str, more: fn(&mut Roff)) -> Result<Vec<u8>, Failure> {
    let mut command = command.display_name(name.to_owned());
    command.build();
    let mut roff = Roff::new();
    synopsis(&mut roff, &command);
    roff.control("SH", ["DESCRIPTION"]);
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    // The first paragraph is the line below NAME.
    about.split("\n\n").skip(1).for_each(|paragraph| paragraphs(&mut roff, &[paragraph]));
    options(&mut roff, &command);
    more(&mut roff);
    let man = Man::new(command).title(name.to_uppercase()).date(date()?).manual("User Commands");
    let man = man.source(format!("portclear {}", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    roff.to_writer(&mut text)?;
    Ok(text)
}

fn synopsis(roff: &mut Roff, command: &Command) {
    let usage = command.clone().render_usage().to_string();
    roff.control("SH", ["SYNOPSIS"]);
    for (at, line) in usage.trim_start_matches("Usage:").lines().enumerate() {
        if at > 0 {
            roff.control("br", []);
        }
        // A remark stands behind three spaces.
        let form = line.trim().split("   ").next().unwrap_or_default();
        let words = form.split(' ').enumerate().flat_map(|(at, word)| {
            let space = if at == 0 { "" } else { " " };
            let is_value = word.contains(['<', '[']);
            [roman(space), if is_value { italic(word) } else { bold(word) }]
        });
        roff.text(words.collect::<Vec<_>>());
    }
}

fn options(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["OPTIONS"]);
    let mut args: Vec<&Arg> = command.get_arguments().collect();
    // The options of a heading together. The ports come first, and have none.
    let headings: Vec<_> = args.iter().map(|arg| arg.get_help_heading()).collect();
    args.sort_by_key(|arg| headings.iter().position(|heading| *heading == arg.get_help_heading()));
    let mut heading = None;
    for arg in args {
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            // The manual is where --help would be read.
            let shown = heading.unwrap_or_default().replace(": read --help first", "");
            roff.control("SS", [&*shown]);
        }
        roff.control("TP", []);
        roff.text(head(arg));
        let text = arg.get_long_help().map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let takes_value = arg.get_num_args().is_some_and(|number| number.takes_values());
        let default = format!("The default is {}.", defaults.join(", "));
        let last = (takes_value && !defaults.is_empty()).then_some(&*default);
        for (at, paragraph) in text.split("\n\n").chain(last).enumerate() {
            if at > 0 {
                roff.control("IP", []);
            }
            roff.text(marked(paragraph));
        }
    }
}

/// `-n, --dry-run`, `--grace TIME`.
fn head(arg: &Arg) -> Vec<Inline> {
    let mut head = Vec::new();
    head.extend(arg.get_short().map(|short| bold(format!("-{short}"))));
    if let Some(long) = arg.get_long() {
        head.extend((!head.is_empty()).then(|| roman(", ")));
        head.push(bold(format!("--{long}")));
    }
    if arg.get_num_args().is_some_and(|number| number.takes_values()) {
        let space = if head.is_empty() { "" } else { " " };
        let names = arg.get_value_names().unwrap_or_default();
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        head.extend([roman(space), italic(names.join(" "))]);
        head.extend(arg.is_positional().then(|| roman("...")));
    }
    head
}

/// What stands between backticks is bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

fn paragraphs(roff: &mut Roff, all: &[&str]) {
    for (at, text) in all.iter().enumerate() {
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text(marked(text));
    }
}

fn list(roff: &mut Roff, items: Vec<(String, String)>) {
    for (head, text) in items {
        roff.control("TP", []);
        roff.text([bold(head)]);
        roff.text([roman(text)]);
    }
}

/// A list as help has it, below its heading: two spaces, the head, and the text behind it or in deeper lines.
fn items(text: &str, heading: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    for line in below.take_while(|line| !line.is_empty()) {
        let line = line.strip_prefix("  ").unwrap_or(line);
        match found.last_mut() {
            Some((_, text)) if line.starts_with(' ') => {
                let space = if text.is_empty() { "" } else { " " };
                *text = format!("{text}{space}{}", line.trim());
            }
            _ => {
                let (head, text) = line.split_once("  ").unwrap_or((line, ""));
                found.push((head.to_owned(), text.trim().to_owned()));
            }
        }
    }
    found
}

fn main_sections(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman("Of several ports, the highest counts.")]);
    list(roff, exit::TABLE.iter().map(|(exit, text)| (exit.code().to_string(), (*text).to_owned())).collect());
    roff.control("SH", ["ENVIRONMENT"]);
    list(roff, items(texts::ENVIRONMENT, "Environment:"));
    roff.control("SH", ["FILES"]);
    let files: Vec<String> = items(texts::ENVIRONMENT, "Files:").into_iter().map(|(line, _)| line).collect();
    paragraphs(roff, &[&files.join(" ")]);
    roff.control("SH", ["EXAMPLES"]);
    list(roff, items(texts::EXAMPLES, "Examples:"));
    roff.control("SH", ["NOTES"]);
    paragraphs(roff, &NOTES);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(format!("portclear-unit(1), {SEE_ALSO}"))]);
}

fn unit_sections(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    let table = exit::TABLE.iter().filter(|(exit, _)| exit.code() == 2);
    let wrong = table.map(|(exit, _)| (exit.code().to_string(), "the arguments are wrong".to_owned()));
    let first = [("0", "portclear printed the drop-in"), ("1", "portclear could not print it")];
    let first = first.map(|(code, text)| (code.to_owned(), text.to_owned()));
    list(roff, first.into_iter().chain(wrong).collect());
    roff.control("SH", ["EXAMPLES"]);
    for (at, (line, _)) in items(texts::UNIT_EXAMPLES, "Examples:").into_iter().enumerate() {
        if at > 0 {
            roff.control("br", []);
        }
        roff.text([bold(line)]);
    }
    roff.control("SH", ["NOTES"]);
    paragraphs(roff, &UNIT_NOTES);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(format!("portclear(1), {SEE_ALSO}"))]);
}
