//! `import { clear, inspect } from 'portclear'`, with the program under test.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::{command, run};
use crate::support::process::only_child;
use crate::support::run::PROGRAM;
use crate::support::*;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(inspect_looks_and_clear_ends_a_stale_instance, Needs::Node),
        case!(a_held_port_is_an_answer, Needs::Node),
        case!(wrong_arguments_reject_and_touch_nothing, Needs::Node),
        case!(an_aborted_call_signals_nobody_any_more, Needs::Node),
        case!(without_an_answer_of_the_program_it_rejects, Needs::Node),
        case!(on_another_platform_the_import_works, Needs::Node),
    ]
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("npm/portclear")
}

/// Runs a script that may call `clear` and `inspect` with the program under test as `program`.
fn script(body: &str) -> String {
    let index = package().join("index.js");
    let head = format!("import {{ clear, inspect }} from '{}'; const program = '{PROGRAM}';", index.display());
    let refused =
        "const refused = (call) => call.then((report) => `exit ${report.exit}`, (error) => error.code ?? error.name);";
    format!("{head}\n{refused}\n{body}")
}

#[track_caller]
fn node(body: &str) -> Run {
    run(&["node", "--input-type=module", "--eval", &script(body)], Path::new("/"))
}

fn inspect_looks_and_clear_ends_a_stale_instance() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let call = |name: &str| node(&format!("console.log(JSON.stringify(await {name}(18789, {{ program }})))"));
    let run = call("inspect");
    assert_eq!(run.json()["ports"][0]["status"], "would-clear", "{run}");
    assert!(gateway.is_alive() && gateway.signals().is_empty());
    let run = call("clear");
    cleared(&run, gateway.pid(), "stale-instance", &["SIGTERM"]);
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn a_held_port_is_an_answer() {
    let foreign = Fixture::other(GATEWAY).start();
    let run = node(
        "const { exit, ports: [port] } = await clear(['127.0.0.1:18789'], { program, package: 'x', noKill: true }); console.log(exit, port.status, port.holders[0].pid)",
    );
    assert_eq!(run.stdout, format!("3 held {}\n", foreign.pid()), "{run}");
    untouched(&foreign);
}

fn wrong_arguments_reject_and_touch_nothing() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let calls = [
        "clear('--any-owner', { program })",
        "clear(['--any-owner', 18789], { program })",
        "clear([], { program })",
        "clear(0, { program })",
        "clear(18789, { program, anyowner: true })",
        "clear(18789, { program, tree: 'no' })",
        "clear(18789, { program, grace: 10 })",
        "clear(18789, { program, grace: 'soon' })",
        "clear(18789, { program, signal: 'TERM' })",
        "clear(18789, { program, firstSignal: 'STOP' })",
        "clear(18789, { program, package: '' })",
        "clear(18789, { program, marker: ['A=b', '--live'] })",
        "clear(18789, { program, color: 'never' })",
        "inspect(18789, { program, json: true })",
    ];
    for call in calls {
        let run = node(&format!("console.log(await refused({call}))"));
        assert_eq!(run.stdout, "ERR_ARGUMENTS\n", "{call}: {run}");
    }
    untouched(&gateway);
    bystander.answers();
}

fn an_aborted_call_signals_nobody_any_more() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let body = "const controller = new AbortController();\n\
        process.on('SIGUSR2', () => controller.abort());\n\
        console.log(await refused(clear(18789, { program, grace: '60s', signal: controller.signal })) === 20);\n\
        process.exit(0)";
    let mut server = Server::start(&["node", "--input-type=module", "--eval", &script(body)], &[]);
    until("SIGTERM arrives", || gateway.signals() == ["TERM"]);
    let program = Proc::of(only_child(server.pid()));
    program.keep();
    server.process().signal(Signal::SIGUSR2);
    assert_eq!(server.line().as_deref(), Some("true"), "{:?}", server.ended());
    // The promise waits for its end.
    assert!(!program.is_alive());
    assert!(gateway.is_alive());
    assert_eq!(gateway.signals(), ["TERM"]);
    // A signal that has fired already starts nothing.
    let run = node("console.log(await refused(clear(18789, { program, signal: AbortSignal.abort() })))");
    assert_eq!(run.stdout, "20\n", "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    bystander.answers();
}

fn without_an_answer_of_the_program_it_rejects() {
    let run = node(
        "console.log(await refused(clear(18789, { program: '/bin/false' })),\n\
         await refused(clear(18789, { program: '/no/such/program' })), await refused(clear(18789)))",
    );
    // Nothing of npm's lies beside the package in the repository.
    assert_eq!(run.stdout, "ERR_NO_ANSWER ERR_NO_PROGRAM ERR_NO_PROGRAM\n", "{run}");
}

fn on_another_platform_the_import_works() {
    let elsewhere = "data:text/javascript,Object.defineProperty(process,'platform',{value:'darwin'})";
    let body = script("console.log(await refused(clear(18789)), await refused(inspect(18789)))");
    let run = run(&["node", "--import", elsewhere, "--input-type=module", "--eval", &body], Path::new("/"));
    assert_eq!(run.stdout, "ERR_NOT_SUPPORTED ERR_NOT_SUPPORTED\n", "{run}");
    let bin = package().join("bin.js");
    let command = command(&["node", "--import", elsewhere, bin.to_str().unwrap(), "18789"], Path::new("/"));
    let run = Running::start(command, false, None, [None, None]).finish();
    let sentence =
        "portclear: not supported here: portclear looks on Linux alone, on x64 and arm64, and this is darwin-";
    assert!(run.stderr.starts_with(sentence) && run.stderr.lines().count() == 1, "{run}");
    assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run}");
}
