//! Find the script that a runtime was started with, in its arguments alone.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Service;

/// The script that the arguments of a runtime name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    /// A path, not checked yet, and the arguments after it.
    At(&'a OsStr, &'a [OsString]),
    /// Code, a module or standard input instead of a script.
    Inline,
    /// An argument that may also be the value of an unknown option before it.
    Ambiguous,
    /// No script: a process title has overwritten the arguments, or there are none.
    Hidden,
}

/// Options of node, bun, deno and python whose value is the next argument.
const TAKES_VALUE: [&str; 18] = [
    "-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file",
    "--env-file-if-exists", "--title", "--input-type", "--diagnostic-dir", "--preload", "--cwd", "--config", "-W",
    "-X", "--watch-path",
];

/// Options without a value, by the beginning of their names.
const FLAGS: [&str; 18] = [
    "--no-", "--inspect", "--enable-", "--expose", "--harmony", "--preserve-symlinks", "--abort-on-",
    "--trace-warnings", "--trace-deprecation", "--trace-uncaught", "--trace-exit", "--throw-deprecation",
    "--pending-deprecation", "--experimental-strip-types", "--experimental-transform-types", "--smol", "--allow-",
    "--watch",
];

/// The script of a runtime at `exe`, started with `argv`.
pub(crate) fn script<'a>(exe: &Path, argv: &'a [OsString]) -> Argument<'a> {
    let family = exe.file_name().unwrap_or_default().as_encoded_bytes();
    let python = family.starts_with(b"python");
    let runs = family.starts_with(b"bun") || family.starts_with(b"deno");
    let mut args = argv.get(1..).unwrap_or_default();
    let mut literal = false;
    let mut unknown = false;
    while let Some((arg, rest)) = args.split_first() {
        args = rest;
        let bytes = arg.as_encoded_bytes();
        if bytes.is_empty() {
            return Argument::Hidden;
        }
        if literal || !bytes.starts_with(b"-") {
            if runs && !literal && arg == "run" {
                continue;
            }
            // An unknown option may have taken this as its value. Then it is some other file, and the process must not
            // be judged by it.
            if unknown {
                return Argument::Ambiguous;
            }
            // A path into /proc or /dev leads each process to another file.
            if bytes.starts_with(b"/proc/") || bytes.starts_with(b"/dev/") {
                return Argument::Inline;
            }
            return Argument::At(arg, rest);
        }
        unknown = false;
        if bytes == b"--" {
            literal = true;
        } else if inline(bytes, python) {
            return Argument::Inline;
        } else if TAKES_VALUE.iter().any(|option| arg == option) {
            args = rest.get(1..).unwrap_or_default();
        } else {
            let flag = FLAGS.iter().any(|flag| bytes.starts_with(flag.as_bytes()));
            let cluster = python && !bytes.starts_with(b"--");
            unknown = !(flag || cluster || bytes.contains(&b'='));
        }
    }
    Argument::Hidden
}

fn inline(option: &[u8], python: bool) -> bool {
    if python {
        // Python takes several short options in one argument; -c and -m are the last of them.
        let cluster = !option.starts_with(b"--") && !option.starts_with(b"-W") && !option.starts_with(b"-X");
        return option == b"-" || (cluster && option.iter().any(|b| matches!(b, b'c' | b'm')));
    }
    let name = option.split(|b| *b == b'=').next().unwrap_or_default();
    matches!(name, b"-" | b"-e" | b"-p" | b"-pe" | b"-i" | b"--eval" | b"--print" | b"--interactive")
}

/// The first argument that is neither an option nor the value of one.
pub(crate) fn subcommand<'a>(args: &'a [OsString], value_options: &[OsString]) -> Option<&'a OsStr> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !arg.as_encoded_bytes().starts_with(b"-") {
            return Some(arg);
        }
        if value_options.contains(arg) {
            args.next();
        }
    }
    None
}

