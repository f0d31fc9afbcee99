//! Parse the arguments, and make a policy of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::ColorChoice;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use portclear::policy::{Also, Marker, PortSpecError, Runtime, Signal};
use portclear::report::escape;
use portclear::{Policy, PortSpec, Service};

use crate::cli::dropin::{hook_path, unit_name};
use crate::cli::exit::TABLE;

/// Free a TCP port that a stale instance of your own service still holds.
///
/// Finds who listens on the port through the socket table, recognises an instance of the service by what it
/// executes and by the marker variables it was started with (never by its name), ends stale instances with
/// SIGTERM and, after the grace, SIGKILL, and says that the port is free only after a bind. Everything else
/// is left alone, and said to be.
#[derive(Debug, Parser)]
#[command(name = "portclear", version, after_help = after_help(), max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The port, at any address or at one: 18789, 127.0.0.1:18789, [::1]:18789, localhost:18789
    #[arg(required = true, value_name = "PORT", value_parser = port)]
    pub(crate) ports: Vec<PortSpec>,

    /// Look and judge, and signal nobody
    #[arg(short = 'n', long, help_heading = "What to do")]
    pub(crate) dry_run: bool,
    /// How long an instance may take to end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "What to do")]
    grace: Duration,
    /// The signal to ask with
    #[arg(long, value_name = "NAME", default_value = "TERM", help_heading = "What to do")]
    signal: Signal,
    /// How long to watch a cleared port, where a process is still there that may start its holder again (a known
    /// supervisor: twice as long); 0s never watches
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration, help_heading = "What to do")]
    settle: Duration,
    /// Send no SIGKILL at the end of the grace
    #[arg(long, help_heading = "What to do")]
    no_kill: bool,
    /// Never end this process, nor anything below it (repeatable)
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff), help_heading = "What to do")]
    protect: Vec<u32>,
    /// End holders that are not the service's, too
    #[arg(long, help_heading = "What to do")]
    any_owner: bool,
    /// End instances that a unit, a container or another supervisor runs now, too
    #[arg(long, help_heading = "What to do")]
    live: bool,
    /// End what the ended instances have started, too, but for what has a cgroup of its own
    #[arg(long, help_heading = "What to do")]
    tree: bool,
    /// End all that ended runs of the service left behind, too, also where the port is free, and a stale instance that
    /// uses the same state folder
    #[arg(long, help_heading = "What to do")]
    sweep: bool,
    /// End what an instance started and nobody looks after, too
    #[arg(long, help_heading = "What to do")]
    offspring: bool,

    /// A service that portclear knows
    #[arg(long, value_name = "NAME", default_value = "openclaw", value_parser = ["openclaw"], help_heading = "Which service")]
    #[arg(conflicts_with_all = ["markers", "executables", "runtimes", "packages", "pid_files"])]
    service: String,
    /// Another service: a variable in its environment (repeatable, all must hold)
    #[arg(long = "marker", value_name = "KEY=VALUE", value_parser = marker, help_heading = "Which service")]
    markers: Vec<Marker>,
    /// Another service: its own executable (repeatable)
    #[arg(long = "exe", value_name = "PATH", help_heading = "Which service")]
    executables: Vec<PathBuf>,
    /// Another service: what runs its script, by path or file name (repeatable)
    #[arg(long = "runtime", value_name = "PATH|NAME", help_heading = "Which service")]
    runtimes: Vec<String>,
    /// Another service: the name in the package.json of its script (repeatable)
    #[arg(long = "package", value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Which service")]
    packages: Vec<String>,
    /// Another service: the file in which it writes its pid (repeatable)
    #[arg(long = "pid-file", value_name = "PATH", help_heading = "Which service")]
    pid_files: Vec<PathBuf>,

    /// Print one JSON document (docs/json.md)
    #[arg(long, help_heading = "What to say")]
    pub(crate) json: bool,
    /// Print errors only
    #[arg(short, long, conflicts_with_all = ["verbose", "json"], help_heading = "What to say")]
    pub(crate) quiet: bool,
    /// Say also that a port is free, and all that is known of a holder
    #[arg(short, long, help_heading = "What to say")]
    pub(crate) verbose: bool,
    /// When to use colours; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = color(), help_heading = "What to say")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a drop-in that calls portclear before each start of a unit
    Unit {
        /// The unit
        #[arg(long, value_name = "NAME", default_value = "openclaw-gateway.service", value_parser = unit_name)]
        unit: String,
        /// How long an earlier instance may take to end
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
        grace: Duration,
        /// The file in which the service writes its pid (repeatable)
        #[arg(long = "pid-file", value_name = "PATH", value_parser = hook_path)]
        pid_files: Vec<String>,
        /// The port, as for portclear itself
        #[arg(value_name = "PORT", value_parser = port)]
        port: PortSpec,
    },
}

