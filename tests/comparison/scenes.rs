//! The scenes without systemd. Each tool meets each of them anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::seen::{Call, Fate, Scene};
use super::tools::{Places, Tool, folder};
use crate::support::net::isolate;
use crate::support::openclaw::{self, Home};
use crate::support::run::PROGRAM;
use crate::support::*;

pub(super) fn all() -> Vec<Scene> {
    let tools = Places::here().tools(18789);
    let [gateway, client] = with_client(&tools);
    vec![
        gateway,
        client,
        scene("Another project's `node server.js`", &tools, innocent),
        scene("Another project's `node dist/index.js gateway`", &tools, |tool| {
            holder(Fixture::other(GATEWAY), tool, 0)
        }),
        scene("A gateway that finishes its work for 3 s after SIGTERM", &tools, |tool| {
            holder(Fixture::gateway().on_term(OnTerm::Drain(3000)), tool, 0)
        }),
        scene("A gateway that ignores SIGTERM", &tools, |tool| {
            holder(Fixture::gateway().on_term(OnTerm::Ignore), tool, 0)
        }),
        scene("Another user's gateway; the caller is not root", &tools, another_users),
        scene("The real OpenClaw 2026.9.6, left behind", &tools, real),
    ]
}

/// In a thread and a network of its own. The kernel ends what it leaves.
pub(super) fn alone<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let body = || {
            isolate();
            run()
        };
        scope.spawn(body).join().expect("a scene")
    })
}

fn scene(title: &'static str, tools: &[Tool], run: impl Fn(&Tool) -> (String, String) + Sync) -> Scene {
    let (cells, said) = tools
        .iter()
        .map(|tool| {
            let (cell, said) = alone(|| run(tool));
            eprintln!("{title} | {} | {cell} | {said}", tool.name);
            (cell, said)
        })
        .unzip();
    Scene { title, cells, said }
}

fn holder(builder: Builder, tool: &Tool, uid: u32) -> (String, String) {
    let holder = builder.start();
    let call = Call::new(tool, uid, Path::new("/nonexistent"));
    (call.cell(&Fate::of(&holder).words()), call.said)
}

/// Of one run for each tool come two rows.
fn with_client(tools: &[Tool]) -> [Scene; 2] {
    let mut rows = ["A stale gateway that needs 0.3 s to end", "A client that is connected to it"].map(|title| Scene {
        title,
        cells: Vec::new(),
        said: Vec::new(),
    });
    for tool in tools {
        let (cells, call) = alone(|| {
            let gateway = Fixture::gateway().on_term(OnTerm::Drain(300)).start();
            let client = Fixture::other(SECOND).start();
            client.connect("127.0.0.1:0", GATEWAY);
            let call = Call::new(tool, 0, Path::new("/nonexistent"));
            ([call.cell(&Fate::of(&gateway).words()), Fate::of(&client).words()], call)
        });
        eprintln!("{} | {} | {cells:?} | {}", rows[0].title, tool.name, call.said);
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.cells.push(cell);
            row.said.push(call.said.clone());
        }
    }
    rows
}

fn innocent(tool: &Tool) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("server.js");
    let text = "require('node:http').createServer().listen(18789, '127.0.0.1', () => console.log('ready'));\n";
    std::fs::write(&script, text).unwrap();
    let mut server = Server::start(&["node", script.to_str().unwrap()], &[]);
    assert_eq!(server.line().as_deref(), Some("ready"));
    tick_after(server.start_ticks());
    let call = Call::new(tool, 0, Path::new("/nonexistent"));
    (call.cell(&Fate::of_process(server.process()).words()), call.said)
}

/// The caller can read all of the tools.
fn another_users(tool: &Tool) -> (String, String) {
    let home = Home::new();
    let copied = Command::new("cp").arg("-a").arg(folder().unwrap()).arg(PROGRAM).arg(home.path("tmp")).status();
    assert!(copied.expect("cp").success());
    let places = Places {
        portclear: home.word("tmp/portclear"),
        folder: home.path("tmp").join(folder().unwrap().file_name().unwrap()),
        openclaw: PathBuf::from(openclaw::PROGRAMS),
    };
    let tools = places.tools(18789);
    let tool = tools.iter().find(|other| other.name == tool.name).unwrap();
    holder(Fixture::gateway(), tool, NOBODY)
}

fn real(tool: &Tool) -> (String, String) {
    let home = Home::new();
    let gateway = home.gateway().start();
    let call = Call::new(tool, 0, &home.path(""));
    (call.cell(&Fate::of_process(gateway.process()).words()), call.said)
}
