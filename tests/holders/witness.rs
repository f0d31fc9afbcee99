//! Whatever sockets there are, portclear sees the same listeners and holders as netstat2 and ss.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;

use netstat2::{AddressFamilyFlags, ProtocolFlags, ProtocolSocketInfo, TcpState};
use portclear::{Policy, PortSpec, Service};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(b07_random_sockets_are_seen_as_others_see_them)]
}

const PORTS: [u16; 3] = [18789, 18790, 18791];

const HOSTS: [&str; 6] = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.3]"];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Listen,
    ReusePort,
    V6Only,
    Bound,
    Connected,
}

#[derive(Clone, Debug)]
struct Program {
    sockets: Vec<(usize, usize, Kind)>,
    forks: bool,
    duplicates: bool,
}

fn programs() -> impl Strategy<Value = Vec<Program>> {
    let kind = prop_oneof![
        4 => Just(Kind::Listen), 2 => Just(Kind::ReusePort), 1 => Just(Kind::V6Only), 1 => Just(Kind::Bound),
        2 => Just(Kind::Connected),
    ];
    let sockets = prop::collection::vec((0..PORTS.len(), 0..HOSTS.len(), kind), 0..4);
    let program = (sockets, any::<bool>(), any::<bool>());
    let program = program.prop_map(|(sockets, forks, duplicates)| Program { sockets, forks, duplicates });
    prop::collection::vec(program, 1..4)
}

/// Starts all sockets that do not conflict. A socket that cannot start would prove nothing.
fn start(programs: &[Program]) -> (Vec<Fixture>, Vec<Proc>) {
    let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
    let (mut fixtures, mut children) = (Vec::new(), Vec::new());
    for program in programs {
        let mut builder = Fixture::silent();
        let mut connections = Vec::new();
        for (port, host, kind) in &program.sockets {
            let wild = |host: usize| matches!(HOSTS[host], "0.0.0.0" | "[::]");
            let free = !taken.iter().any(|(p, h)| p == port && (h == host || wild(*h) || wild(*host)));
            let at = format!("{}:{}", HOSTS[*host], PORTS[*port]);
            match kind {
                _ if !free => continue,
                // A connection from the port to elsewhere is a socket of the port that does not listen.
                Kind::Connected if HOSTS[*host] == "127.0.0.2" => connections.push(at),
                Kind::Connected => continue,
                Kind::Listen => builder = builder.listen(&at),
                Kind::ReusePort => builder = builder.listen_reuseport(&at),
                Kind::V6Only if HOSTS[*host].contains("::") && !HOSTS[*host].contains("ffff") => {
                    builder = builder.listen_v6only(&at);
                }
                Kind::V6Only => continue,
                Kind::Bound => builder = builder.bound(&at),
            }
            taken.insert((*port, *host));
        }
        let fixture = builder.start();
        for from in connections {
            fixture.connect(&from, "127.0.0.1:19000");
        }
        if program.duplicates {
            fixture.dup();
        }
        if program.forks {
            children.push(fixture.fork());
        }
        fixtures.push(fixture);
    }
    (fixtures, children)
}

type Seen = BTreeSet<(IpAddr, u64, u32)>;

/// What netstat2 sees: the listeners of a port, and the pids that hold them.
#[allow(clippy::disallowed_methods, reason = "as a witness, on purpose")]
fn netstat2(port: u16) -> (Seen, BTreeSet<u32>) {
    let families = AddressFamilyFlags::IPV4 | AddressFamilyFlags::IPV6;
    let (mut listeners, mut pids) = (Seen::new(), BTreeSet::new());
    for socket in netstat2::iterate_sockets_info(families, ProtocolFlags::TCP).unwrap() {
        let socket = socket.unwrap();
        if let ProtocolSocketInfo::Tcp(tcp) = &socket.protocol_socket_info
            && (tcp.local_port, tcp.state) == (port, TcpState::Listen)
        {
            listeners.insert((tcp.local_addr, socket.inode.into(), socket.uid));
            pids.extend(socket.associated_pids.iter().copied());
        }
    }
    (listeners, pids)
}

/// What ss sees: the inodes of a port's listeners, and the pids that hold them.
fn ss(port: u16) -> (BTreeSet<u64>, BTreeSet<u32>) {
    let filter = format!("sport = :{port}");
    let output = Command::new("ss").args(["-Hltnpe", &filter]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = |mark: &str| -> Vec<u64> {
        let after = text.split(mark).skip(1);
        after.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()).collect()
    };
    (numbers(" ino:").into_iter().collect(), numbers("pid=").into_iter().map(|pid| pid as u32).collect())
}

fn b07_random_sockets_are_seen_as_others_see_them() {
    let policy = Policy::new(Service::openclaw());
    let seen = Cell::new(0);
    // There is no file of failures: another run has other sockets.
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    let result = TestRunner::new(config).run(&programs(), |programs| {
        // Each case has a network of its own: an earlier one may have left a socket in TIME_WAIT, or a child about to
        // end.
        net::isolate();
        let _server = Fixture::other("127.0.0.1:19000").start();
        let (fixtures, children) = start(&programs);
        for port in PORTS {
            let spec: PortSpec = port.to_string().parse().unwrap();
            let report = portclear::inspect(&[spec], &policy);
            let report = &report.ports[0];
            let listeners: Seen = report.listeners.iter().map(|l| (l.local.ip(), l.inode, l.uid)).collect();
            let holders: BTreeSet<u32> = report.holders.iter().map(|holder| holder.process.facts.id.pid).collect();
            let inodes: BTreeSet<u64> = listeners.iter().map(|(_, inode, _)| *inode).collect();
            let what = || format!("port {port}: {report:?}");
            let ours = (listeners, holders.clone());
            if ours != netstat2(port) || (inodes, holders) != ss(port) {
                return Err(TestCaseError::fail(what()));
            }
            seen.set(seen.get() + ours.0.len());
            // portclear also knows which sockets each holder has.
            for holder in &report.holders {
                let pid = holder.process.facts.id.pid;
                let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
                let links: BTreeSet<_> = links.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
                let held = report.listeners.iter().map(|listener| listener.inode);
                let held: Vec<u64> =
                    held.filter(|inode| links.contains(std::path::Path::new(&format!("socket:[{inode}]")))).collect();
                prop_assert_eq!(BTreeSet::from_iter(held), holder.process.inodes.iter().copied().collect());
            }
        }
        assert!(fixtures.iter().all(Fixture::is_alive) && children.iter().all(Proc::is_alive));
        Ok(())
    });
    result.unwrap();
    // Enough of the random sockets were listeners.
    assert!(seen.get() > 10, "{seen:?}");
}
