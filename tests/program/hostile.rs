//! Names, paths, arguments and markers of other processes may hold any bytes. A line stays a line, and no cursor
//! moves.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::ways::shows;
use crate::support::layout::copy;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(hostile_names_and_arguments_are_shown_safely),
        case!(names_that_are_no_utf8_are_told_apart),
        case!(a_hostile_package_and_markers_are_shown_safely),
        case!(a_hostile_script_folder_and_parents_are_shown_safely),
        case!(a_hostile_user_name_is_shown_safely),
        case!(text_that_is_pages_long_is_shown_safely),
    ]
}

/// Clears a screen, rings, reverses text, starts a line, is no UTF-8, and looks escaped.
const EVIL: &[u8] = b"\x1b[2J\x1b[5m\x07\r\n\xe2\x80\xae\xe2\x81\xa6\xc2\x9b1m\x08\\n\xff\x7f\tx";

const SHOWN: &str = r"\u{1b}[2J\u{1b}[5m\u{7}\r\n\u{202e}\u{2066}\u{9b}1m\u{8}\\n\xff\u{7f}\tx";

/// The same for places that hold text alone.
const EVIL_TEXT: &str = "\x1b[2J\x1b[5m\x07\r\n\u{202e}\u{2066}\u{9b}1m\x08\\n\x7f\tx";

const SHOWN_TEXT: &str = r"\u{1b}[2J\u{1b}[5m\u{7}\r\n\u{202e}\u{2066}\u{9b}1m\u{8}\\n\u{7f}\tx";

fn evil(before: &str) -> OsString {
    OsString::from_vec([before.as_bytes(), EVIL].concat())
}

fn hostile_names_and_arguments_are_shown_safely() {
    let bystander = Bystander::start();
    let holder = Fixture::other("127.0.0.1:18789").exe_name(evil("a")).arg0(EVIL).start();
    holder.set_comm(b"\x1b[2J\n) R 1 (");
    shows(&Portclear::new, &["18789", "--grace", "1s"], &[&format!("/bin/a{SHOWN}"), &format!("{SHOWN} ")]);
    let json = portclear(&["18789", "--json"]).json();
    let shown = &json["ports"][0]["holders"][0];
    assert_eq!(shown["comm"], r"\u{1b}[2J\n) R 1 (");
    assert_eq!(shown["ppid"], std::process::id());
    // The title replaces all arguments.
    holder.set_title(EVIL);
    shows(&Portclear::new, &["18789"], &[SHOWN]);
    assert_eq!(portclear(&["18789", "--json"]).json()["ports"][0]["holders"][0]["command"], SHOWN);
    holder.answers();
    assert_eq!(holder.signals(), [""; 0]);
    bystander.answers();
}

fn names_that_are_no_utf8_are_told_apart() {
    let bystander = Bystander::start();
    let parent = Fixture::silent().marked(false).package("parent").start();
    let holder = Fixture::other("127.0.0.1:18789").start_below(&parent);
    parent.set_comm(b"p\xfe");
    for (name, shown) in [(b"a\xff", r"a\xff"), (b"a\xfe", r"a\xfe")] {
        holder.set_comm(name);
        let json = portclear(&["18789", "--json"]).json();
        let report = &json["ports"][0]["holders"][0];
        assert_eq!((&report["comm"], &report["lineage"][0]["comm"]), (&shown.into(), &r"p\xfe".into()));
    }
    holder.answers();
    bystander.answers();
}

fn a_hostile_package_and_markers_are_shown_safely() {
    let bystander = Bystander::start();
    let offspring = Fixture::gateway().package(EVIL_TEXT).start();
    shows(&Portclear::new, &["18789"], &[&format!("its script lies in package {SHOWN_TEXT}")]);
    offspring.answers();
    drop(offspring);
    // Markers of the caller's own choice, and variables that only look like markers.
    let holder = Fixture::gateway()
        .env(format!("MY{EVIL_TEXT}"), EVIL_TEXT)
        .env(MARKERS[0].0, evil(""))
        .env("OPENCLAW_GATEWAY_SERVICE_PID", evil(""))
        .start();
    let marker = format!("MY{EVIL_TEXT}={EVIL_TEXT}");
    let line = ["18789", "--dry-run", "--package", "openclaw", "--marker", &marker];
    shows(&Portclear::new, &line, &[SHOWN_TEXT, &format!("MY{SHOWN_TEXT}")]);
    let markers = &portclear(&[&line[..], &["--json"]].concat()).json()["ports"][0]["holders"][0]["markers"];
    assert_eq!(markers[format!("MY{SHOWN_TEXT}")], SHOWN_TEXT);
    shows(&Portclear::new, &["18789"], &[]);
    holder.answers();
    assert_eq!(holder.signals(), [""; 0]);
    bystander.answers();
}

