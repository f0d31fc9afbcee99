//! A free port costs one bind, and the program says nothing about it.

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(a_free_port_costs_one_bind), case!(a_free_port_is_silent)]
}

fn a_free_port_costs_one_bind() {
    let (run, calls) = Portclear::new(&["18789"]).traced().record();
    assert_eq!(run.status, 0, "{run}");
    let cost = Cost::of(&calls);
    assert_eq!((cost.binds, cost.listens, cost.netlink, cost.folders, cost.others), (1, 0, 0, 0, 0));
    // Rust's runtime looks there for the end of its stack.
    assert_eq!(cost.proc, ["/proc/self/maps"]);

    // A held port costs more, so the count sees what it counts.
    let _foreign = Fixture::other("127.0.0.1:18789").start();
    let (run, calls) = Portclear::new(&["18789"]).traced().record();
    assert_eq!(run.status, 3, "{run}");
    let cost = Cost::of(&calls);
    // portclear asks for listeners alone, and does not ask again for all sockets.
    assert_eq!(cost.netlink, 1, "{run}");
    assert!(cost.folders > 0 && cost.others > 0 && cost.proc.len() > 9);
}

/// What a run asked of the kernel.
struct Cost {
    binds: usize,
    listens: usize,
    netlink: usize,
    folders: usize,
    /// Calls that concern another process, or make one.
    others: usize,
    proc: Vec<String>,
}

impl Cost {
    fn of(calls: &[Call]) -> Self {
        let count = |numbers: &[libc::c_long]| calls.iter().filter(|c| numbers.contains(&c.number)).count();
        let netlink = |call: &&Call| {
            call.number == libc::SYS_socket && call.arguments[0] == u64::from(libc::AF_NETLINK.unsigned_abs())
        };
        let proc = calls.iter().filter_map(|call| call.path.clone()).filter(|path| path.starts_with("/proc"));
        Self {
            binds: count(&[libc::SYS_bind]),
            listens: count(&[libc::SYS_listen]),
            netlink: calls.iter().filter(netlink).count(),
            folders: count(&[libc::SYS_getdents64]),
            others: count(&[
                libc::SYS_clone,
                libc::SYS_clone3,
                libc::SYS_execve,
                libc::SYS_kill,
                libc::SYS_tgkill,
                libc::SYS_pidfd_open,
                libc::SYS_pidfd_send_signal,
            ]),
            proc: proc.collect(),
        }
    }
}

fn a_free_port_is_silent() {
    let bystander = Bystander::start();
    for line in [&["18789"][..], &["18789", "-n"], &["18789", "--color", "always"], &["18789", "localhost:1"]] {
        let run = portclear(line);
        assert_eq!((run.status, &run.stdout[..], &run.stderr[..]), (0, "", ""), "{line:?}");
    }
    let run = portclear(&["-v", "18789"]);
    assert_eq!((run.status, &run.stdout[..], &run.stderr[..]), (0, "portclear: port 18789: free\n", ""));
    bystander.answers();
}
