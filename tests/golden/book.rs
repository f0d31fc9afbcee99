//! What was said of a scene, and what is said of it now.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::mask::Mask;
use crate::support::diff::diff;
use crate::support::*;

/// Which calls of the program a scene is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// With `-n`, and for real.
    Both,
    /// Where a tracer waits for what `-n` does not do.
    Real,
}

/// Every way of asking about a scene says what its golden files say. `stage` makes the scene anew for each call,
/// makes the call, and may add arguments; nobody else's server is touched by any of it.
#[track_caller]
pub(super) fn holds(name: &str, arguments: &[&str], stage: impl Fn(&[&str]) -> Run) {
    beside_a_bystander(name, Calls::Both, arguments, false, stage);
}

/// The same in a pid namespace of the scene's own.
#[track_caller]
pub(super) fn holds_inside(name: &str, arguments: &[&str], stage: impl Fn(&[&str], &PidNs) -> Run) {
    let inside = |line: &[&str]| stage(line, &PidNs::new());
    beside_a_bystander(name, Calls::Both, arguments, true, inside);
}

/// The same for a scene that a tracer makes.
#[track_caller]
pub(super) fn holds_traced(name: &str, arguments: &[&str], stage: impl Fn(&[&str]) -> Run) {
    beside_a_bystander(name, Calls::Real, arguments, false, stage);
}

#[track_caller]
fn beside_a_bystander(name: &str, calls: Calls, arguments: &[&str], inside: bool, stage: impl Fn(&[&str]) -> Run) {
    let bystander = Bystander::start();
    says(name, calls, arguments, &Mask { inside, ..Mask::default() }, stage);
    bystander.answers();
}

/// The same without a bystander, for who has one already.
#[track_caller]
pub(super) fn says(name: &str, calls: Calls, arguments: &[&str], mask: &Mask, stage: impl Fn(&[&str]) -> Run) {
    let (mut documents, mut texts) = (String::new(), String::new());
    let starts: &[&[&str]] = if calls == Calls::Both { &[&["-n"], &[]] } else { &[&[]] };
    for start in starts {
        let run = stage(&[start, &["--json"][..], arguments].concat());
        assert!(run.stderr.is_empty() && run.stdout.ends_with('\n'), "{run}");
        run.json();
        documents += &mask.document(&run.stdout);
        for more in [&[][..], &["-v"]] {
            let line = [start, more, arguments].concat();
            let run = stage(&line);
            let whole = |text: &str| text.is_empty() || text.ends_with('\n');
            assert!(whole(&run.stdout) && whole(&run.stderr), "{run}");
            let _ = writeln!(texts, "$ portclear {}", mask.worded(&line.join(" ")));
            texts += &mask.text(&run.stdout);
            for line in mask.text(&run.stderr).lines() {
                let _ = writeln!(texts, "stderr: {line}");
            }
            let _ = writeln!(texts, "[exit status {}]\n", run.status);
        }
    }
    let differences: Vec<String> =
        [("json", documents), ("txt", texts)].iter().filter_map(|(kind, now)| check(name, kind, now)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn check(name: &str, kind: &str, now: &str) -> Option<String> {
    let path = folder().join(format!("{name}.{kind}"));
    if env::var_os("PORTCLEAR_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&path, now).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return None;
    }
    let then = fs::read_to_string(&path).unwrap_or_default();
    let file = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&path).display();
    let difference = || format!("{file} (-) and what is said now (+) differ:\n{}", diff(&then, now));
    (then != now).then(difference)
}

/// Where the files lie, and nothing else with these endings.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scenes")
}
