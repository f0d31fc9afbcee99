//! The port that a caller asks for, at one address or at any.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

/// A TCP port to clear, at one address or at any.
///
/// ```
/// use portclear::PortSpec;
///
/// let any: PortSpec = "18789".parse()?;
/// let loopback: PortSpec = "127.0.0.1:18789".parse()?;
/// assert_eq!(any.port(), loopback.port());
/// assert!("example.org:18789".parse::<PortSpec>().is_err());
/// # Ok::<(), portclear::policy::PortSpecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortSpec {
    port: NonZeroU16,
    address: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Address {
    Any,
    At(SocketAddr),
    /// `[::]` for IPv6 alone, as a bind means it where `net.ipv6.bindv6only` is set.
    V6Only,
    Localhost,
}

impl PortSpec {
    /// The port at any address, as a server on `[::]` or `0.0.0.0` needs it.
    #[must_use]
    pub const fn any(port: NonZeroU16) -> Self {
        Self { port, address: Address::Any }
    }

    /// The port at one address. `[::]` means the dual-stack wildcard (ipv6(7)).
    ///
    /// # Errors
    /// Port 0 names no port: the system would choose one.
    pub fn at(address: SocketAddr) -> Result<Self, PortSpecError> {
        let port = NonZeroU16::new(address.port()).ok_or_else(|| PortSpecError::port(&address.to_string()))?;
        Ok(Self { port, address: Address::At(address) })
    }

    /// The port that a bind to `address` needs. A plain `[::]` means both families, or with `v6only` IPv6 alone.
    /// `None`: port 0 needs no port.
    pub(crate) fn of_bind(address: SocketAddr, v6only: bool) -> Option<Self> {
        let spec = Self::at(address).ok()?;
        let alone = v6only && address.ip() == Ipv6Addr::UNSPECIFIED;
        Some(if alone { Self { address: Address::V6Only, ..spec } } else { spec })
    }

    /// The port number.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.get()
    }

    /// The address as it was asked for: an IP address without brackets, or `localhost`. `None`: any.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        match self.address {
            Address::Any => None,
            Address::At(address) => Some(address.ip().to_string()),
            Address::V6Only => Some(Ipv6Addr::UNSPECIFIED.to_string()),
            Address::Localhost => Some("localhost".to_owned()),
        }
    }

    /// The port is free if a bind to each of these addresses succeeds.
    pub(crate) fn probes(&self) -> Vec<SocketAddr> {
        let port = self.port();
        match self.address {
            Address::Any | Address::V6Only => vec![(Ipv6Addr::UNSPECIFIED, port).into()],
            Address::At(address) => vec![address],
            Address::Localhost => {
                vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
            }
        }
    }

    /// Whether the caller named no address. A machine without IPv6 is then no error: IPv4 alone counts.
    pub(crate) const fn is_any(&self) -> bool {
        matches!(self.address, Address::Any)
    }

    pub(crate) const fn is_v6only(&self) -> bool {
        matches!(self.address, Address::V6Only)
    }

    pub(crate) const fn is_localhost(&self) -> bool {
        matches!(self.address, Address::Localhost)
    }

    /// Whether the listener can refuse a bind. A listener on `[::]` refuses IPv4 addresses too, unless it is known to
    /// be v6-only. netstat2 and /proc/net/tcp6 do not say so.
    pub(crate) fn is_refused_by(&self, listener: &Listener) -> bool {
        let ipv4 = matches!(self.address, Address::At(at) if at.ip().to_canonical().is_ipv4());
        let v6only = listener.v6only == Some(true);
        self.port() == listener.local.port() && self.overlaps(listener.local.ip()) && !(ipv4 && v6only)
    }

    fn overlaps(&self, local: IpAddr) -> bool {
        match self.address {
            Address::Any => true,
            Address::At(at) => overlaps(at.ip(), local),
            Address::V6Only => local.to_canonical().is_ipv6(),
            Address::Localhost => {
                overlaps(Ipv4Addr::LOCALHOST.into(), local) || overlaps(Ipv6Addr::LOCALHOST.into(), local)
            }
        }
    }
}

fn overlaps(wanted: IpAddr, local: IpAddr) -> bool {
    let dual_stack = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if wanted == dual_stack || local == dual_stack {
        return true;
    }
    let (wanted, local) = (wanted.to_canonical(), local.to_canonical());
    let any_of_family = wanted.is_unspecified() || local.is_unspecified();
    wanted == local || (any_of_family && wanted.is_ipv4() == local.is_ipv4())
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Address::Any => write!(f, "{}", self.port),
            Address::At(address) => write!(f, "{address}"),
            Address::V6Only => write!(f, "[::]:{}", self.port),
            Address::Localhost => write!(f, "localhost:{}", self.port),
        }
    }
}

impl FromStr for PortSpec {
    type Err = PortSpecError;

    /// `18789`, `127.0.0.1:18789`, `[::1]:18789` or `localhost:18789`. `localhost` means both loopback addresses. No
    /// other name is resolved.
    fn from_str(text: &str) -> Result<Self, PortSpecError> {
        if let Some(port) = text.strip_prefix("localhost:") {
            return Ok(Self { port: parse_port(port, text)?, address: Address::Localhost });
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Ok(Self::any(parse_port(text, text)?));
        };
        parse_port(port, text)?;
        match text.parse::<SocketAddr>() {
            Ok(address) => Self::at(address),
            Err(_) if host.contains(':') && !host.starts_with('[') => {
                Err(PortSpecError { text: text.to_owned(), reason: "an IPv6 address stands in brackets: [::1]:18789" })
            }
            Err(_) => Err(PortSpecError {
                text: text.to_owned(),
                reason: "the address must be an IP address or localhost; names are not resolved",
            }),
        }
    }
}

