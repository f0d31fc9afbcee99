//! A service that no other test has. All tests share one systemd, and a sweep looks into all of its units.

use std::collections::BTreeSet;

use crate::support::*;

/// A service that no other test has: they share one systemd, and a sweep looks into all of its units.
pub(super) struct Service<'a> {
    sd: &'a Sd,
    pub(super) name: String,
}

impl<'a> Service<'a> {
    pub(crate) fn new(sd: &'a Sd) -> Self {
        let thread = std::thread::current();
        let name = thread.name().and_then(|name| name.rsplit("::").next()).expect("a name");
        Self { sd, name: name.to_owned() }
    }

    pub(crate) fn gateway(&self, port: u16) -> Builder {
        self.sd.gateway(port).marked(false).package(&self.name).env("SWEPT_SERVICE", &self.name)
    }

    fn options(&self) -> [String; 4] {
        ["--package", &self.name, "--marker", &format!("SWEPT_SERVICE={}", self.name)].map(str::to_owned)
    }

    /// A hook for its units.
    pub(crate) fn hook(&self, arguments: &str) -> String {
        format!("ExecStartPre={} {} {arguments}\n", self.sd.program(), self.options().join(" "))
    }

    /// By hand.
    pub(crate) fn portclear(&self, arguments: &[&str]) -> Run {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        self.sd.portclear(&[&options[..], arguments].concat())
    }
}

/// Stand-ins for MCP servers: with the gateway's environment, and nothing that ends them.
pub(super) fn with_servers(builder: Builder, count: usize) -> Builder {
    (0..count).fold(builder, |builder, _| builder.spawns(&["/bin/sleep", "infinity"]))
}

pub(super) fn pids(unit: &Unit<'_>) -> BTreeSet<u32> {
    unit.pids().into_iter().collect()
}

/// A main process that ends alone: its child, and what that started, are left over as a tree.
pub(super) const LAUNCHER: [&str; 4] = ["/bin/sh", "-c", r#""$@" & wait"#, "sh"];

/// Marked, of no package of the service, and starts these: what a shell in `ExecStart=` is.
pub(super) fn shell(service: &Service<'_>, port: u16, below: &[&Installed]) -> Builder {
    let shell = service.gateway(port).package("shell");
    below.iter().fold(shell, |shell, one| {
        let command = one.command();
        shell.spawns(&command.iter().map(String::as_str).collect::<Vec<_>>())
    })
}
