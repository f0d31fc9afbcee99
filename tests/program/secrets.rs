//! Environments and command lines hold keys. None of them is ever shown, whatever goes wrong.

use std::collections::BTreeSet;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(no_secret_of_an_instance_is_shown),
        case!(no_secret_of_offspring_or_others_is_shown),
        case!(no_secret_is_shown_to_another_user, Needs::Root),
        case!(credentials_in_arguments_are_not_shown),
    ]
}

/// portclear has a reason to read some of these variables, and none to read the others.
const NAMES: [&str; 16] = [
    "OPENCLAW_GATEWAY_TOKEN", "ANTHROPIC_API_KEY", "XOPENCLAW_SERVICE_MARKER", "OPENCLAW_SERVICE_MARKER_",
    "CLAWDBOT_SERVICE_KIND", "MOLTBOT_SERVICE_MARKER", "INVOCATION_ID", "PWD", "_", "pm_id", "name", "PM2_HOME",
    "SUPERVISOR_PROCESS_NAME", "SUPERVISOR_SERVER_URL", "RC_SVCNAME", "WATCH_REPORT_DEPENDENCIES",
];

/// Each secret is another one, so a leak tells where it came from.
#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn one(&mut self, of: &str) -> String {
        let secret = format!("hush7zq{}{}", self.0.len(), of.to_ascii_lowercase().replace(['_', '-'], ""));
        self.0.insert(secret.clone());
        secret
    }

    /// The same variables, each with a new secret.
    fn give(&mut self, mut builder: Builder) -> Builder {
        for name in NAMES {
            builder = builder.env(name, self.one(name));
        }
        builder
    }

    fn check(&self, run: &Run) {
        for secret in &self.0 {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{secret}: {run}");
        }
        assert!(!run.stdout.contains("hush7zq") && !run.stderr.contains("hush7zq"), "a part of one: {run}");
    }

    /// Shows the holder in every way, and no way shows a secret. Gives all that was said.
    #[track_caller]
    fn stay(&mut self, program: impl Fn(&[&str]) -> Portclear, status: i32) -> String {
        let own: Vec<(&str, String)> = NAMES.iter().map(|name| (*name, self.one(name))).collect();
        let with = |line: &[&str]| {
            let program = program(line);
            own.iter().fold(program, |program, (name, secret)| program.env(name, secret))
        };
        let ways: [&[&str]; 6] =
            [&[], &["-v"], &["--json"], &["-q"], &["-v", "--color", "always"], &["--signal", "10"]];
        let mut said = String::new();
        for way in ways {
            let wanted = if way == ["--signal", "10"] { 2 } else { status };
            let line = [&["18789"], way, &["--dry-run"]].concat();
            let run = with(&line).run();
            assert_eq!(run.status, wanted, "{line:?}: {run}");
            self.check(&run);
            said += &run.stdout;
            self.check(&with(&line).on_terminal(Terminal::Both));
            // Descriptors run out at one step or another. Errors tell no more than answers do.
            let limits = if way.len() < 2 && way != ["--json"] && way != ["-q"] { 4..12 } else { 0..0 };
            for descriptors in limits {
                let limit = format!("--nofile={descriptors}");
                let run = with(&line).through(&["prlimit", &limit, "--"]).run();
                self.check(&run);
                said += &run.stderr;
            }
        }
        said
    }
}

fn arguments(secrets: &mut Secrets) -> Vec<String> {
    let mut line = vec!["gateway".to_owned()];
    for option in ["--token", "--gateway-password", "--client-secret"] {
        line.extend([option.to_owned(), secrets.one(option)]);
    }
    for option in ["--auth-token", "--api-key", "API_KEY", "OPENAI_APIKEY", "--Credentials"] {
        line.push(format!("{option}={}", secrets.one(option)));
    }
    line
}

fn no_secret_of_an_instance_is_shown() {
    let bystander = Bystander::start();
    let mut secrets = Secrets::default();
    let parent = secrets.give(Fixture::silent().marked(false).package("parent")).start();
    let line = arguments(&mut secrets);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let gateway = secrets.give(Fixture::gateway().args(&line)).start_below(&parent);
    let said = secrets.stay(Portclear::new, 0);
    // The rest is shown, so the secrets were not hidden by saying nothing.
    for shown in [
        "OPENCLAW_SERVICE_MARKER=openclaw OPENCLAW_SERVICE_KIND=gateway; memory: ",
        r#""run":null"#,
        "gateway --token … --gateway-password … --client-secret … ",
        "could not find out",
        "Too many open files",
    ] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    let run = portclear(&["18789", "-v"]);
    assert_eq!(run.status, 0, "{run}");
    secrets.check(&run);
    gateway.has_ended();
    bystander.answers();
}

