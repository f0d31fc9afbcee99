//! Ask the kernel for the listeners of a port, and for no other socket.
//!
//! netstat2 asks for the sockets of all states, and the kernel then walks its table of connections as well, whatever
//! the port: 185 ms where there are 96,000. Of listeners it has a table apart (sock_diag(7), `idiag_states`).

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_LISTEN};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use crate::port::Listener;

/// As large as the kernel makes the parts of its answer (netlink(7)), and twice that.
const BUFFER: usize = 32 << 10;

/// All listeners of the port, or an error: an answer that is cut short, interrupted or another's is none.
pub(crate) fn listeners(port: u16) -> io::Result<Vec<Listener>> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    let kernel = SocketAddr::new(0, 0);
    let mut listeners = Vec::new();
    let mut buffer = vec![0; BUFFER];
    for (sequence, family) in [(1, AF_INET), (2, AF_INET6)] {
        socket.send_to(&request(family, port, sequence), &kernel, 0)?;
        loop {
            // The kernel has answered by the time that the request is sent. What did not is no kernel that could be
            // waited for.
            let flags = nix::libc::MSG_DONTWAIT | nix::libc::MSG_TRUNC;
            let (length, from) = socket.recv_from(&mut &mut buffer[..], flags)?;
            // Any process may write to this socket.
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
                // A filter that the kernel does not know it does not apply.
                if about.state == TCP_LISTEN && about.socket_id.source_port == port {
                    listeners.push(Listener {
                        local: (about.socket_id.source_address, port).into(),
                        inode: about.inode.into(),
                        uid: about.uid,
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
