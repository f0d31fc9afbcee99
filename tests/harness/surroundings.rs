//! The networks, pid namespaces, users and tracers around a fixture are what they claim to be.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(each_thread_has_a_network_of_its_own),
        case!(portclear_ends_a_gateway_and_nobody_else),
        case!(portclear_runs_below_a_gateway),
        case!(a_real_node_runs_with_workers, Needs::Node),
        case!(a_pid_namespace_has_pids_of_its_own),
        case!(a_gateway_runs_as_pid_1),
        case!(portclear_stops_before_its_signal),
        case!(a_pid_is_reused_at_will),
        case!(a_process_is_held_at_its_end),
        case!(other_users_see_no_hidden_pids, Needs::Root),
        case!(nothing_outlives_a_test),
    ]
}

fn each_thread_has_a_network_of_its_own() {
    let link = |thread: &str| fs::read_link(format!("/proc/{thread}/ns/net")).unwrap();
    assert_ne!(link("thread-self"), link("self"));
    assert!(can_bind(GATEWAY) && can_bind("[::1]:18789"));
    let parallel = std::thread::spawn(|| {
        crate::support::net::isolate();
        let gateway = Fixture::gateway().start();
        gateway.answers();
    });
    let gateway = Fixture::gateway().start();
    gateway.answers();
    parallel.join().unwrap();
}

fn portclear_ends_a_gateway_and_nobody_else() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    assert!(!can_bind(GATEWAY));
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert!(run.elapsed < Duration::from_secs(5), "{run}");
    gateway.has_ended();
    assert_eq!(gateway.process().state(), Some('Z'));
    assert_eq!(gateway.signals(), ["TERM"]);
    assert_eq!(gateway.status().code(), Some(0));
    assert!(can_bind(GATEWAY));
    bystander.answers();
    let run = Portclear::new(&["18789", "--json"]).without_environment().run();
    assert_eq!(run.status, 0, "{run}");
    assert!(run.json().is_object(), "{run}");
}

