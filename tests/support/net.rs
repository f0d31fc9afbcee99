//! A network of the test's own, a client for it, and the addresses that tests use.

use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use super::wait::DEADLINE;

/// Where [`super::Fixture::gateway`] listens.
pub(crate) const GATEWAY: &str = "127.0.0.1:18789";

/// Where a second server listens.
pub(crate) const SECOND: &str = "127.0.0.1:18791";

/// An address that no machine has (RFC 5737).
pub(crate) const NOT_OURS: &str = "192.0.2.1:80";

/// Moves the calling thread into a new network. Port 18789 is then free in every test at once, and nothing of the
/// host can be reached. Processes that start from here inherit the network. /proc still shows everybody.
pub(crate) fn isolate() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("ip").success(), "cannot bring lo up");
}

/// Connects, and gives the line that the server introduces itself with: `PID NAME`.
pub(crate) fn ask(address: &str) -> io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut line = Vec::new();
    // read_until goes on after an interrupt. The kernel restarts no plain read that has a time limit (signal(7)).
    BufReader::new(&stream).read_until(b'\n', &mut line)?;
    // The side that closes first keeps the address in TIME_WAIT. That is the client's side here, never the server's.
    stream.shutdown(Shutdown::Both)?;
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned())
}

/// Whether a server could start here now.
pub(crate) fn can_bind(address: &str) -> bool {
    TcpListener::bind(address).is_ok()
}
