//! A service that no other test has. All tests share one systemd, and a sweep looks into all of its units.

use std::collections::BTreeSet;

use crate::support::*;

/// Its package and its marker bear the name of the test.
pub(crate) struct Service<'a> {
    sd: &'a Sd,
    pub(crate) name: String,
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

    /// A hook for the service's units.
    pub(crate) fn hook(&self, arguments: &str) -> String {
        format!("ExecStartPre={} {} {arguments}\n", self.sd.program(), self.options().join(" "))
    }

    /// Runs portclear by hand, for this service.
    pub(crate) fn portclear(&self, arguments: &[&str]) -> Run {
        let options = self.options();
        self.sd.portclear(&[&options.each_ref().map(String::as_str), arguments].concat())
    }

    /// The same under a tracer.
    pub(crate) fn traced(&self, arguments: &[&str]) -> Traced {
        let options = self.options();
        self.sd.traced(&[&options.each_ref().map(String::as_str), arguments].concat())
    }
}

/// Adds stand-ins for MCP servers. They have the gateway's environment, and nothing ends them.
pub(crate) fn with_servers(builder: Builder, count: usize) -> Builder {
    (0..count).fold(builder, |builder, _| builder.spawns(&["/bin/sleep", "infinity"]))
}

pub(crate) fn pids(unit: &Unit<'_>) -> BTreeSet<u32> {
    unit.pids().into_iter().collect()
}

/// The main process ends alone. Its child, and what that started, are left over as a tree.
pub(crate) const LAUNCHER: [&str; 4] = ["/bin/sh", "-c", r#""$@" & wait"#, "sh"];

/// A shell in `ExecStart=` is like this: marked, of no package of the service, and the parent of these.
pub(crate) fn shell(service: &Service<'_>, port: u16, below: &[&Installed]) -> Builder {
    let shell = service.gateway(port).package("shell");
    below.iter().fold(shell, |shell, one| {
        let command = one.command();
        shell.spawns(&command.iter().map(String::as_str).collect::<Vec<_>>())
    })
}
