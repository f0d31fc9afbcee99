//! Ask the kernel for the listeners of a port, and for no other socket.
//!
//! netstat2 asks for the sockets of all states, so the kernel walks its table of connections, too: 185 ms for 96,000 of
//! them. Listeners have a table of their own (sock_diag(7), `idiag_states`).

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_LISTEN};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use crate::model::Listener;

/// Twice the size that the kernel gives the parts of its answer (netlink(7)).
const BUFFER: usize = 32 << 10;

/// All listeners of the port; port 0 means all ports. An answer that is cut short or interrupted is an error, and so is
/// an answer to another request.
pub(crate) fn listeners(port: u16) -> io::Result<Vec<Listener>> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    let kernel = SocketAddr::new(0, 0);
    let mut listeners = Vec::new();
    let mut buffer = vec![0; BUFFER];
    for (sequence, family) in [(1, AF_INET), (2, AF_INET6)] {
        socket.send_to(&request(family, port, sequence), &kernel, 0)?;
        loop {
            // The kernel answers before the request returns, so there is nothing to wait for.
            let flags = nix::libc::MSG_DONTWAIT | nix::libc::MSG_TRUNC;
            let (length, from) = socket.recv_from(&mut &mut buffer[..], flags)?;
            // Any process may write to this socket. Port 0 is the kernel.
            if from.port_number() != 0 {
                continue;
            }
            let answer = buffer.get(..length).ok_or_else(|| io::Error::other("an answer cut short"))?;
            if parse(answer, port, sequence, &mut listeners)? == Answer::Complete {
                break;
            }
        }
    }
    Ok(listeners)
}

fn request(family: u8, port: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = sequence;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::LISTEN,
        socket_id: SocketId { source_port: port, ..SocketId::new_v4() },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Partial,
    Complete,
}

fn parse(mut bytes: &[u8], port: u16, sequence: u32, listeners: &mut Vec<Listener>) -> io::Result<Answer> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(bytes).map_err(io::Error::other)?;
        if message.header.sequence_number != sequence {
            return Err(io::Error::other("an answer to another request"));
        }
        if message.header.flags & NLM_F_DUMP_INTR != 0 {
            return Err(io::Error::other("the table changed while it was read"));
        }
        match message.payload {
            NetlinkPayload::Done(done) if done.code == 0 => return Ok(Answer::Complete),
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                let about = response.header;
                let at = about.socket_id.source_port;
                // A kernel ignores a filter that it does not know.
                if about.state == TCP_LISTEN && (at == port || port == 0) {
                    let v6only = response.nlas.iter().find_map(|nla| match nla {
                        Nla::SkV6Only(v6only) => Some(*v6only),
                        _ => None,
                    });
                    listeners.push(Listener {
                        local: (about.socket_id.source_address, at).into(),
                        inode: about.inode.into(),
                        uid: about.uid,
                        v6only,
                    });
                }
            }
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            _ => return Err(io::Error::other("an answer of another kind")),
        }
        // Each message begins on a multiple of four bytes (netlink(7), NLMSG_ALIGN).
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(Answer::Partial)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use netlink_packet_core::{DoneMessage, ErrorMessage};
    use netlink_packet_sock_diag::inet::{InetResponse, InetResponseHeader};
    use proptest::prelude::*;

    use super::*;

    type Message = NetlinkMessage<SockDiagMessage>;

    fn bytes(sequence: u32, flags: u16, payload: NetlinkPayload<SockDiagMessage>) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        header.sequence_number = sequence;
        header.flags = flags;
        let mut message = Message::new(header, payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn socket(port: u16, state: u8, inode: u32) -> Vec<u8> {
        let header = InetResponseHeader {
            family: AF_INET,
            state,
            timer: None,
            socket_id: SocketId { source_port: port, ..SocketId::new_v4() },
            recv_queue: 0,
            send_queue: 0,
            uid: 7,
            inode,
        };
        let response = InetResponse { header, nlas: Default::default() };
        bytes(1, 0, SockDiagMessage::InetResponse(Box::new(response)).into())
    }

    fn done(code: i32) -> Vec<u8> {
        let mut done = DoneMessage::default();
        done.code = code;
        bytes(1, 0, NetlinkPayload::Done(done))
    }

    #[test]
    fn a_whole_answer_or_none() {
        let listener = || socket(80, TCP_LISTEN, 5);
        let mut refused = ErrorMessage::default();
        refused.code = std::num::NonZero::new(-nix::libc::ENOENT);
        // The parts of an answer → whether more is to come (`None`: an error), and the inodes.
        let table: [(_, _, &[u64]); 12] = [
            (vec![listener(), done(0)], Some(Answer::Complete), &[5]),
            (vec![done(0)], Some(Answer::Complete), &[]),
            (vec![listener()], Some(Answer::Partial), &[5]),
            (vec![listener(), socket(80, TCP_LISTEN, 6), done(0)], Some(Answer::Complete), &[5, 6]),
            // A kernel that does not filter.
            (vec![socket(81, TCP_LISTEN, 6), socket(80, 1, 7), done(0)], Some(Answer::Complete), &[]),
            (vec![listener(), done(-nix::libc::ENOBUFS)], None, &[]),
            (vec![bytes(1, 0, NetlinkPayload::Error(refused))], None, &[]),
            (vec![bytes(1, 0, NetlinkPayload::Overrun(vec![]))], None, &[]),
            (vec![bytes(1, 0, NetlinkPayload::Noop)], None, &[]),
            (vec![bytes(2, 0, NetlinkPayload::Done(DoneMessage::default()))], None, &[]),
            (vec![bytes(1, NLM_F_DUMP_INTR, NetlinkPayload::Done(DoneMessage::default()))], None, &[]),
            (vec![listener()[..40].to_vec()], None, &[]),
        ];
        for (parts, expected, inodes) in table {
            let mut found = Vec::new();
            let answer = parse(&parts.concat(), 80, 1, &mut found).ok();
            assert_eq!(answer, expected, "{parts:?}");
            if answer.is_some() {
                assert!(found.iter().map(|listener| listener.inode).eq(inodes.iter().copied()), "{parts:?}");
            }
        }
    }

    #[test]
    fn the_kernel_tells_of_this_processs_own() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let local = socket.local_addr().unwrap();
            let found = listeners(local.port()).unwrap();
            assert_eq!(found.iter().filter(|listener| listener.local == local).count(), 1, "{found:?}");
            drop(socket);
            assert!(listeners(local.port()).unwrap().iter().all(|listener| listener.local != local));
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            kind in prop::sample::select(vec![0u16, 1, 2, 3, 20]),
            length in 0u32..300,
        ) {
            // A plausible header: a random one is refused at once.
            if let Some(header) = bytes.get_mut(..16) {
                header[..4].copy_from_slice(&length.to_ne_bytes());
                header[4..6].copy_from_slice(&kind.to_ne_bytes());
                header[8..12].copy_from_slice(&1u32.to_ne_bytes());
            }
            let mut listeners = Vec::new();
            let _ = parse(&bytes, 80, 1, &mut listeners);
            prop_assert!(listeners.iter().all(|listener| listener.local.port() == 80));
        }
    }
}
