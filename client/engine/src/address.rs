//! Where a server is, as a user writes it: `HOST[:PORT][#FINGERPRINT]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use letschat_protocol::identity::Fingerprint;

/// Where a server listens unless told otherwise.
pub const DEFAULT_SERVER_PORT: u16 = 4400;

/// The longest name that the DNS has (RFC 1035, section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// Where a server is and, if the user said so, by which key it must be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// TCP, and until the login says otherwise also UDP.
    pub port: u16,
    /// If given, only this key is accepted.
    pub fingerprint: Option<Fingerprint>,
}

/// A text that is no server address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No host, or one with characters that no host has.
    #[error("that is not a host name or an address; chat.example.org:4400 and [::1]:4400 are")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port after the colon must be a number from 1 to 65535")]
    Port,
    /// A number where a host is expected.
    #[error(
        "{0} is a port alone; a server is named by HOST:PORT, as in 127.0.0.1:{0}, and this \
         client's own port by --peer-port"
    )]
    PortAlone(u16),
    /// A port after the colon and another one beside it.
    #[error("there are two ports, {0} and {1}; leave one out")]
    TwoPorts(u16, u16),
    /// Not 64 hexadecimal digits.
    #[error("expected the fingerprint's 64 hexadecimal digits after the #")]
    Fingerprint,
}

impl ServerAddress {
    /// The server that is meant unless one is named.
    pub fn on_this_machine() -> ServerAddress {
        let host = Ipv4Addr::LOCALHOST.to_string();
        ServerAddress { host, port: DEFAULT_SERVER_PORT, fingerprint: None }
    }

    /// The address from its parts, without a fingerprint.
    pub fn new(host: &str, port: u16) -> Result<ServerAddress, AddressError> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '%');
        let is_name = host.chars().all(allowed);
        // To the resolver a number is an address, 0 being this machine; nobody writes it that way.
        if let Ok(alone @ 1..) = host.parse() {
            return Err(AddressError::PortAlone(alone));
        }
        if host.is_empty() || host.len() > MAX_HOST_BYTES || !(is_name || is_ipv6(&host)) {
            return Err(AddressError::Host);
        }
        if port == 0 {
            return Err(AddressError::Port);
        }
        Ok(ServerAddress { host, port, fingerprint: None })
    }

    /// Reads an address whose port stands beside it.
    pub fn with_port(text: &str, port: u16) -> Result<ServerAddress, AddressError> {
        let parts = Parts::of(text);
        match parts.port.map(str::parse) {
            Some(Ok(other)) => Err(AddressError::TwoPorts(other, port)),
            Some(Err(_)) => Err(AddressError::Port),
            None => Ok(ServerAddress { port, ..text.parse()? }),
        }
    }

    /// Whether it is one of the names of this machine itself.
    pub(crate) fn is_loopback(&self) -> bool {
        let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
        self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }
}

/// With or without a scope: `fe80::1%eth0`.
fn is_ipv6(host: &str) -> bool {
    let (address, _scope) = host.split_once('%').unwrap_or((host, ""));
    address.parse::<Ipv6Addr>().is_ok()
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Parts { host, port, fingerprint } = Parts::of(text);
        let fingerprint = fingerprint.map(str::parse).transpose();
        let fingerprint = fingerprint.map_err(|_| AddressError::Fingerprint)?;
        let port = match port {
            Some(digits) => digits.parse().map_err(|_| AddressError::Port)?,
            None => DEFAULT_SERVER_PORT,
        };
        Ok(ServerAddress { fingerprint, ..ServerAddress::new(host, port)? })
    }
}

/// An address taken apart, each part as it is written.
struct Parts<'a> {
    host: &'a str,
    port: Option<&'a str>,
    fingerprint: Option<&'a str>,
}

impl Parts<'_> {
    fn of(text: &str) -> Parts<'_> {
        let (place, fingerprint) = match text.split_once('#') {
            Some((place, digits)) => (place, Some(digits)),
            None => (text, None),
        };
        let bracketed = place.starts_with('[');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if bracketed && host.ends_with(']') => (host, Some(port)),
            // More than one colon without brackets: an IPv6 address alone.
            Some((host, port)) if !bracketed && !host.contains(':') => (host, Some(port)),
            _ => (place, None),
        };
        Parts { host, port, fingerprint }
    }
}

/// `HOST:PORT`: how messages and the file of known servers name it.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, AddressError> {
        text.parse::<ServerAddress>().map(|address| address.to_string())
    }

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!(shown("chat.Example.org").unwrap(), "chat.example.org:4400");
        assert_eq!(shown("10.0.0.1:99").unwrap(), "10.0.0.1:99");
        assert_eq!(shown("::1").unwrap(), "[::1]:4400");
        assert_eq!(shown("[::1]").unwrap(), "[::1]:4400");
        assert_eq!(shown("[fe80::1%eth0]:99").unwrap(), "[fe80::1%eth0]:99");
    }

    #[test]
    fn a_fingerprint_may_follow() {
        let fingerprint = Fingerprint::of_spki(b"key");
        let address: ServerAddress = format!("localhost:1#{fingerprint}").parse().unwrap();
        assert_eq!(address.fingerprint, Some(fingerprint));
        assert_eq!(address.to_string(), "localhost:1");
        assert_eq!(shown("localhost#abc"), Err(AddressError::Fingerprint));
    }

    #[test]
    fn number_is_a_port_and_no_host() {
        for text in ["9090", "9090:98", "[9090]"] {
            assert_eq!(shown(text), Err(AddressError::PortAlone(9090)), "{text}");
        }
        assert_eq!(ServerAddress::with_port("9090", 98), Err(AddressError::PortAlone(9090)));
        assert_eq!(shown("0").unwrap(), "0:4400");
        assert_eq!(shown("9090.org").unwrap(), "9090.org:4400");
    }

    #[test]
    fn two_ports_are_one_too_many() {
        let beside = |text| ServerAddress::with_port(text, 98).map(|address| address.to_string());
        for text in ["a:99", "127.0.0.1:99", "[::1]:99", "a:99#abc"] {
            assert_eq!(beside(text), Err(AddressError::TwoPorts(99, 98)), "{text}");
        }
        assert_eq!(beside("a").unwrap(), "a:98");
        assert_eq!(beside("::1").unwrap(), "[::1]:98");
        assert_eq!(beside("[::1]").unwrap(), "[::1]:98");
        assert_eq!(beside("a:x"), Err(AddressError::Port));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", ":1", "a b", "a\x1b[2J", "a/b", "[:::1]", "#", "a:b:c"] {
            assert!(shown(text).is_err(), "{text:?}");
        }
        for text in ["a:", "a:0", "a:65536", "a:-1"] {
            assert_eq!(shown(text), Err(AddressError::Port), "{text:?}");
        }
    }
}
