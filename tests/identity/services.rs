//! Older brands of the service are found, and so is any service that the caller describes.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b05_older_brands_are_known_by_their_markers),
        case!(b05_older_brands_are_known_by_their_packages),
        case!(b05_another_service_is_known_by_marker_and_runtime),
        case!(b05_another_service_is_known_by_executable_or_package),
    ]
}

/// The gateway is ended for this reason, while a bystander lives.
#[track_caller]
pub(super) fn is_found(gateway: Builder, options: &[&str], because: &str) {
    let bystander = Bystander::start();
    let gateway = gateway.start();
    let run = portclear(&[options, &JSON].concat());
    instances_ended(&run, &[gateway.process()]);
    assert!(reason(&run, gateway.process()).ends_with(because), "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

#[track_caller]
pub(super) fn is_foreign(other: Builder, options: &[&str]) {
    let other = other.start();
    let run = portclear(&[options, &JSON].concat());
    left_alone(&run, &[(other.process(), "foreign")]);
    assert_eq!(other.signals(), [""; 0]);
    other.answers();
}

fn b05_older_brands_are_known_by_their_markers() {
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

fn b05_older_brands_are_known_by_their_packages() {
    for brand in ["clawdbot", "moltbot"] {
        let because = format!("its script lies in package {brand}");
        is_found(Fixture::gateway().marked(false).package(brand), &[], &because);
    }
    is_foreign(Fixture::gateway().marked(false).package("clawdbot-extras"), &[]);
}

fn b05_another_service_is_known_by_marker_and_runtime() {
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
    // A runtime that is given as a path is this one file, even if another file has the same name.
    let [app, other] = [GATEWAY, "[::1]:18789"].map(|address| api_on(address).start());
    let options = ["--runtime", app.exe().to_str().unwrap(), "--marker", "MY_APP_SERVICE=api", "--json"];
    let run = portclear(&[&options[..], &["[::1]:18789"]].concat());
    left_alone(&run, &[(other.process(), "offspring")]);
    instances_ended(&portclear(&[&options[..], &[GATEWAY]].concat()), &[app.process()]);
    other.answers();
}

fn b05_another_service_is_known_by_executable_or_package() {
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
    instances_ended(&run, &[app.process()]);
    assert!(reason(&run, app.process()).ends_with("it executes the service's own executable"), "{run}");
    rival.answers();
    assert_eq!(rival.signals(), [""; 0]);
    bystander.answers();
}
