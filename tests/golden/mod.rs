//! What the program says of one scene after another, byte for byte, as it lies in tests/golden/scenes: the document of
//! `--json`, with its fields in their order, and the text.
//!
//! A change of what is said is meant or it is not. Where it is meant, `PORTCLEAR_GOLDEN=write cargo test --test main
//! -- golden` writes the files anew, and the difference is for the reader of the change.

mod arguments;
mod book;
mod document;
mod inside;
mod mask;
mod units;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use self::arguments::a_wrong_command_line_says_what_is_wrong;
use self::book::{folder, holds, holds_traced};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case!(free),
        case!(cleared),
        case!(cleared_by_its_marker),
        case!(cleared_of_a_replaced_executable),
        case!(cleared_by_force),
        case!(another_service),
        case!(foreign),
        case!(forwarder),
        case!(any_owner),
        case!(protected_by_name),
        case!(protected_ancestor),
        case!(container),
        case!(container_that_is_live),
        case!(other_instance),
        case!(offspring),
        case!(offspring_that_is_ended),
        case!(unknown),
        case!(bound_only),
        case!(in_no_table, Needs::Root),
        case!(survived),
        case!(newer),
        case!(several_ports),
        case!(error),
        case!(changed),
        case!(each_file_is_a_scene),
        case!(a_wrong_command_line_says_what_is_wrong),
    ];
    cases.extend(inside::cases());
    cases.extend(units::cases());
    cases
}

const AT: &str = "127.0.0.1:18789";
const SECOND: &str = "127.0.0.1:18791";
const PORT: [&str; 1] = ["18789"];

/// A server alone.
fn one<'a>(server: impl Fn() -> Builder + 'a) -> impl Fn(&[&str]) -> Run + 'a {
    move |line| {
        let _server = server().start();
        portclear(line)
    }
}

fn free() {
    holds("free", &PORT, portclear);
}

fn cleared() {
    holds("cleared", &PORT, one(Fixture::gateway));
}

/// Of the command line nothing is left but a title.
fn cleared_by_its_marker() {
    holds("cleared_by_its_marker", &PORT, |line| {
        let gateway = Fixture::gateway().start();
        gateway.set_title(b"openclaw-gateway");
        portclear(line)
    });
}

fn cleared_of_a_replaced_executable() {
    holds("cleared_of_a_replaced_executable", &PORT, |line| {
        let gateway = Fixture::gateway().start();
        fs::remove_file(gateway.exe()).unwrap();
        portclear(line)
    });
}

fn cleared_by_force() {
    let stubborn = || Fixture::gateway().on_term(OnTerm::Ignore);
    holds("cleared_by_force", &["--grace", "200ms", "18789"], one(stubborn));
}

fn another_service() {
    let server = || Fixture::other(AT).package("my-app");
    holds("another_service", &["--package", "my-app", "18789"], one(server));
}

fn foreign() {
    holds("foreign", &PORT, one(|| Fixture::other(AT)));
}

fn forwarder() {
    holds("forwarder", &PORT, one(|| Fixture::other(AT).exe_name("docker-proxy")));
}

fn any_owner() {
    holds("any_owner", &["--any-owner", "18789"], one(|| Fixture::other(AT)));
}

fn protected_by_name() {
    holds("protected_by_name", &PORT, |line| {
        let gateway = Fixture::gateway().start();
        portclear(&[line, &["--protect", &gateway.pid().to_string()]].concat())
    });
}

fn protected_ancestor() {
    holds("protected_ancestor", &PORT, |line| Fixture::gateway().start().portclear(line, &[]));
}

/// Seen from outside of its pid namespace.
fn contained(line: &[&str]) -> Run {
    let namespace = PidNs::new();
    let _gateway = Fixture::gateway().inside(&namespace).start();
    portclear(line)
}

fn container() {
    holds("container", &PORT, contained);
}

fn container_that_is_live() {
    holds("container_that_is_live", &["--live", "18789"], contained);
}

fn other_instance() {
    holds("other_instance", &PORT, |line| {
        let _gateway = Fixture::gateway().args(&["--profile", "work", "gateway"]).start();
        let asking = MARKERS.iter().fold(Portclear::new(line), |run, (key, value)| run.env(key, *value));
        asking.env("OPENCLAW_PROFILE", "home").run()
    });
}

fn offspring() {
    holds("offspring", &PORT, one(|| Fixture::gateway().env("OPENCLAW_SHELL", "exec")));
}

fn offspring_that_is_ended() {
    let agent = || Fixture::gateway().env("OPENCLAW_SHELL", "exec");
    holds("offspring_that_is_ended", &["--offspring", "18789"], one(agent));
}

fn unknown() {
    holds("unknown", &PORT, |line| {
        let gateway = Fixture::gateway().marked(false).no_package().start();
        symlink("/nowhere", gateway.root().join("openclaw/package.json")).unwrap();
        portclear(line)
    });
}

fn bound_only() {
    holds("bound_only", &PORT, one(|| Fixture::silent().bound_exclusively(AT)));
}

fn in_no_table() {
    holds("in_no_table", &PORT, |line| {
        let gateway = Fixture::gateway().start();
        gateway.sockets_in_flight();
        portclear(line)
    });
}

fn survived() {
    let stubborn = || Fixture::gateway().on_term(OnTerm::Ignore);
    holds("survived", &["--no-kill", "--grace", "200ms", "18789"], one(stubborn));
}

fn newer() {
    holds_traced("newer", &PORT, |line| {
        // So that the probe finds the port busy.
        let earlier = Fixture::gateway().start();
        let mut late = Portclear::new(line).traced();
        late.run_to_call(libc::SYS_socket, |arguments| arguments[0] == libc::AF_NETLINK as u64);
        drop(earlier);
        let _gateway = Fixture::gateway().start();
        late.finish()
    });
}

fn several_ports() {
    holds("several_ports", &["18789", "127.0.0.1:18791", "localhost:18792", "18789"], |line| {
        let _servers = [Fixture::gateway().start(), Fixture::other(SECOND).start()];
        portclear(line)
    });
}

/// Documentation's own address (RFC 5737), which no machine has.
fn error() {
    holds("error", &["192.0.2.1:18791", "18789"], one(Fixture::gateway));
}

/// It executes another program between the first signal and the end of the grace.
fn changed() {
    holds_traced("changed", &["--grace", "200ms", "18789"], |line| {
        let another = Fixture::other(SECOND).start();
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let mut run = Portclear::new(line).traced();
        let continues = libc::SIGCONT as u64;
        run.run_to_call(libc::SYS_pidfd_send_signal, |call| call[1] == continues);
        gateway.exec(&[another.exe(), another.script()].map(|path| path.to_str().unwrap()), &[]);
        run.finish()
    });
}

/// A file that nothing is compared with would look as if it held.
fn each_file_is_a_scene() {
    let names = cases().into_iter().map(|case| case.path.rsplit("::").next().unwrap_or_default().to_owned());
    let scenes: BTreeSet<String> = names.collect();
    for entry in fs::read_dir(folder()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let (name, kind) = name.split_once('.').unwrap();
        assert!(kind == "rs" || scenes.contains(name), "{name}.{kind}");
    }
}
