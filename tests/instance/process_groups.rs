//! No process group is ever signalled. The caller's group lives, and so do strangers in the target's group.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(f03_a_target_in_the_callers_process_group_ends_alone),
        case!(f03_a_member_of_the_targets_process_group_lives),
    ]
}

fn group(process: &Proc) -> i32 {
    process.stat().pgrp
}

fn f03_a_target_in_the_callers_process_group_ends_alone() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let below = Fixture::mcp().start_below(&gateway);
    let sibling = Fixture::other("127.0.0.1:18791").start();
    let running = Portclear::new(&TREE).spawn();
    let callers = group(running.process());
    let run = running.finish();
    assert_eq!(run.status, 0, "{run}");
    let own = nix::unistd::getpgrp().as_raw();
    assert_eq!([callers, group(sibling.process())], [own, own]);
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    sibling.answers();
    lives(&run, &sibling);
    bystander.answers();
}

/// In a pid namespace, a process whose group leader is outside has group 0. kill(2) takes 0 for the caller's own
/// group.
fn f03_a_member_of_the_targets_process_group_lives() {
    let namespace = PidNs::new();
    let bystander = Bystander::start();
    let shell = Fixture::silent().marked(false).package("shell").inside(&namespace).start();
    let leads = "import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])";
    let joins = "import os, sys; os.setpgid(0, int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])";
    let python = "/usr/bin/python3";
    let gateway = Fixture::gateway().behind(&[python, "-c", leads]).start_below(&shell);
    let leader = gateway.inner_pid().to_string();
    let member = Fixture::other("127.0.0.1:18791").behind(&[python, "-c", joins, &leader]).start_below(&shell);
    assert_eq!(group(gateway.process()), i32::try_from(gateway.pid()).unwrap());
    assert_eq!(group(member.process()), group(gateway.process()));
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    member.answers();
    lives(&run, &member);

    let gateway = Fixture::gateway().inside(&namespace).start();
    let below = Fixture::mcp().start_below(&gateway);
    let field = |pid| format!(r#"test "$(cut -d ' ' -f 5 /proc/{pid}/stat)" = 0"#);
    namespace.sh(&field(gateway.inner_pid()));
    namespace.sh(&field(shell.inner_pid()));
    let run = Portclear::new(&TREE).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    ended(&run, &gateway, "holder", "stale-instance");
    ended(&run, &below, "offspring", "tree");
    member.answers();
    for fixture in [&member, &shell, namespace.init()] {
        lives(&run, fixture);
    }
    bystander.answers();
}
