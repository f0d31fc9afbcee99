//! The call that a command line asks for. A wrong command line ends here, with a sentence.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error, Parser};
use portclear::Policy;
use portclear::report::escape;

use crate::cli::args::{Args, UnitArgs};
use crate::cli::hint::Line;
use crate::cli::hook;
use crate::cli::{ask, help};

/// One call of the program.
pub(crate) enum Call {
    Clear(Box<Args>, Box<Policy>),
    /// With the arguments of the hook.
    Unit(Box<UnitArgs>, String),
}

/// The call that the arguments of this process ask for. Help, the version and errors end the process.
pub(crate) fn read() -> Call {
    let line: Vec<OsString> = std::env::args_os().collect();
    let first = line.get(1).and_then(|word| word.to_str());
    // As git and cargo have it.
    if first == Some("help")
        && let Some(help) = printed_help(&line)
    {
        help.exit();
    }
    of(&line).unwrap_or_else(|error| error.exit())
}

/// The call that a line asks for: the program's name, and its arguments.
fn of(line: &[OsString]) -> Result<Call, Error> {
    let is_unit = line.get(1).is_some_and(|word| word == "unit");
    if is_unit { unit(line.get(1..).unwrap_or_default()) } else { clear(line) }
}

fn clear(line: &[OsString]) -> Result<Call, Error> {
    let args = Args::try_parse_from(line).map_err(|error| explained(error, line, help::command, Args::command))?;
    if args.interactive && !ask::is_possible() {
        let message = "--interactive needs a terminal: it asks on standard error and reads from standard input";
        return Err(refused(Args::command(), message.to_owned()));
    }
    let policy = args.policy().map_err(|message| refused(Args::command(), message))?;
    Ok(Call::Clear(Box::new(args), Box::new(policy)))
}

/// `line` begins with the word `unit`.
fn unit(line: &[OsString]) -> Result<Call, Error> {
    let explain = |error| explained(error, line, help::unit_command, UnitArgs::command);
    let args = UnitArgs::try_parse_from(line).map_err(explain)?;
    let refuse = |message: String| refused(UnitArgs::command(), message);
    let hook = hook::arguments(&args).map_err(refuse)?;
    if args.unit.is_none() && !args.service.is_known() {
        return Err(refuse("name the unit of your service: --unit my-app".to_owned()));
    }
    Ok(Call::Unit(Box::new(args), hook))
}

/// `portclear help` prints what `-h` prints.
fn printed_help(line: &[OsString]) -> Option<Error> {
    let of_unit = line.get(2).is_some_and(|word| word == "unit");
    let command = if of_unit { help::unit_command() } else { help::command() };
    command.try_get_matches_from(["portclear", "-h"]).err()
}

fn refused(mut command: Command, message: String) -> Error {
    command.error(ErrorKind::ValueValidation, message)
}

/// The error of clap's parser, with the hint that fits the line. A call for help is parsed again: the first parser
/// has no texts.
fn explained(mut error: Error, line: &[OsString], whole: fn() -> Command, plain: fn() -> Command) -> Error {
    let kind = error.kind();
    if kind == ErrorKind::DisplayHelp {
        return whole().try_get_matches_from(line).err().unwrap_or(error);
    }
    if kind == ErrorKind::MissingRequiredArgument {
        return refused(plain(), "name the port, for example 18789".to_owned());
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let (option, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let hint = Line::of(line).hint(kind, &option, &value);
    // A port never looks like an option, and a usage that clap made of a part of the line only misleads.
    error.remove(ContextKind::Suggested);
    error.remove(ContextKind::Usage);
    if let Some(hint) = hint {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    }
    for (kind, text) in [(ContextKind::InvalidArg, option), (ContextKind::InvalidValue, value)] {
        if !text.is_empty() {
            error.insert(kind, ContextValue::String(escape(text.as_bytes())));
        }
    }
    error
}