fn no_secret_of_offspring_or_others_is_shown() {
    let bystander = Bystander::start();
    let mut secrets = Secrets::default();
    let offspring = |name: &str, secrets: &mut Secrets| {
        let secret = secrets.one(name);
        secrets.give(Fixture::gateway()).env(name, secret).start()
    };
    for name in ["OPENCLAW_SHELL", "OPENCLAW_GATEWAY_SERVICE_PID", "MOLTBOT_SHELL"] {
        let holder = offspring(name, &mut secrets);
        let said = secrets.stay(Portclear::new, 3);
        assert!(said.contains(&format!("it carries {name}, which the service sets")), "{said}");
        holder.answers();
    }
    // The right names with other values are no markers, and are not shown as markers.
    let [marker, kind] = MARKERS.map(|(name, _)| secrets.one(name));
    let holder = secrets.give(Fixture::other("127.0.0.1:18789"));
    let holder = holder.env(MARKERS[0].0, marker).env(MARKERS[1].0, kind).start();
    let said = secrets.stay(Portclear::new, 3);
    assert!(said.contains(r#""identity":"foreign""#) && said.contains(r#""markers":{}"#), "{said}");
    holder.answers();
    drop(holder);
    // A title replaces the arguments, but not the environment.
    let line = arguments(&mut secrets);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let holder = secrets.give(Fixture::gateway().args(&line)).start();
    holder.set_title(b"openclaw-gateway");
    let said = secrets.stay(Portclear::new, 0);
    assert!(said.contains(r#""command":"openclaw-gateway""#), "{said}");
    holder.answers();
    assert_eq!(holder.signals(), [""; 0]);
    bystander.answers();
}

fn no_secret_is_shown_to_another_user() {
    let bystander = Bystander::start();
    let mut secrets = Secrets::default();
    let line = arguments(&mut secrets);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let gateway = secrets.give(Fixture::gateway().args(&line)).start();
    let said = secrets.stay(|line| Portclear::new(line).uid(NOBODY), 4);
    assert!(said.contains("cannot be seen from here; next: `sudo "), "{said}");
    gateway.answers();
    drop(gateway);
    // It is the user's own process, but it lets nobody look into it.
    let gateway = secrets.give(Fixture::gateway().args(&line)).uid(NOBODY).start();
    gateway.undumpable();
    secrets.stay(|line| Portclear::new(line).uid(NOBODY), 4);
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    bystander.answers();
}

const SECRETS: [&str; 2] = ["sk-live-123", "hunter2"];

fn credentials_in_arguments_are_not_shown() {
    let bystander = Bystander::start();
    let words = ["--header", "Authorization: Bearer sk-live-123", "postgres://u:hunter2@db/x"];
    let gateway = || Fixture::gateway().args(&[&["gateway"], &words[..]].concat()).start();
    let options: [&[&str]; 4] = [&["--dry-run", "--json"], &["--dry-run"], &["--dry-run", "--verbose"], &["--json"]];
    for more in [&options[..], &[&[], &["--verbose"]]].concat() {
        let gateway = gateway();
        let server = Fixture::mcp().args(&words).start_below(&gateway);
        let run = portclear(&[&["18789", "--tree"], more].concat());
        assert_eq!(run.status, 0, "{run}");
        for secret in SECRETS {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{more:?}: {run}");
        }
        assert!(run.stdout.contains(&server.pid().to_string()), "{run}");
        if more.contains(&"--json") {
            // The command of an instance is shown, without the secrets in it.
            let shown = run.process(gateway.pid())["command"].as_str().unwrap().to_owned();
            assert!(shown.ends_with(" gateway --header … postgres://…@db/x"), "{shown}");
            assert_eq!(run.process(server.pid())["command"], serde_json::Value::Null, "{run}");
        }
        assert_eq!(gateway.is_alive(), more.contains(&"--dry-run"));
    }
    bystander.answers();
}
