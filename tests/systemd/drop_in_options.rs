//! `portclear unit` passes the options of its call on to the hook.

use super::drop_in::verify;
use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    both![b13_the_drop_in_with_options_works]
}

/// The hook has all options of the call, for all its ports. It runs in another unit than the holders, so the options
/// alone say what they are.
fn b13_the_drop_in_with_options_works(sd: &Sd) {
    let bystander = sd.bystander();
    let package = "my-app ${HOME} 100%n";
    let ports = [sd.port(), sd.port()];
    let left_over = ports.map(|port| {
        let app = sd.install(sd.gateway(port).marked(false).package(package).forks_listener());
        let unit = sd.unit(&format!("app{port}.service"), &format!("[Service]\n{app}KillMode=process\n"));
        unit.start();
        let left_over = sd.process(sd.until_answers(port));
        unit.stop();
        (app, unit, left_over)
    });
    let unit = sd.unit("server.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let [first, second] = ports.map(|port| port.to_string());
    let ask = |options: &[&str]| {
        let run = sd.portclear(&[&["unit", "--unit", unit.name(), &first, &second], options].concat());
        assert_eq!(run.status, 0, "{run}");
        unit.drop_in("override.conf", &run.stdout);
        verify(sd, &unit);
        (unit.try_start(), run)
    };
    // Another package's name: the start fails, and nobody is touched.
    let (start, run) = ask(&["--package", "my-app"]);
    assert_ne!(start.status, 0, "{run}");
    assert!(left_over.iter().all(|(_, _, process)| process.is_alive()), "{run}");
    let (start, run) = ask(&["--package", package, "--grace", "9", "--settle", "0", "--signal", "2", "--tree"]);
    assert_eq!(start.status, 0, "{run}\n{start}");
    for (_, _, process) in &left_over {
        process.has_ended();
    }
    bystander.answers();
}
