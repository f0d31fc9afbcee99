//! A real node, for what only node does: a process title over its arguments, threads, workers by fork.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::json;

use super::builder::Builder;

/// The machine's own.
pub(crate) fn binary() -> Option<PathBuf> {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = PathBuf::from("/usr/bin/node");
        std::iter::once(usual)
            .chain(std::env::split_paths(&path).map(|directory| directory.join("node")))
            .find_map(|node| node.canonicalize().ok())
    };
    BINARY.get_or_init(find).clone()
}

impl Builder {
    /// Run by node itself, from where it is installed. Of the commands of [`super::Fixture`] it knows
    /// `signals` alone. For a case with `Needs::Node`.
    pub(crate) fn real_node(mut self) -> Self {
        self.runtime = Some(binary().expect("node"));
        self.exe_name = None;
        self.script = include_str!("node.js");
        self
    }

    /// `process.title`, which overwrites the arguments.
    pub(crate) fn title(mut self, title: &str) -> Self {
        self.config.insert("title".to_owned(), json!(title));
        self
    }

    /// Workers by `child_process.fork`. They do not listen, and end with their parent.
    pub(crate) fn workers(mut self, count: usize) -> Self {
        self.config.insert("workers".to_owned(), json!(count));
        self
    }
}
