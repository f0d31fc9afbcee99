//! The OpenClaw gateway, as a service that this crate knows.

use std::ffi::OsString;
use std::time::Duration;

use super::service::InstanceOption;
use super::{LockName, Marker, OffspringSign, Runtime, Service, StateFolder};

impl Service {
    /// How long an OpenClaw gateway may need to end while it finishes its work, with some time to spare: its own unit
    /// has `TimeoutStopSec=330` (systemd.service(5)).
    pub const OPENCLAW_DRAIN: Duration = Duration::from_secs(330);

    /// The OpenClaw gateway, and the same product under its older names (clawdbot, moltbot).
    pub fn openclaw() -> Self {
        // moltbot kept the variables of clawdbot and changed their value.
        let brands =
            [("OPENCLAW", "openclaw"), ("CLAWDBOT", "clawdbot"), ("CLAWDBOT", "moltbot"), ("MOLTBOT", "moltbot")];
        let mut service = Self::new("OpenClaw")
            .runtime(Runtime::Name("node".to_owned()))
            .runtime(Runtime::Name("nodejs".to_owned()))
            .runtime(Runtime::Name("bun".to_owned()))
            .package("openclaw")
            .package("clawdbot")
            .package("moltbot")
            .subcommand("gateway");
        service.markers = brands
            .iter()
            .map(|(prefix, brand)| {
                vec![
                    Marker::new(format!("{prefix}_SERVICE_MARKER"), *brand),
                    Marker::new(format!("{prefix}_SERVICE_KIND"), "gateway"),
                ]
            })
            .collect();
        for prefix in ["OPENCLAW", "CLAWDBOT", "MOLTBOT"] {
            service.offspring.push(OffspringSign::Set(format!("{prefix}_SHELL").into()));
            service.offspring.push(OffspringSign::OtherPid(format!("{prefix}_GATEWAY_SERVICE_PID").into()));
            service.instance_keys.push(format!("{prefix}_PROFILE").into());
            service.instance_keys.push(format!("{prefix}_STATE_DIR").into());
        }
        for brand in ["openclaw", "clawdbot", "moltbot"] {
            service.locks.push(lock(brand));
            service.titles.extend([brand.to_owned(), format!("{brand}-gateway")]);
        }
        service.state = Some(state_folder());
        service.value_options = ["--profile", "--log-level", "--container"].map(OsString::from).to_vec();
        service.instance_options = vec![
            InstanceOption { name: "--profile".into(), stands_for: None },
            InstanceOption { name: "--dev".into(), stands_for: Some("dev".into()) },
        ];
        service.option_keys = [("openclaw", "OPENCLAW"), ("clawdbot", "CLAWDBOT"), ("moltbot", "CLAWDBOT")]
            .map(|(package, prefix)| (package.to_owned(), format!("{prefix}_PROFILE").into()))
            .to_vec();
        service
    }

    /// The service that this crate knows under the name. `openclaw` is the only one so far.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        (name == "openclaw").then(Self::openclaw)
    }
}

fn lock(folder: &str) -> LockName {
    LockName { folder: folder.to_owned(), kind: "gateway".to_owned() }
}

/// The variable of a profile does not change it: the option and the units set the variable of the folder. The older
/// brands keep their lock elsewhere, and start beside another instance.
fn state_folder() -> StateFolder {
    StateFolder {
        key: "OPENCLAW_STATE_DIR".to_owned(),
        name: ".openclaw".to_owned(),
        home_key: "OPENCLAW_HOME".to_owned(),
        lock: lock("openclaw"),
    }
}