fn portclear_runs_below_a_gateway() {
    let gateway = Fixture::gateway().start();
    let run = gateway.portclear(&["18789"], &[]);
    assert_eq!(run.status, 3, "{run}");
    gateway.answers();
    assert_eq!(gateway.signals(), [""; 0]);
    let show = ["/bin/sh", "-c", r#"echo "$X" "$OPENCLAW_SERVICE_KIND"; exit 7"#];
    let run = gateway.run(&show, &[("X", "y")], true);
    assert_eq!((run.status, &run.stdout[..]), (7, "y gateway\n"), "{run}");
    let parent = ["/bin/sh", "-c", "grep ^PPid: /proc/$PPID/status | tr -dc 0-9"];
    let up = |reparented| gateway.run(&parent, &[], reparented).stdout.trim().parse::<u32>().unwrap();
    assert_eq!(up(false), std::process::id());
    assert_ne!(up(true), gateway.pid());
    gateway.answers();
}

fn a_real_node_runs_with_workers() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().real_node().title("openclaw-gateway").workers(2).start();
    gateway.answers();
    let argv = fs::read(format!("/proc/{}/cmdline", gateway.pid())).unwrap();
    assert!(argv.starts_with(b"openclaw-gateway\0"));
    assert_eq!(gateway.workers().len(), 2);
    assert_eq!(gateway.signals(), [""; 0]);
    let run = portclear(&["18789"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(gateway.signals(), ["TERM"]);
    gateway.workers().iter().for_each(Proc::has_ended);
    bystander.answers();
    let gateway = Fixture::gateway_on("[::1]:18789").real_node().on_term(OnTerm::Ignore).start();
    gateway.answers();
}

fn a_pid_namespace_has_pids_of_its_own() {
    let bystander = Bystander::start();
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    assert_ne!(gateway.pid(), gateway.inner_pid());
    assert_eq!(namespace.outer(1), namespace.init().pid());
    gateway.answers();
    let child = gateway.fork();
    child.kill();
    namespace.next_pid(4000);
    let wanted = Fixture::other("127.0.0.1:18791").inside(&namespace).start();
    assert_eq!(wanted.inner_pid(), 4000);
    let run = Portclear::new(&["18789"]).inside(&namespace).run();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    wanted.answers();
    drop(namespace);
    wanted.has_ended();
    bystander.answers();
}

fn a_gateway_runs_as_pid_1() {
    let namespace = PidNs::under(Fixture::gateway());
    let gateway = namespace.init();
    assert_eq!(gateway.inner_pid(), 1);
    let run = Portclear::new(&["18789"]).inside(&namespace).run();
    assert_eq!(run.status, 3, "{run}");
    assert_eq!(gateway.signals(), [""; 0]);
    gateway.answers();
}

fn portclear_stops_before_its_signal() {
    let gateway = Fixture::gateway().start();
    let mut run = Portclear::new(&["18789"]).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    assert_eq!(gateway.signals(), [""; 0]);
    assert_eq!(run.process().state(), Some('t'));
    run.run_to_call(libc::SYS_pidfd_send_signal, |arguments| arguments[1] == libc::SIGCONT as u64);
    until("signalled", || !gateway.is_alive());
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    let dropped = Portclear::new(&["18789"]).traced();
    let process = Proc::of(dropped.process().pid());
    drop(dropped);
    process.has_ended();
}

fn a_pid_is_reused_at_will() {
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let mut run = Portclear::new(&["18789"]).inside(&namespace).traced();
    run.run_to(libc::SYS_pidfd_send_signal);
    gateway.process().kill();
    // The pid is free only once the process is reaped.
    gateway.status();
    namespace.next_pid(gateway.inner_pid());
    let heir = Fixture::other("127.0.0.1:18791").inside(&namespace).start();
    assert_eq!(heir.inner_pid(), gateway.inner_pid());
    let run = run.finish();
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(heir.signals(), [""; 0]);
    heir.answers();
    let unfinished = Portclear::new(&["18791"]).inside(&namespace).traced();
    drop(unfinished);
}

fn a_process_is_held_at_its_end() {
    let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
    let hold = hold_at_exit(&gateway);
    let run = portclear(&["18789", "--grace", "100ms"]);
    assert_eq!(run.status, 5, "{run}");
    hold.is_held();
    assert!(gateway.is_alive() && !can_bind(GATEWAY));
    drop(hold);
    gateway.has_ended();
    assert!(can_bind(GATEWAY));
}

fn other_users_see_no_hidden_pids() {
    let namespace = PidNs::new();
    let gateway = Fixture::gateway().inside(&namespace).start();
    let look = || Portclear::new(&["18789"]).uid(NOBODY).inside(&namespace).run();
    let seen = "setpriv --reuid=65534 --regid=65534 --clear-groups test -e /proc/1";
    namespace.sh(seen);
    let visible = look();
    namespace.hide_pids();
    namespace.sh(&format!("! {seen}"));
    let hidden = look();
    assert_eq!((visible.status, hidden.status), (4, 4), "{visible}\n{hidden}");
    gateway.answers();
    drop(gateway);
    let gateway = Fixture::gateway().uid(NOBODY).start();
    let owner = || fs::metadata(format!("/proc/{}", gateway.pid())).unwrap().uid();
    assert_eq!(owner(), NOBODY);
    let run = Portclear::new(&["18789"]).uid(NOBODY).run();
    assert_eq!(run.status, 0, "{run}");
    gateway.has_ended();
    let other = Fixture::gateway().uid(NOBODY).start();
    other.undumpable();
    let run = Portclear::new(&["18789"]).uid(NOBODY).run();
    assert_eq!(run.status, 4, "{run}");
    other.answers();
}

fn nothing_outlives_a_test() {
    let (send, receive) = std::sync::mpsc::channel();
    let leak = std::thread::spawn(move || {
        crate::support::net::isolate();
        let gateway = Fixture::gateway().on_term(OnTerm::Ignore).start();
        let namespace = PidNs::new();
        for fixture in [&gateway, namespace.init()] {
            send.send((Proc::of(fixture.pid()), fixture.root().to_owned())).unwrap();
        }
        gateway.process().stop();
        std::mem::forget((gateway, namespace));
        // This is what a panic does, without its message.
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(leak.join().is_err());
    for (process, root) in receive {
        process.has_ended();
        fs::remove_dir_all(root).unwrap();
    }
}