fn parse_port(digits: &str, text: &str) -> Result<NonZeroU16, PortSpecError> {
    // u16's own parser accepts a leading '+'.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PortSpecError::port(text));
    }
    digits.parse().map_err(|_| PortSpecError::port(text))
}

/// Why a text names no port. The message shows the text and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSpecError {
    text: String,
    reason: &'static str,
}

impl PortSpecError {
    fn port(text: &str) -> Self {
        Self { text: text.to_owned(), reason: "a port is a number from 1 to 65535" }
    }

    /// The reason, without the text.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for PortSpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' names no port: {}", super::escape(self.text.as_bytes()), self.reason)
    }
}

impl std::error::Error for PortSpecError {}

/// A socket in state LISTEN on the port, in the caller's network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Listener {
    /// The local address and port.
    pub local: SocketAddr,
    /// The socket's inode number, as in `socket:[N]` of /proc/PID/fd (proc(5)).
    pub inode: u64,
    /// The user who opened the socket, as the caller's user namespace names it.
    pub uid: u32,
    /// It takes no IPv4 connection (ipv6(7), IPV6_V6ONLY). `None`: it is on an IPv4 address, or its table does not say.
    /// sock_diag(7) says it, /proc/net/tcp6 does not.
    pub v6only: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_a_port_and_what_is_not() {
        for good in
            ["1", "18789", "65535", "127.0.0.1:18789", "[::1]:18789", "localhost:18789", "0.0.0.0:80", "[::]:80"]
        {
            assert_eq!(good.parse::<PortSpec>().unwrap().to_string(), good);
        }
        for bad in [
            "", "0", "65536", "+1", "-1", " 1", "1 ", "0x50", "18789/tcp", "99999999999999999999", "localhost:0",
            "localhost:", "localhost:+1", "127.0.0.1:0", "127.0.0.1:", "::1:18789", "[::1]", "example.org:80",
            "Localhost:80", "127.1:80", "[::1]:+80", ":80",
        ] {
            let error = bad.parse::<PortSpec>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{bad}' names no port: ")), "{error}");
        }
    }

    #[test]
    fn every_listener_that_would_refuse_the_bind_overlaps() {
        let table = [
            ("80", "127.0.0.1", true),
            ("80", "::1", true),
            ("0.0.0.0:80", "10.0.0.1", true),
            ("0.0.0.0:80", "::1", false),
            ("0.0.0.0:80", "::", true),
            ("127.0.0.1:80", "127.0.0.1", true),
            ("127.0.0.1:80", "::ffff:127.0.0.1", true),
            ("127.0.0.1:80", "0.0.0.0", true),
            ("127.0.0.1:80", "127.0.0.2", false),
            ("127.0.0.1:80", "::1", false),
            ("127.0.0.1:80", "::", true),
            ("[::1]:80", "::1", true),
            ("[::1]:80", "::", true),
            ("[::1]:80", "0.0.0.0", false),
            ("[::1]:80", "fe80::1", false),
            ("[::]:80", "127.0.0.1", true),
            ("[::]:80", "::1", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1", true),
            ("localhost:80", "127.0.0.1", true),
            ("localhost:80", "::1", true),
            ("localhost:80", "::", true),
            ("localhost:80", "10.0.0.1", false),
        ];
        for (spec, local, expected) in table {
            let spec: PortSpec = spec.parse().unwrap();
            assert_eq!(spec.overlaps(local.parse().unwrap()), expected, "{spec} against {local}");
        }
    }

    #[test]
    fn a_bind_to_both_families_or_to_one() {
        let of = |address: &str, v6only| PortSpec::of_bind(address.parse().unwrap(), v6only);
        let table = [
            ("[::]:80", true, "127.0.0.1", false),
            ("[::]:80", true, "0.0.0.0", false),
            ("[::]:80", true, "::ffff:127.0.0.1", false),
            ("[::]:80", true, "::", true),
            ("[::]:80", true, "::1", true),
            ("[::]:80", false, "127.0.0.1", true),
            ("0.0.0.0:80", true, "127.0.0.1", true),
            ("[::1]:80", true, "::", true),
        ];
        for (address, v6only, local, expected) in table {
            let spec = of(address, v6only).unwrap();
            assert_eq!(spec.overlaps(local.parse().unwrap()), expected, "{spec} {v6only} against {local}");
            assert_eq!(spec.to_string(), address);
        }
        assert_eq!(of("127.0.0.1:0", false), None);
    }

    #[test]
    fn a_v6only_listener_refuses_no_ipv4() {
        let table = [
            ("0.0.0.0:80", Some(true), false),
            ("127.0.0.1:80", Some(true), false),
            ("127.0.0.1:80", Some(false), true),
            ("127.0.0.1:80", None, true),
            ("[::1]:80", Some(true), true),
            ("[::]:80", Some(true), true),
            ("localhost:80", Some(true), true),
            ("80", Some(true), true),
        ];
        for (spec, v6only, expected) in table {
            let spec: PortSpec = spec.parse().unwrap();
            let listener = Listener { local: "[::]:80".parse().unwrap(), inode: 1, uid: 0, v6only };
            assert_eq!(spec.is_refused_by(&listener), expected, "{spec} {v6only:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_port_or_a_sentence(text in ".{0,40}") {
            match text.parse::<PortSpec>() {
                Ok(spec) => prop_assert_eq!(spec.to_string().parse::<PortSpec>().unwrap(), spec),
                Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control)),
            }
        }

        #[test]
        fn every_port_number_is_itself(port in 1..=u16::MAX) {
            prop_assert_eq!(port.to_string().parse::<PortSpec>().unwrap().port(), port);
        }
    }
}