impl Args {
    pub(crate) fn policy(&self) -> Result<Policy, clap::Error> {
        let policy = Policy::new(self.service()?).grace(self.grace).signal(self.signal).settle(self.settle);
        let policy = if self.no_kill { policy.no_kill() } else { policy };
        let also = [
            (self.any_owner, Also::AnyOwner),
            (self.live, Also::Live),
            (self.offspring, Also::Offspring),
            (self.tree, Also::Tree),
            (self.sweep, Also::Sweep),
        ];
        let also = also.into_iter().filter(|(wanted, _)| *wanted);
        let policy = also.fold(policy, |policy, (_, also)| policy.also_end(also));
        Ok(self.protect.iter().fold(policy, |policy, pid| policy.protect(*pid)))
    }

    /// Whether the call is about OpenClaw: the service that portclear knows.
    pub(crate) fn is_openclaw(&self) -> bool {
        let described = [self.executables.is_empty(), self.packages.is_empty(), self.runtimes.is_empty()];
        described.into_iter().all(|is_empty| is_empty) && self.markers.is_empty() && self.pid_files.is_empty()
    }

    fn service(&self) -> Result<Service, clap::Error> {
        if !(self.executables.is_empty() && self.packages.is_empty() && self.pid_files.is_empty()) {
            return self.other_service();
        }
        // Children inherit a marker, and a runtime runs anybody's script: neither identifies an instance alone.
        match (self.markers.is_empty(), self.runtimes.is_empty()) {
            (true, true) => Service::named(&self.service).ok_or_else(|| usage("no such service")),
            (false, true) => Err(usage(
                "--marker alone tells no instance, for its children inherit it: add --exe, --runtime or --package",
            )),
            (true, false) => {
                Err(usage("--runtime alone tells no instance, for it runs any script: add --marker or --package"))
            }
            (false, false) => self.other_service(),
        }
    }

    fn other_service(&self) -> Result<Service, clap::Error> {
        let mut service = Service::new("the service").markers(self.markers.clone());
        for path in &self.executables {
            service = service.executable(executable(path)?);
        }
        for path in &self.pid_files {
            service = service.pid_file(pid_file(path)?);
        }
        for text in &self.runtimes {
            service = service.runtime(runtime(text)?);
        }
        if self.runtimes.is_empty() && !self.packages.is_empty() {
            for name in ["node", "nodejs", "bun", "deno"] {
                service = service.runtime(Runtime::Name(name.to_owned()));
            }
        }
        Ok(self.packages.iter().fold(service, |service, name| service.package(name)))
    }
}

fn usage(message: impl std::fmt::Display) -> clap::Error {
    Args::command().error(ErrorKind::ValueValidation, message)
}

fn executable(path: &Path) -> Result<PathBuf, clap::Error> {
    let shown = escape(path.as_os_str().as_encoded_bytes());
    if !shown.contains('/') {
        return Err(usage(format!("--exe takes a path, and '{shown}' is a name; --runtime takes names")));
    }
    // A path may be gone without a mistake: an upgrade may have removed a file that still runs.
    let real = path.canonicalize().or_else(|_| std::path::absolute(path));
    let real = real.map_err(|error| usage(format!("--exe '{shown}': {error}")))?;
    if Runtime::is_known(&real) {
        return Err(usage(format!(
            "--exe '{shown}' runs anybody's script and so is no service's own: use --runtime with --marker or --package"
        )));
    }
    Ok(real)
}

