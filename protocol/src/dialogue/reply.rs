//! Replies of the server, and the entries that they list.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::code::Code;
use crate::frame::Frame;
use crate::identity::PublicKey;
use crate::username::Username;

/// A reply: a code, and one or more lines that each begin with their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The meaning of the reply.
    pub code: Code,
    /// The lines, at least one.
    pub lines: Vec<String>,
}

impl Reply {
    /// Returns a reply of one line.
    pub fn new(code: Code, line: impl Into<String>) -> Reply {
        Reply { code, lines: vec![line.into()] }
    }

    /// Returns a reply with a line for each item and a last line.
    pub fn long(code: Code, items: impl IntoIterator<Item = String>, last: String) -> Reply {
        let lines = items.into_iter().chain([last]).collect();
        Reply { code, lines }
    }

    /// Appends the reply's wire format: `250-` before each line but the last.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            let mark = if index == last { ' ' } else { '-' };
            Frame::line(format!("{}{mark}{line}", self.code)).encode(out);
        }
    }

    /// Returns the last line: the fields, then a sentence for people.
    pub fn last_line(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// Parses the n-th word of the last line.
    pub fn field<T: FromStr>(&self, n: usize) -> Option<T> {
        self.last_line().split(' ').nth(n)?.parse().ok()
    }
}

/// The data for a program that has logged in. On the wire these are the fields of a
/// [`Code::LoggedIn`] reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The account's name.
    pub username: Username,
    /// The session's id in datagrams.
    pub session: SessionId,
    /// A random value that changes when the broadcast log starts over.
    pub epoch: u64,
    /// The number of the newest broadcast, 0 before the first.
    pub head: u64,
    /// The UDP port on which the server receives datagrams.
    pub udp_port: u16,
    /// The client's address as the server sees it.
    pub address: IpAddr,
}

impl Welcome {
    /// Returns the welcome as a reply, with a sentence for people.
    pub fn to_reply(&self) -> Reply {
        let Welcome { username, session, epoch, head, udp_port, address } = self;
        let fields = format!("{username} {session} {epoch:016x} {head} {udp_port} {address}");
        Reply::new(Code::LoggedIn, format!("{fields} welcome"))
    }

    /// Parses the welcome of a reply.
    pub fn from_reply(reply: &Reply) -> Option<Welcome> {
        Some(Welcome {
            username: reply.field(0)?,
            session: reply.field(1)?,
            epoch: u64::from_str_radix(&reply.field::<String>(2)?, 16).ok()?,
            head: reply.field(3)?,
            udp_port: reply.field(4)?,
            address: reply.field(5)?,
        })
    }
}

/// The id of a logged-in session in the clear part of its datagrams. It is random, so that it can't
/// be guessed, but not secret. Written as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SessionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(SessionId)
    }
}

/// An active client in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The client's username.
    pub username: Username,
    /// The client's address as the asking client can reach it.
    pub address: IpAddr,
    /// The receiver's port, or `None` (written `-`) for a session typed by hand.
    pub port: Option<u16>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.username, self.address)?;
        match self.port {
            Some(port) => write!(f, "{port}"),
            None => f.write_str("-"),
        }
    }
}

impl Listed {
    /// Parses the words `NAME ADDRESS PORT` and ignores the rest of the line.
    pub fn parse(line: &str) -> Option<Listed> {
        let mut words = line.split(' ');
        Some(Listed {
            username: words.next()?.parse().ok()?,
            address: words.next()?.parse().ok()?,
            port: match words.next()? {
                "-" => None,
                port => Some(port.parse().ok()?),
            },
        })
    }
}

/// An introduction: the data about a client that another needs to call it or to take its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The client's username.
    pub username: Username,
    /// The address on which the client receives peers.
    pub receiver: SocketAddr,
    /// The client's key at this server.
    pub key: PublicKey,
}

impl fmt::Display for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Introduction { username, receiver, key } = self;
        write!(f, "{username} {} {} {key}", receiver.ip(), receiver.port())
    }
}

impl Introduction {
    /// Parses the words `NAME ADDRESS PORT KEY` and ignores the rest of the line.
    pub fn parse(line: &str) -> Option<Introduction> {
        let listed = Listed::parse(line)?;
        Some(Introduction {
            username: listed.username,
            receiver: SocketAddr::new(listed.address, listed.port?),
            key: line.split(' ').nth(3)?.parse().ok()?,
        })
    }
}
