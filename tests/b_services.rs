//! Found whose service it is and whoever started it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::b_missing::{GATEWAY, JSON, cleared, holder, is_foreign, is_found, left_alone, reason};
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b05_the_older_brands_by_their_markers),
        case!(b05_the_older_brands_by_their_packages),
        case!(b05_another_service_by_marker_and_runtime),
        case!(b05_another_service_by_executable_or_package),
        case!(b06_started_by_hand_the_package_is_enough),
        case!(b06_started_by_hand_through_a_link_and_a_relative_path),
        case!(b06_without_the_subcommand_it_says_what_would_do),
    ]
}

fn b05_the_older_brands_by_their_markers() {
    let marked = |prefix: &str, brand: &str| {
        let gateway = Fixture::gateway().marked(false).no_package();
        let gateway = gateway.env(format!("{prefix}_SERVICE_MARKER"), brand);
        gateway.env(format!("{prefix}_SERVICE_KIND"), "gateway")
    };
    let because = "it carries the marker and runs the service's runtime";
    for (prefix, brand) in [("CLAWDBOT", "clawdbot"), ("CLAWDBOT", "moltbot"), ("MOLTBOT", "moltbot")] {
        is_found(marked(prefix, brand), &[], because);
    }
    is_foreign(marked("CLAWDBOT", "openclaw"), &[]);
    is_foreign(marked("CLAWDBOT", "clawdbot").env("CLAWDBOT_SERVICE_KIND", "node"), &[]);
}

fn b05_the_older_brands_by_their_packages() {
    for brand in ["clawdbot", "moltbot"] {
        let because = format!("its script lies in package {brand}");
        is_found(Fixture::gateway().marked(false).package(brand), &[], &because);
    }
    is_foreign(Fixture::gateway().marked(false).package("clawdbot-extras"), &[]);
}

fn b05_another_service_by_marker_and_runtime() {
    let api_on = |address| {
        let service = Fixture::gateway_on(address).marked(false).no_package();
        let service = service.exe_name("python3.11").args(&["serve"]);
        service.env("MY_APP_SERVICE", "api").env("MY_APP_ROLE", "main")
    };
    let api = || api_on(GATEWAY);
    let because = "it carries the marker and runs the service's runtime";
    is_found(api(), &["--runtime", "python3", "--marker", "MY_APP_SERVICE=api"], because);
    let both = ["--runtime", "python", "--marker", "MY_APP_SERVICE=api", "--marker", "MY_APP_ROLE=main"];
    is_found(api(), &both, because);
    is_foreign(api(), &[]);
    is_foreign(api().env("MY_APP_ROLE", "spare"), &both);
    is_foreign(api(), &["--runtime", "python3", "--marker", "MY_APP_SERVICE=web"]);
    // By its path a runtime is one file, whatever else has its name.
    let [app, other] = [GATEWAY, "[::1]:18789"].map(|address| api_on(address).start());
    let options = ["--runtime", app.exe().to_str().unwrap(), "--marker", "MY_APP_SERVICE=api", "--json"];
    let run = portclear(&[&options[..], &["[::1]:18789"]].concat());
    left_alone(&run, &[(other.process(), "offspring")]);
    cleared(&portclear(&[&options[..], &[GATEWAY]].concat()), &[app.process()]);
    other.answers();
}

fn b05_another_service_by_executable_or_package() {
    let service = || Fixture::other(GATEWAY).package("my-app");
    is_foreign(service(), &["--package", "my-ap", "--package", "my-app-2"]);
    is_foreign(service(), &[]);
    is_found(service(), &["--package", "my-ap", "--package", "my-app"], "its script lies in package my-app");

    let bystander = Bystander::start();
    let [app, rival] = [GATEWAY, "[::1]:18789"].map(|at| Fixture::other(at).exe_name("my-app").start());
    let path = app.exe().to_str().unwrap();
    left_alone(&portclear(&["--json", GATEWAY]), &[(app.process(), "foreign")]);
    let run = portclear(&["--exe", path, "--json", "[::1]:18789"]);
    left_alone(&run, &[(rival.process(), "foreign")]);
    let run = portclear(&["--exe", path, "--json", GATEWAY]);
    cleared(&run, &[app.process()]);
    assert!(reason(&run, app.process()).ends_with("it executes the service's own executable"), "{run}");
    rival.answers();
    assert_eq!(rival.signals(), [""; 0]);
    bystander.answers();
}

fn b06_started_by_hand_the_package_is_enough() {
    let by_hand = || Fixture::gateway().marked(false);
    let because = "its script lies in package openclaw";
    is_found(by_hand(), &[], because);
    is_found(by_hand().args(&["--profile", "agent", "--dev", "gateway"]), &[], because);
}

fn b06_started_by_hand_through_a_link_and_a_relative_path() {
    let bystander = Bystander::start();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    for (script, pwd) in [("openclaw", folder.as_path()), ("./openclaw", "/".as_ref())] {
        let gateway = Fixture::gateway().marked(false).cwd(&folder).start();
        let link = folder.join("openclaw");
        symlink(gateway.script(), &link).unwrap();
        let exec = |script: &str, pwd: &Path| {
            gateway.exec(
                &[gateway.exe().to_str().unwrap(), script, "gateway"],
                &[("PWD", pwd.to_str().unwrap())],
            );
        };
        exec(script, pwd);
        if pwd != folder {
            // It is in another folder than it was started in: its relative path may have named another file.
            left_alone(&portclear(&JSON), &[(gateway.process(), "foreign")]);
            gateway.answers();
            exec(link.to_str().unwrap(), pwd);
        }
        let run = portclear(&JSON);
        cleared(&run, &[gateway.process()]);
        assert!(reason(&run, gateway.process()).ends_with("its script lies in package openclaw"), "{run}");
        fs::remove_file(link).unwrap();
    }
    bystander.answers();
}

fn b06_without_the_subcommand_it_says_what_would_do() {
    let bystander = Bystander::start();
    let agent = || Fixture::gateway().marked(false).args(&["--profile", "gateway", "agent"]);
    is_foreign(agent(), &[]);
    let other = agent().start();
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 3, "{run}");
    let said = "held, and left alone: nothing was signalled; --any-owner ends it all the same, \
                --marker, --exe or --package say what your service looks like\n";
    assert!(run.stdout.ends_with(said), "{run}");
    other.answers();
    // What it says would be enough is enough.
    let run = portclear(&["--any-owner", "--dry-run", "--json", "18789"]);
    let port = &run.json()["ports"][0];
    assert_eq!((run.status, &port["status"]), (0, &"would-clear".into()), "{run}");
    assert_eq!(holder(&run, other.process())["rule"], "any-owner", "{run}");
    other.answers();
    drop(other);
    bystander.answers();
    drop(bystander);
    is_found(agent(), &["--package", "openclaw"], "its script lies in package openclaw");
}
