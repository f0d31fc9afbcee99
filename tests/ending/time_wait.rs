//! A socket in TIME_WAIT is no holder. Where it refuses the bind, that is said.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use procfs::net::TcpState;
use procfs::process::Process;

use crate::support::*;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(d09_time_wait_is_no_holder),
        case!(d09_time_wait_that_refuses_is_said),
        case!(d09_time_wait_left_by_what_was_ended_is_said),
    ]
}

/// A client that the server has greeted.
fn client() -> BufReader<TcpStream> {
    let mut client = BufReader::new(TcpStream::connect(GATEWAY).unwrap());
    client.read_line(&mut String::new()).unwrap();
    client
}

/// Closes the client after the server. The server's side is then in TIME_WAIT.
fn close_second(mut client: BufReader<TcpStream>) {
    let _ = client.read_to_end(&mut Vec::new());
    drop(client);
    // This is the thread's own table: /proc/self/net shows the network of the first thread.
    let thread = format!("/proc/self/task/{}", nix::unistd::gettid());
    let thread = Process::new_with_root(thread.into()).unwrap();
    until("TIME_WAIT", || {
        let table = thread.tcp().unwrap();
        table.iter().any(|entry| entry.local_address.to_string() == GATEWAY && entry.state == TcpState::TimeWait)
    });
}

/// Whether a server without SO_REUSEADDR could start here.
fn can_bind_without_reuse(address: &str) -> bool {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let address: std::net::SocketAddrV4 = address.parse().unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrIn::from(address)).is_ok()
}

fn d09_time_wait_is_no_holder() {
    let bystander = Bystander::start();
    let gateway = Fixture::gateway().start();
    let client = client();
    gateway.process().kill();
    close_second(client);
    assert!(!can_bind_without_reuse(GATEWAY));
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(run.json()["ports"][0]["status"], "free", "{run}");
    assert!(can_bind(GATEWAY));
    bystander.answers();
}

fn d09_time_wait_that_refuses_is_said() {
    let bystander = Bystander::start();
    let gateway = Fixture::silent().listen_without_reuse(GATEWAY).start();
    let client = client();
    gateway.process().kill();
    close_second(client);
    assert!(!can_bind(GATEWAY));
    let run = portclear(&["18789", "--json"]);
    assert_eq!(run.status, 4, "{run}");
    let port = &run.json()["ports"][0];
    assert_eq!((&port["connections"]["time_wait"], &port["holders"]), (&1.into(), &serde_json::json!([])), "{run}");
    assert_eq!(sentence(&run), "nobody listens; one socket in TIME_WAIT, for a minute at most");
    bystander.answers();
}

fn d09_time_wait_left_by_what_was_ended_is_said() {
    let bystander = Bystander::start();
    let gateway = Fixture::silent().listen_without_reuse(GATEWAY).start();
    let client = client();
    let mut traced = Portclear::new(&["18789", "--json"]).traced();
    traced.run_to(libc::SYS_pidfd_send_signal);
    traced.run_to(libc::SYS_bind);
    assert!(!gateway.is_alive());
    close_second(client);
    let run = traced.finish();
    assert_eq!(run.status, 4, "{run}");
    assert_eq!(run.process(gateway.pid())["outcome"], "ended", "{run}");
    assert_eq!(sentence(&run), "nobody listens; one socket in TIME_WAIT, for a minute at most");
    bystander.answers();
}
