//! A gateway may get its profile as an argument. A caller with another profile then spares it.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a12_a_profile_given_as_an_argument_counts),
        case!(a12_a_profile_argument_without_a_known_script_does_not_count),
    ]
}

const PORT: &str = "18789";

/// The caller is an instance with this profile.
#[track_caller]
fn asked(profile: Option<&str>) -> Run {
    let run = MARKERS.iter().fold(Portclear::new(&[PORT, "--json"]), |run, (key, value)| run.env(key, *value));
    profile.into_iter().fold(run, |run, profile| run.env("OPENCLAW_PROFILE", profile)).run()
}

fn a12_a_profile_given_as_an_argument_counts() {
    let bystander = Bystander::start();
    // arguments, profile in a variable, profiles of callers that spare it, profile of a caller that ends it
    type Row<'a> = (&'a [&'a str], Option<&'a str>, &'a [Option<&'a str>], Option<&'a str>);
    let table: [Row<'_>; 6] = [
        (&["--profile", "work", "gateway"], None, &[None, Some("wor"), Some("gateway")], Some("work")),
        (&["--profile=work", "gateway"], Some("home"), &[None, Some("home")], Some("work")),
        (&["gateway", "--port", PORT, "--profile", "work"], None, &[None], Some("work")),
        (&["--dev", "gateway"], None, &[None, Some("work")], Some("dev")),
        // This is the gateway's own `--dev`, which names no profile.
        (&["gateway", "--dev"], None, &[Some("dev")], None),
        (&["gateway", "--", "--profile", "work"], Some("home"), &[None, Some("work")], Some("home")),
    ];
    for (arguments, variable, others, same) in table {
        let gateway = Fixture::gateway().marked(false).args(arguments);
        let gateway = variable.into_iter().fold(gateway, |gateway, profile| gateway.env("OPENCLAW_PROFILE", profile));
        let gateway = gateway.start();
        for other in others {
            let run = asked(*other);
            let reason = spared(&run, 3, gateway.pid(), "other-instance");
            assert_eq!(reason, "an instance of another profile or state folder than the caller's");
            gateway.answers();
            assert_eq!(gateway.signals(), [""; 0], "{arguments:?} asked by {other:?}: {run}");
        }
        cleared(&asked(same), gateway.pid(), "stale-instance", &["SIGTERM"]);
        gateway.has_ended();
    }
    // A caller that is no instance has no profile.
    let gateway = Fixture::gateway().args(&["--profile", "work", "gateway"]).start();
    cleared(&portclear(&[PORT, "--json"]), gateway.pid(), "stale-instance", &["SIGTERM"]);
    gateway.has_ended();
    bystander.answers();
}

/// Without a known script, `--profile` may be an option of the service or of the runtime.
fn a12_a_profile_argument_without_a_known_script_does_not_count() {
    let bystander = Bystander::start();
    for gateway in [Fixture::gateway().no_package(), Fixture::gateway()] {
        let gateway = gateway.args(&["--profile", "work", "gateway"]).env("OPENCLAW_PROFILE", "home").start();
        let package = gateway.root().join("openclaw/package.json").exists();
        if package {
            gateway.set_title(b"openclaw-gateway");
        }
        spared(&asked(Some("work")), 3, gateway.pid(), "other-instance");
        cleared(&asked(Some("home")), gateway.pid(), "stale-instance", &["SIGTERM"]);
        gateway.has_ended();
    }
    bystander.answers();
}
