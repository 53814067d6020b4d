//! The address of a server as a user writes it: `HOST[:PORT][#FINGERPRINT]`. A service may have several.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use letschat_protocol::identity::Fingerprint;

/// The default port of a server.
pub const DEFAULT_SERVER_PORT: u16 = 4400;

/// The longest name in the DNS (RFC 1035, section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// The address of a server and, if the user gave it, the fingerprint of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The TCP port, and also the UDP port until the login names another.
    pub port: u16,
    /// The only accepted key, if given.
    pub fingerprint: Option<Fingerprint>,
}

/// The reason for which a text is no server address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The host is missing, or has characters that no host has.
    #[error("{0:?} is not a host name or an address; chat.example.org:4400 and [::1]:4400 are")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("the port after the colon must be a number from 1 to 65535")]
    Port,
    /// A number stands where a host is expected.
    #[error(
        "{0} is a port alone; a server is named by HOST:PORT, as in 127.0.0.1:{0}, and this \
         client's own port by --peer-port; in a classroom, ID, PORT1 and PORT2 are given"
    )]
    PortAlone(u16),
    /// One port follows the colon, and another stands beside it.
    #[error("there are two ports, {0} and {1}; leave one out")]
    TwoPorts(u16, u16),
    /// The fingerprint is not 64 hexadecimal digits.
    #[error("expected the fingerprint's 64 hexadecimal digits after the #")]
    Fingerprint,
    /// A part of a list names no server.
    #[error("{0:?} in the list names no server: {1}")]
    InList(String, Box<AddressError>),
    /// One comma too many.
    #[error("a comma stands between two servers; there is one too many")]
    Comma,
    /// Servers of one service have one key.
    #[error("the servers of a list belong together and have the same key; these have two")]
    TwoKeys,
}

impl ServerAddress {
    /// Returns the default server, which is on this machine.
    pub fn on_this_machine() -> ServerAddress {
        let host = Ipv4Addr::LOCALHOST.to_string();
        ServerAddress { host, port: DEFAULT_SERVER_PORT, fingerprint: None }
    }

    /// Returns an address without a fingerprint.
    pub fn new(host: &str, port: u16) -> Result<ServerAddress, AddressError> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '%');
        let is_name = host.chars().all(allowed);
        // A resolver takes a number for an address (0 is this machine), but nobody writes addresses
        // that way.
        if let Ok(alone @ 1..) = host.parse() {
            return Err(AddressError::PortAlone(alone));
        }
        if host.is_empty() || host.len() > MAX_HOST_BYTES || !(is_name || is_ipv6(&host)) {
            return Err(AddressError::Host(host));
        }
        if port == 0 {
            return Err(AddressError::Port);
        }
        Ok(ServerAddress { host, port, fingerprint: None })
    }

    /// Parses an address whose port stands beside it.
    pub fn with_port(text: &str, port: u16) -> Result<ServerAddress, AddressError> {
        let parts = Parts::of(text);
        match parts.port.map(str::parse) {
            Some(Ok(other)) => Err(AddressError::TwoPorts(other, port)),
            Some(Err(_)) => Err(AddressError::Port),
            None => Ok(ServerAddress { port, ..text.parse()? }),
        }
    }

    /// Returns true for the names and addresses of this machine itself.
    pub(crate) fn is_loopback(&self) -> bool {
        let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
        self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }
}

/// The address of a service as a user writes it: a server, or several of a cluster with commas between them. The servers
/// of a cluster have the same key, so that a fingerprint of one is that of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAddress(Vec<ServerAddress>);

impl ServiceAddress {
    /// Returns the servers, in the order in which they are tried.
    pub fn servers(&self) -> &[ServerAddress] {
        &self.0
    }
}

impl From<ServerAddress> for ServiceAddress {
    fn from(server: ServerAddress) -> ServiceAddress {
        ServiceAddress(vec![server])
    }
}

impl FromStr for ServiceAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<ServiceAddress, AddressError> {
        ServiceAddress::from_parts(text, str::parse)
    }
}

impl ServiceAddress {
    /// Parses a list whose servers have this port.
    pub fn with_port(text: &str, port: u16) -> Result<ServiceAddress, AddressError> {
        ServiceAddress::from_parts(text, |part| ServerAddress::with_port(part, port))
    }

    fn from_parts(
        text: &str,
        parse: impl Fn(&str) -> Result<ServerAddress, AddressError>,
    ) -> Result<ServiceAddress, AddressError> {
        let mut servers: Vec<ServerAddress> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let is_alone = part.len() == text.trim().len();
            let server = parse(part).map_err(|error| match (is_alone, part) {
                (true, _) => error,
                (false, "") => AddressError::Comma,
                (false, part) => AddressError::InList(part.to_owned(), Box::new(error)),
            })?;
            let is_same =
                |one: &ServerAddress| (&one.host, one.port) == (&server.host, server.port);
            match servers.iter_mut().find(|one| is_same(one)) {
                Some(same) if same.fingerprint.is_none() => *same = server,
                Some(same) if server.fingerprint.is_none() || *same == server => {}
                _ => servers.push(server),
            }
        }
        let mut keys: Vec<Fingerprint> = servers.iter().filter_map(|one| one.fingerprint).collect();
        keys.dedup();
        if keys.len() > 1 {
            return Err(AddressError::TwoKeys);
        }
        servers.iter_mut().for_each(|server| server.fingerprint = keys.first().copied());
        Ok(ServiceAddress(servers))
    }
}

/// Formats as `HOST:PORT` with commas between the servers.
impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<String> = self.0.iter().map(ServerAddress::to_string).collect();
        f.write_str(&servers.join(","))
    }
}

/// Returns true for an IPv6 address with or without a scope, as in `fe80::1%eth0`.
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

/// The parts of an address as written.
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
            // More than one colon without brackets is an IPv6 address without a port.
            Some((host, port)) if !bracketed && !host.contains(':') => (host, Some(port)),
            _ => (place, None),
        };
        Parts { host, port, fingerprint }
    }
}

/// Formats as `HOST:PORT`, the form in messages and in the file of known servers.
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
    fn servers_of_a_list_have_one_key() {
        let (one, other) = (Fingerprint::of_spki(b"one"), Fingerprint::of_spki(b"other"));
        let service: ServiceAddress = format!("a, b:1#{one},[::1]").parse().unwrap();
        assert_eq!(service.to_string(), "a:4400,b:1,[::1]:4400");
        assert!(service.servers().iter().all(|server| server.fingerprint == Some(one)));
        let two = format!("a#{one},b#{other}").parse::<ServiceAddress>();
        assert_eq!(two, Err(AddressError::TwoKeys));
        for text in ["a,,b", "a,", ","] {
            assert_eq!(text.parse::<ServiceAddress>(), Err(AddressError::Comma), "{text}");
        }
        let wrong = "a,b:244o1".parse::<ServiceAddress>().unwrap_err();
        assert!(wrong.to_string().starts_with("\"b:244o1\" in the list"), "{wrong}");
        let twice: ServiceAddress = format!("a,a#{one},b,a:4400").parse().unwrap();
        assert_eq!(twice.to_string(), "a:4400,b:4400");
        assert!(twice.servers().iter().all(|server| server.fingerprint == Some(one)));
        let same_port = ServiceAddress::with_port("a,b", 99).unwrap();
        assert_eq!(same_port.to_string(), "a:99,b:99");
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
