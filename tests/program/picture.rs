//! The picture of a terminal (docs/demo.svg) and its text (docs/demo.txt) show what the program says today.

use std::path::Path;
use std::process::Command;

use crate::support::run::PROGRAM;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(the_picture_shows_what_a_new_run_says, Needs::Node, Needs::UserNamespace)]
}

fn the_picture_shows_what_a_new_run_says() {
    let bystander = Bystander::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/picture.py");
    let check = Command::new("/usr/bin/python3").arg(script).args(["--check", PROGRAM]).output().unwrap();
    let [said, errors] = [check.stdout, check.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(check.status.success(), "{errors}{said}");
    bystander.answers();
}
