//! A process above an instance that runs another program lives. So does everything else that it started.

use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(b04_a_supervisor_that_hides_its_script_lives),
        case!(f03_a_shell_above_a_gateway_lives),
        case!(f03_a_shell_above_a_gateway_lives_without_its_parent),
    ]
}

/// A process manager that runs on the service's own runtime. Its environment has the marker.
fn b04_a_supervisor_that_hides_its_script_lives() {
    let bystander = Bystander::start();
    let supervisor = Fixture::silent().package("keeper").start();
    supervisor.set_title(b"keeper 1.2: daemon");
    let gateway = Fixture::gateway().start_below(&supervisor);
    let other = Fixture::other(SECOND).marked(false).start_below(&supervisor);
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    for fixture in [&supervisor, &other] {
        lives(&run, fixture);
        assert_eq!(fixture.signals(), [""; 0], "{run}");
    }
    other.answers();
    bystander.answers();
}

const RUN: &str = "0123456789abcdef0123456789abcdef";

/// The default grace. A process that waits for another in vain waits for half of it.
const GRACE: Duration = Duration::from_secs(10);

/// A gateway with an MCP server runs below a shell, beside other work. The shell carries the gateway's marker and
/// run.
fn below_a_shell(namespace: &PidNs, shell: &Fixture) {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().env("INVOCATION_ID", RUN).start_below(shell);
    let server = Fixture::mcp().env("INVOCATION_ID", RUN).start_below(&gateway);
    let work = Fixture::mcp().env("INVOCATION_ID", RUN).start_below(shell);
    let run = Portclear::new(&TREE).inside(namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &server, "offspring", "tree");
    lives(&run, shell);
    lives(&run, &work);
    assert_eq!(run.processes().len(), 2, "{run}");
    assert!(run.elapsed < GRACE / 2, "{run}");
    bystander.answers();
}

fn f03_a_shell_above_a_gateway_lives() {
    let namespace = PidNs::new();
    below_a_shell(&namespace, &Fixture::mcp().env("INVOCATION_ID", RUN).inside(&namespace).start());
}

fn f03_a_shell_above_a_gateway_lives_without_its_parent() {
    let namespace = PidNs::new();
    below_a_shell(&namespace, &namespace.orphan(Fixture::mcp().env("INVOCATION_ID", RUN)));
}
