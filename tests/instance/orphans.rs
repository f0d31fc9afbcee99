//! Offspring that has lost its parent is known by its run. Each test has a pid namespace, or it would find the
//! orphans of other tests.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(f02_an_orphan_is_told_by_its_run), case!(f02_orphans_of_a_run_that_two_share_are_spared)]
}

const RUN: &str = "6f02a1d4c58e4b7f9a3d2c1b0e9f8a7d";

const ANOTHER: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn of_run(builder: Builder, run: &str) -> Builder {
    builder.env("INVOCATION_ID", run)
}

fn f02_an_orphan_is_told_by_its_run() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let mcp = || Fixture::silent().package("mcp");
    let orphan = |builder| namespace.orphan(builder);
    let own = orphan(of_run(mcp(), RUN));
    let spared = [
        orphan(mcp()),
        orphan(of_run(mcp(), ANOTHER)),
        orphan(of_run(mcp(), RUN).env("OPENCLAW_PROFILE", "work")),
        orphan(of_run(mcp(), RUN).marked(false)),
    ];
    let gateway = of_run(Fixture::gateway(), RUN).inside(&namespace).start();
    let look = Portclear::new(&["18789", "--json", "--dry-run"]).inside(&namespace).run();
    assert_eq!(look.json()["ports"][0]["remainder"]["count"], 1, "{look}");
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &own, "offspring", "tree");
    spared.iter().for_each(|orphan| lives(&run, orphan));
    assert_eq!(run.processes().len(), 2, "{run}");

    // An instance without a run of its own has no orphans.
    let gateway = Fixture::gateway().inside(&namespace).start();
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    spared.iter().for_each(|orphan| lives(&run, orphan));
    lives(&run, namespace.init());
    bystander.answers();
}

/// Two gateways that were started from one terminal share a run.
fn f02_orphans_of_a_run_that_two_share_are_spared() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let orphan = namespace.orphan(of_run(Fixture::silent().package("mcp"), RUN));
    let gateway = of_run(Fixture::gateway(), RUN).inside(&namespace).start();
    let second = of_run(Fixture::gateway_on("127.0.0.1:18791"), RUN).inside(&namespace).start();
    let below = Fixture::silent().package("mcp").start_below(&gateway);
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    for fixture in [&orphan, &second, namespace.init()] {
        lives(&run, fixture);
    }
    second.answers();
    // The first gateway is gone, so the orphan belongs to the second one alone.
    let run = Portclear::new(&["18791", "--json", "--tree"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &second, "holder", "stale-instance");
    ended(&run, &orphan, "offspring", "tree");
    bystander.answers();
}
