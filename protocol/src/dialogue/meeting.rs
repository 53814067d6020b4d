//! Two clients that meet at the server, in order to connect through NATs or to be relayed.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::identity::PublicKey;
use crate::username::Username;

/// Names one side of a meeting, for a connection of its own. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeetingToken(pub u128);

impl fmt::Display for MeetingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Does not show the token, which is secret.
impl fmt::Debug for MeetingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeetingToken")
    }
}

/// The error for text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

impl FromStr for MeetingToken {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<MeetingToken, NoToken> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(NoToken);
        }
        u128::from_str_radix(text, 16).map(MeetingToken).map_err(|_| NoToken)
    }
}

/// An invitation to meet a client that wants to connect to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The client's account.
    pub username: Username,
    /// The key with which it is logged in.
    pub key: PublicKey,
    /// The token of the invited side.
    pub token: MeetingToken,
    /// The server of a cluster at which they meet, unless it is the invited client's own.
    pub server: Option<SocketAddr>,
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.username, self.key, self.token)?;
        self.server.map_or(Ok(()), |server| write!(f, " {server}"))
    }
}

impl Invitation {
    pub(super) fn from_words(words: &[&str]) -> Option<Invitation> {
        let [username, key, token, server @ ..] = words else {
            return None;
        };
        let server = match server {
            [] => None,
            [server] => Some(server.parse().ok()?),
            _ => return None,
        };
        Some(Invitation {
            username: username.parse().ok()?,
            key: key.parse().ok()?,
            token: token.parse().ok()?,
            server,
        })
    }
}

/// The addresses at which one side of a meeting may be reached from the other's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates {
    /// The address that the server sees.
    pub seen: SocketAddr,
    /// The address that the side itself sees, which may be that of its local network.
    pub local: SocketAddr,
}

impl fmt::Display for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seen, self.local)
    }
}

impl Candidates {
    /// Parses the first words of a reply's last line.
    pub fn parse(line: &str) -> Option<Candidates> {
        let mut words = line.split(' ');
        let mut address = || words.next()?.parse().ok();
        Some(Candidates { seen: address()?, local: address()? })
    }
}