fn a_hostile_script_folder_and_parents_are_shown_safely() {
    let bystander = Bystander::start();
    let parent = Fixture::silent().marked(false).package("parent").exe_name(evil("p")).start();
    parent.set_comm(b"\x1b[2J\r");
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path().join(evil(""));
    fs::create_dir(&cwd).unwrap();
    fs::write(cwd.join("package.json"), r#"{ "name": "evil" }"#).unwrap();
    let holder = Fixture::other("127.0.0.1:18789").start_below(&parent);
    let script = folder.path().join(format!("s{EVIL_TEXT}.js"));
    fs::copy(holder.script(), &script).unwrap();
    let argv = [holder.exe(), &script].map(|path| path.to_str().unwrap());
    holder.exec(&[argv[0], argv[1], "gateway"], &MARKERS);
    holder.answers();
    let parts = [format!("s{SHOWN_TEXT}.js gateway"), format!("p{SHOWN}(")];
    // The block and the document show the parents.
    shows(&Portclear::new, &["18789", "-n"], &[&parts[0]]);
    assert!(portclear(&["18789", "-n", "-v"]).said().contains(&parts[1]));
    let json = portclear(&["18789", "-n", "--json"]).json();
    assert_eq!(json["ports"][0]["holders"][0]["lineage"][0]["comm"], r"\u{1b}[2J\r");
    drop(holder);

    let relative = Fixture::gateway().cwd(&cwd).env("PWD", &cwd).args(&["x", "--y"]).start();
    assert_eq!(fs::read_link(format!("/proc/{}/cwd", relative.pid())).unwrap(), cwd);
    shows(&Portclear::new, &["18789", "-n"], &[]);
    relative.answers();
    assert_eq!(relative.signals(), [""; 0]);
    bystander.answers();
}

fn a_hostile_user_name_is_shown_safely() {
    let namespace = PidNs::new();
    let passwd = tempfile::NamedTempFile::new().unwrap();
    let name = "r\x1b[2J\x07\u{202e}\\t";
    fs::write(&passwd, format!("{name}:x:0:0::/:/bin/sh\n")).unwrap();
    namespace.sh(&format!("mount --bind {} /etc/passwd", passwd.path().display()));
    let holder = Fixture::other("127.0.0.1:18789").inside(&namespace).start();
    let inside = |line: &[&str]| Portclear::new(line).inside(&namespace);
    shows(&inside, &["18789"], &[r"r\u{1b}[2J\u{7}\u{202e}\\t"]);
    holder.answers();
}

fn text_that_is_pages_long_is_shown_safely() {
    let bystander = Bystander::start();
    let long = "\x1b[2J\n".repeat(700);
    // This is the deepest path that the kernel still tells.
    let folder = tempfile::tempdir().unwrap();
    let mut deep: PathBuf = folder.path().to_owned();
    while deep.as_os_str().len() < 3800 {
        deep.push(EVIL_TEXT.repeat(8));
    }
    fs::create_dir_all(&deep).unwrap();
    let holder = Fixture::gateway()
        .package(&long)
        .args(&["gateway", &long])
        .env("OPENCLAW_SHELL", &long)
        .env(MARKERS[0].0, MARKERS[0].1)
        .cwd(&deep)
        .start();
    holder.set_title(&[EVIL; 150].concat());
    shows(&Portclear::new, &["18789"], &[]);
    let json = portclear(&["18789", "--json"]).json();
    let command = json["ports"][0]["holders"][0]["command"].as_str().unwrap();
    assert!(command.chars().count() <= 161 && command.ends_with('…'), "{command}");
    drop(holder);

    let holder = Fixture::other("127.0.0.1:18789").start();
    let exe = copy(holder.exe(), &deep.join("node"));
    holder.exec(&[&exe, holder.script()].map(|path| path.to_str().unwrap()), &[]);
    shows(&Portclear::new, &["18789"], &[&format!("{}/node", SHOWN_TEXT.repeat(8))]);
    holder.answers();
    bystander.answers();
}
