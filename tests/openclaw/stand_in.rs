//! The stand-in of the quick tests looks like the real gateway.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::lock::{Held, locks_of};
use crate::support::openclaw::Home;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(the_stand_in_looks_like_the_real_gateway, Needs::OpenClaw, Needs::Node)]
}

/// What a process shows, without what differs from one start to the next.
#[derive(Debug, PartialEq)]
struct Look {
    title: String,
    comm: String,
    executable: String,
    listeners: usize,
    locks: Vec<LockLook>,
    /// The locks of each child.
    children: Vec<usize>,
}

#[derive(Debug, PartialEq)]
struct LockLook {
    /// The folder, and the name without its hash.
    name: String,
    flags: String,
    mode: u32,
    links: u64,
    /// The fields, each with the kind of its value.
    fields: BTreeMap<String, &'static str>,
    is_own: [bool; 3],
    /// The tail is of these.
    tail: String,
}

fn look(process: &Proc) -> Look {
    let pid = process.pid();
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let stat = process.stat();
    let all = procfs::process::all_processes().unwrap().flatten();
    let children = all.filter_map(|child| child.stat().ok()).filter(|child| child.ppid == stat.pid);
    Look {
        // Whatever its length was, zeros fill it up.
        title: text(read("cmdline")).trim_end_matches('\0').to_owned(),
        comm: text(read("comm")),
        executable: process.exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned(),
        listeners: listeners_of(pid),
        locks: locks_of(pid).iter().map(|lock| lock_look(lock, process)).collect(),
        children: children.map(|child| locks_of(child.pid.try_into().unwrap()).len()).collect(),
    }
}

fn listeners_of(pid: u32) -> usize {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap());
    let sockets = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let sockets: Vec<String> =
        sockets.filter_map(|fd| fs::read_link(fd.path()).ok()?.to_str().map(str::to_owned)).collect();
    let is_own = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[3] == "0A" && sockets.contains(&format!("socket:[{}]", fields[9]))
    };
    tables.iter().flat_map(|table| table.lines().skip(1)).filter(is_own).count()
}

fn lock_look(lock: &Held, process: &Proc) -> LockLook {
    let folder = lock.path.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    let name = lock.path.file_name().unwrap().to_str().unwrap();
    let is_hash = name.len() == "gateway.0a1b2c3d.lock".len();
    let kind = |value: &Value| match value {
        Value::String(_) => "text",
        Value::Number(_) => "number",
        _ => "other",
    };
    let fields = lock.content.as_object().unwrap().iter();
    let state = lock.content["stateDir"].as_str().unwrap();
    let mut tail: Vec<char> = lock.tail.chars().collect();
    tail.sort_unstable();
    tail.dedup();
    LockLook {
        name: format!("{folder}/{}", if is_hash { "gateway.HASH.lock" } else { name }),
        flags: lock.flags.clone(),
        mode: lock.mode,
        links: lock.links,
        fields: fields.map(|(key, value)| (key.clone(), kind(value))).collect(),
        is_own: [
            lock.content["pid"] == process.pid(),
            lock.content["startTime"] == process.stat().starttime,
            lock.path.starts_with(format!("{state}/tmp")),
        ],
        tail: tail.into_iter().collect(),
    }
}

fn the_stand_in_looks_like_the_real_gateway() {
    let home = Home::new();
    let real = home.gateway().start();
    let real_look = look(real.process());
    drop(real);
    let stand_in = Fixture::stand_in();
    assert_eq!(look(stand_in.process()), real_look);
    // Both are what the quick tests speak of.
    assert_eq!((real_look.title.as_str(), real_look.locks.len()), ("openclaw-gateway", 2));
    assert!(real_look.locks.iter().all(|lock| lock.is_own == [true; 3]), "{real_look:?}");
}