/// The value of the last option that sets the instance key, as OpenClaw reads it (src/cli/profile.ts). It stops at
/// `--`. An option without a value counts only before the subcommand, which may have the same option (`gateway --dev`).
pub(crate) fn instance_option(args: &[OsString], service: &Service) -> Option<OsString> {
    let mut found = None;
    let mut subcommand = false;
    let mut args = args.iter();
    while let Some(arg) = args.next().filter(|arg| *arg != "--") {
        // A value that is no text differs from every name of an instance, and so does what it becomes here.
        let text = arg.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        let option = service.instance_options.iter().find(|option| option.name == name);
        match option.map(|option| &option.stands_for) {
            Some(None) => found = value.map(OsString::from).or_else(|| args.next().cloned()).or(found),
            Some(stands_for) if value.is_none() && !subcommand => found.clone_from(stands_for),
            Some(_) => {}
            None if service.value_options.contains(arg) => drop(args.next()),
            None => subcommand |= !arg.as_encoded_bytes().starts_with(b"-"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_script_is_the_first_argument_that_is_no_option_and_no_value() {
        let table = [
            ("node", "node a.js gateway", Some(("a.js", "gateway"))),
            ("node", "node --max-old-space-size=512 -r dotenv a.js x", Some(("a.js", "x"))),
            ("node", "node --import ./openclaw/pre.mjs a.js x", Some(("a.js", "x"))),
            ("node", "node -- -odd.js x", Some(("-odd.js", "x"))),
            ("node", "node --no-warnings --inspect --unheard=1 a.js x", Some(("a.js", "x"))),
            ("node", "node --unheard --title t a.js x", Some(("a.js", "x"))),
            ("node", "node --watch --watch-path lib a.js x", Some(("a.js", "x"))),
            ("bun", "bun run a.ts gateway", Some(("a.ts", "gateway"))),
            ("bun", "bun a.ts gateway", Some(("a.ts", "gateway"))),
            ("python3.11", "python3 -u -W ignore a.py x", Some(("a.py", "x"))),
            ("python3.11", "python3 -Wcomm a.py x", Some(("a.py", "x"))),
        ];
        for (exe, line, expected) in table {
            let argv = words(line);
            let found = match script(Path::new(exe), &argv) {
                Argument::At(path, args) => Some((path.to_str().unwrap(), args[0].to_str().unwrap())),
                _ => None,
            };
            assert_eq!(found, expected, "{line}");
        }
        let inline = [
            ("node", "node -e code a.js"),
            ("node", "node --eval=code"),
            ("node", "node -"),
            ("node", "node -pe 1"),
            ("node", "node /proc/self/cwd/a.js gateway"),
            ("node", "node /dev/stdin"),
            ("python3", "python3 -m http.server 18789"),
            ("python3", "python3 -Im http.server"),
            ("python3", "python3 -c code"),
        ];
        for (exe, line) in inline {
            assert_eq!(script(Path::new(exe), &words(line)), Argument::Inline, "{line}");
        }
        for line in ["node --diagnostic-report-dir a.js gateway", "node --unheard-of a.js", "bun -x a.js"] {
            assert_eq!(script(Path::new(line.split(' ').next().unwrap()), &words(line)), Argument::Ambiguous, "{line}");
        }
        for line in ["node", "openclaw-gateway  ", "node -r", "node --"] {
            assert_eq!(script(Path::new("node"), &words(line)), Argument::Hidden, "{line}");
        }
        assert_eq!(script(Path::new("node"), &[]), Argument::Hidden);
    }

    #[test]
    fn the_subcommand_is_no_option_and_no_value() {
        let options = words("--profile");
        let table = [
            ("gateway --port 1", Some("gateway")),
            ("--dev gateway", Some("gateway")),
            ("--profile gateway agent", Some("agent")),
            ("--profile=gateway gateway", Some("gateway")),
            ("agent --message gateway", Some("agent")),
            ("--profile", None),
        ];
        for (line, expected) in table {
            assert_eq!(subcommand(&words(line), &options), expected.map(OsStr::new), "{line}");
        }
    }

    #[test]
    fn the_profile_is_what_openclaw_takes_it_for() {
        let table = [
            ("gateway --port 1", None),
            ("--profile work gateway", Some("work")),
            ("--profile=work gateway", Some("work")),
            ("gateway --port 1 --profile work", Some("work")),
            ("gateway --profile=work", Some("work")),
            ("--profile a --profile=b gateway --profile c", Some("c")),
            ("--dev gateway", Some("dev")),
            ("--log-level debug --dev gateway", Some("dev")),
            ("gateway --dev", None),
            ("gateway --profile work --dev", Some("work")),
            ("gateway -- --profile work", None),
            ("-- --dev gateway", None),
            ("--log-level --profile gateway", None),
            ("--profiles work gateway", None),
            ("--dev=1 gateway", None),
            ("gateway --profile", None),
        ];
        for (line, expected) in table {
            let found = instance_option(&words(line), &Service::openclaw());
            assert_eq!(found.as_deref(), expected.map(OsStr::new), "{line}");
        }
        assert_eq!(instance_option(&words("--profile work gateway"), &Service::new("other")), None);
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(argv in proptest::collection::vec(".{0,12}", 0..8)) {
            let argv: Vec<OsString> = argv.into_iter().map(OsString::from).collect();
            for exe in ["node", "bun", "python3", ""] {
                if let Argument::At(_, args) = script(Path::new(exe), &argv) {
                    let _ = (subcommand(args, &argv), instance_option(args, &Service::openclaw()));
                }
            }
        }
    }
}