fn pid_file(path: &Path) -> Result<PathBuf, clap::Error> {
    let shown = escape(path.as_os_str().as_encoded_bytes());
    std::path::absolute(path).map_err(|error| usage(format!("--pid-file '{shown}': {error}")))
}

fn runtime(text: &str) -> Result<Runtime, clap::Error> {
    match text {
        "" => Err(usage("--runtime takes a path or a file name")),
        name if !name.contains('/') => Ok(Runtime::Name(name.to_owned())),
        path => match Path::new(path).canonicalize() {
            Ok(real) => Ok(Runtime::Path(real)),
            Err(error) => Err(usage(format!("--runtime '{}': {error}", escape(path.as_bytes())))),
        },
    }
}

fn port(text: &str) -> Result<PortSpec, &'static str> {
    text.parse().map_err(|error: PortSpecError| error.reason())
}

fn marker(text: &str) -> Result<Marker, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Marker::new(key, value)),
        _ => Err("a marker is KEY=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("a time is a number with a unit, like 10s or 500ms: {error}"))
}

fn color() -> impl TypedValueParser<Value = ColorChoice> {
    PossibleValuesParser::new(["auto", "always", "never"]).map(|when| match when.as_str() {
        "always" => ColorChoice::Always,
        "never" => ColorChoice::Never,
        _ => ColorChoice::Auto,
    })
}

fn after_help() -> String {
    let statuses: String = TABLE.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", exit.code())).collect();
    format!(
        "Examples:\n  \
        portclear 18789                      end a stale OpenClaw gateway on this port\n  \
        portclear -n 18789                   say what would be done\n  \
        portclear --sweep 18789              and end all that its ended runs left behind\n  \
        portclear --package my-app 8080      the same for a Node program of another name\n  \
        portclear --exe /usr/bin/my-app 8080  and for any other program\n\n\
        Exit status (of several ports the highest):\n{statuses}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_and_every_option_is_grouped() {
        Args::command().debug_assert();
        let ungrouped = |arg: &&clap::Arg| arg.get_long().is_some() && arg.get_help_heading().is_none();
        assert_eq!(Args::command().get_arguments().filter(ungrouped).count(), 0);
    }

    #[test]
    fn the_readme_shows_the_real_help() {
        let help = Args::command().term_width(100).render_help().to_string();
        let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let readme = include_str!("../../README.md");
        assert!(readme.contains(help.trim()), "README.md should show:\n{help}");
    }

    #[test]
    fn what_identifies_no_service_is_refused() {
        let table: [(&[&str], bool); 16] = [
            (&["1"], true),
            (&["--service", "openclaw", "1"], true),
            (&["--package", "x", "1"], true),
            (&["--pid-file", "/run/x.pid", "1"], true),
            (&["--pid-file", "", "1"], false),
            (&["--package", "", "1"], false),
            (&["--exe", "/opt/x", "1"], true),
            (&["--marker", "A=b", "--runtime", "python3", "1"], true),
            (&["--marker", "A=b", "1"], false),
            (&["--runtime", "python3", "1"], false),
            (&["--exe", "x", "1"], false),
            (&["--exe", "/usr/bin/node", "1"], false),
            (&["--marker", "A", "--package", "x", "1"], false),
            (&["--marker", "=b", "--package", "x", "1"], false),
            (&["--service", "openclaw", "--package", "x", "1"], false),
            (&["--runtime", "/no/such", "--package", "x", "1"], false),
        ];
        for (args, good) in table {
            let args = std::iter::once("portclear").chain(args.iter().copied());
            let line: Vec<&str> = args.collect();
            let resolved = Args::try_parse_from(&line).and_then(|args| args.policy());
            assert_eq!(resolved.is_ok(), good, "{line:?}");
        }
    }
}
