//! The texts of `-h` and `--help`. Only a call for help builds them.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::args::{Args, UnitArgs};
use crate::cli::exit::TABLE;
use crate::cli::texts::{
    ABOUT, ENDING, ENDING_MORE, ENVIRONMENT, EXAMPLES, EXIT, FIRST_EXAMPLES, OUTPUT, PORTS, SERVICE, Text, UNIT,
    UNIT_ABOUT, UNIT_EXAMPLES,
};

const USAGE: &str = "\
portclear [OPTIONS] <PORT>...
       portclear unit [OPTIONS] <PORT>...   (prints a systemd drop-in)";

/// The options below one heading. The ports have none.
struct Group(&'static str, &'static [Text]);

const GROUPS: [Group; 6] = [
    Group("", &PORTS),
    Group("Ending", &ENDING),
    Group("Ending more (dangerous: read --help first)", &ENDING_MORE),
    Group("Which service (without these options: the OpenClaw gateway)", &SERVICE),
    Group("Output", &OUTPUT),
    Group("The unit", &UNIT),
];

/// The whole definition of the command line, with all texts.
pub(crate) fn command() -> Command {
    let long: String = TABLE.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", exit.code())).collect();
    let long = format!("{EXAMPLES}\nExit status (of several ports the highest):\n{long}\n{ENVIRONMENT}");
    with_texts(Args::command())
        .about(ABOUT.0)
        .long_about(format!("{}.\n\n{}", ABOUT.0, ABOUT.1))
        .override_usage(USAGE)
        .after_help(format!("{FIRST_EXAMPLES}\n{EXIT}"))
        .after_long_help(long)
}

/// The same of `portclear unit`.
pub(crate) fn unit_command() -> Command {
    with_texts(UnitArgs::command())
        .about(UNIT_ABOUT.0)
        .long_about(format!("{}.\n\n{}", UNIT_ABOUT.0, UNIT_ABOUT.1))
        .after_help(UNIT_EXAMPLES)
}

/// Help and version stand in a group, as the other options do.
fn with_texts(command: Command) -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let command = command.disable_help_flag(true).disable_version_flag(true).arg(help).arg(version);
    command.mut_args(|arg| {
        let Some((heading, (_, short, long))) = text(arg.get_id().as_str()) else { return arg };
        let arg = if heading.is_empty() { arg } else { arg.help_heading(heading) };
        let hides = short.is_empty();
        let long = if hides { long.to_owned() } else { format!("{short}.\n\n{long}") };
        arg.help(short).long_help(StyledStr::from(long.trim_end().to_owned())).hide_short_help(hides)
    })
}

/// The text of one option, and the heading that it stands below.
fn text(id: &str) -> Option<(&'static str, Text)> {
    GROUPS.iter().find_map(|Group(heading, texts)| Some((*heading, *texts.iter().find(|text| text.0 == id)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is printed to a file: without spaces at the ends of lines.
    fn printed(help: StyledStr) -> String {
        help.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_definition_holds_and_every_option_has_a_text_and_a_group() {
        for command in [command(), unit_command()] {
            command.clone().debug_assert();
            for arg in command.get_arguments() {
                let id = arg.get_id();
                assert!(text(id.as_str()).is_some(), "no text in src/cli/texts.rs: {id}");
                assert!(arg.is_positional() || arg.get_help_heading().is_some(), "{id}");
                let long = arg.get_long_help().unwrap().to_string();
                assert!(long.ends_with('.'), "{id}: {long}");
            }
        }
    }

    #[test]
    fn the_short_help_fits_on_a_screen() {
        for (width, most) in [(100, 50), (80, 60)] {
            for command in [command(), unit_command()] {
                let help = printed(command.clone().term_width(width).render_help());
                assert!(help.lines().count() <= most, "{} lines at {width}:\n{help}", help.lines().count());
                assert!(help.lines().all(|line| line.chars().count() <= width), "{width}:\n{help}");
                let long = printed(command.term_width(width).render_long_help());
                assert!(long.lines().all(|line| line.chars().count() <= width), "{width}:\n{long}");
            }
        }
    }

    /// README may leave lines out.
    #[test]
    fn the_readme_shows_the_real_help() {
        let help = printed(command().term_width(100).render_help());
        let readme = include_str!("../../README.md");
        let options = readme.split("\n## ").find(|section| section.starts_with("Options")).unwrap();
        let block = options.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let mut real = help.lines();
        for line in block.lines().filter(|line| !line.is_empty()) {
            assert!(real.any(|one| one == line), "no such line in the help, or not in this order: {line}\n{help}");
        }
    }

    #[test]
    fn the_page_of_options_shows_the_whole_help() {
        let page = include_str!("../../docs/options.md");
        for command in [command(), unit_command()] {
            let help = printed(command.clone().term_width(100).render_long_help());
            let name = command.get_bin_name().unwrap_or("portclear").to_owned();
            assert!(page.contains(&format!("```text\n{}\n```", help.trim())), "{name} --help:\n{help}");
        }
    }
}
