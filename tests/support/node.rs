//! A real node, for what only node does: a title over its arguments, threads, workers by fork.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::json;

use super::builder::Builder;

/// The node of this machine.
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
    /// node itself runs it, from where it is installed. Of the commands of [`super::Fixture`] it knows only
    /// `signals` and `open`. Its case needs `Needs::Node`.
    pub(crate) fn real_node(mut self) -> Self {
        self.runtime = Some(binary().expect("node"));
        self.exe_name = None;
        self.script = include_str!("node.js");
        self
    }

    /// Sets `process.title`, which overwrites the arguments.
    pub(crate) fn title(mut self, title: &str) -> Self {
        self.config.insert("title".to_owned(), json!(title));
        self
    }

    /// Starts workers by `child_process.fork`. They do not listen, and end with their parent.
    pub(crate) fn workers(mut self, count: usize) -> Self {
        self.config.insert("workers".to_owned(), json!(count));
        self
    }
}
