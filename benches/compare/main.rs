//! portclear beside its peers and beside a C program that does the least that any of them must, in one run:
//! `cargo bench --bench compare` writes the tables into docs/performance.md.
//!
//! Needs root, cc, lsof, fuser (psmisc), ss and ip (iproute2), unshare (util-linux), and crates.io for killport.

#![allow(
    clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr,
    clippy::too_many_arguments, clippy::too_many_lines, clippy::type_complexity
)]

mod page;
mod tools;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;

use page::{Ending, Look, Page};
use tools::{Load, PORT, Sample, Tools};

/// Each program has its turn in each round, so that what disturbs one disturbs them all.
const ROUNDS: usize = 21;

/// Milliseconds, as in what [`Tools::enders`] runs.
const GRACE: f64 = 500.0;

/// Says in which of its stages this program was started again.
const STAGE: &str = "PORTCLEAR_BENCH_STAGE";

fn main() {
    match std::env::var(STAGE).as_deref() {
        // Only the network is its own: what looks sees the processes of the whole machine.
        Err(_) => {
            Tools::make();
            again("look", &["--net"]);
        }
        // What ends processes sees its own alone.
        Ok("look") => {
            up();
            let looks = looks();
            std::fs::write(state(), page::lines(&looks)).expect("a file of the results");
            again("end", &["--net", "--pid", "--fork", "--mount-proc", "--kill-child"]);
        }
        Ok(_) => {
            up();
            let looks = page::parse(&std::fs::read_to_string(state()).expect("a file of the results"));
            Page { looks, endings: endings() }.write();
        }
    }
}

fn again(stage: &str, namespaces: &[&str]) {
    let program = std::env::current_exe().expect("the path of this program");
    let status = Command::new("unshare").args(namespaces).arg(program).env(STAGE, stage).status();
    assert!(status.expect("unshare").success(), "the stage {stage} has failed");
}

fn up() {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(status.expect("ip").success(), "cannot bring lo up");
}

fn state() -> std::path::PathBuf {
    tools::folder().join("looks.tsv")
}

/// Nothing is ended: the port free, and held by a process that listens on it.
fn looks() -> Vec<Look> {
    let tools = Tools::find();
    let loads: [(&str, &[&str]); 3] = [
        ("idle", &[]),
        ("2,000 processes of 100 descriptors", &["descriptors", "2000", "100"]),
        ("50,000 established sockets", &["connections", "50000"]),
    ];
    let mut looks = Vec::new();
    for (load, arguments) in loads {
        let _load = (!arguments.is_empty()).then(|| Load::start(arguments));
        for held in [false, true] {
            let _holder = held.then(|| Load::start(&["holder", PORT, "0"]));
            eprintln!("{}, {load}", if held { "held" } else { "free" });
            let mut samples: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
            // The first round warms the caches, and does not count.
            for round in 0..=ROUNDS {
                for (name, command) in tools.lookers() {
                    let sample = tools.run(&command);
                    if round > 0 {
                        samples.entry(name).or_default().push(sample);
                    }
                }
            }
            for (name, samples) in samples {
                looks.push(Look::new(held, load, name, &samples));
            }
        }
    }
    looks
}

fn is_free() -> bool {
    TcpListener::bind(("127.0.0.1", PORT.parse().unwrap())).is_ok()
}

/// A holder is ended, and the port is tried at once after the command has returned.
fn endings() -> Vec<Ending> {
    let tools = Tools::find();
    let cases: [(&str, &[&str]); 3] = [
        ("ends at once", &["holder", PORT, "0"]),
        ("needs 300 ms", &["holder", PORT, "300"]),
        ("ten that ignore SIGTERM, grace 500 ms", &["holders", PORT, "10"]),
    ];
    let mut endings = Vec::new();
    for (case, holder) in cases {
        eprintln!("{case}");
        let mut all: BTreeMap<&str, (Vec<Sample>, Vec<f64>, usize)> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for (name, command) in tools.enders(holder[0] == "holders") {
                let mut holder = Load::start(holder);
                tools::next_tick();
                let sample = tools.run(&command);
                let free = is_free();
                let (samples, after, freed) = all.entry(name).or_default();
                *freed += usize::from(free);
                after.extend(holder.end().map(|ended| sample.ended - ended));
                samples.push(sample);
                drop(holder);
                // A peer returns before they have ended: the next one is to begin with a free port.
                while !is_free() {
                    std::thread::yield_now();
                }
            }
        }
        for (name, (samples, after, freed)) in all {
            endings.push(Ending::new(case, name, &samples, &after, freed));
        }
    }
    endings
}
