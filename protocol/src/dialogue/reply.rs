//! What the server answers, and the things that its answers name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::code::Code;
use crate::frame::Frame;
use crate::identity::PublicKey;
use crate::username::Username;

/// An answer: a code, and one or more lines of which each begins with its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What it means.
    pub code: Code,
    /// At least one line.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line.
    pub fn new(code: Code, line: impl Into<String>) -> Reply {
        Reply { code, lines: vec![line.into()] }
    }

    /// A reply of a line for each item and a last one.
    pub fn long(code: Code, items: impl IntoIterator<Item = String>, last: String) -> Reply {
        let lines = items.into_iter().chain([last]).collect();
        Reply { code, lines }
    }

    /// Writes the reply as it goes over the wire: `250-` before each line but the last.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            let mark = if index == last { ' ' } else { '-' };
            Frame::line(format!("{}{mark}{line}", self.code)).encode(out);
        }
    }

    /// The last line: the sentence for people, after the fields.
    pub fn last_line(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// The n-th word of the last line.
    pub fn field<T: FromStr>(&self, n: usize) -> Option<T> {
        self.last_line().split(' ').nth(n)?.parse().ok()
    }
}

/// What a logged-in program is told. On the wire: the fields of a [`Code::LoggedIn`] reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The account's name.
    pub username: Username,
    /// Names this session in datagrams.
    pub session: SessionId,
    /// Changes when the broadcast log is begun anew.
    pub epoch: u64,
    /// The number of the newest broadcast, 0 before the first.
    pub head: u64,
    /// Where the server takes datagrams.
    pub udp_port: u16,
    /// The client's address as the server sees it.
    pub address: IpAddr,
}

impl Welcome {
    /// The welcome as a reply, with a sentence for people.
    pub fn to_reply(&self) -> Reply {
        let Welcome { username, session, epoch, head, udp_port, address } = self;
        let fields = format!("{username} {session} {epoch:016x} {head} {udp_port} {address}");
        Reply::new(Code::LoggedIn, format!("{fields} welcome"))
    }

    /// The welcome from a reply.
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

/// Names a logged-in session in the clear part of its datagrams. Random, so that it can't be
/// guessed; no secret. Written as 16 hexadecimal digits.
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

/// An active client as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub username: Username,
    /// Where, as the asking client can reach it.
    pub address: IpAddr,
    /// The receiver's port; `None` (written `-`) for a session typed by hand.
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
    /// From the words `NAME ADDRESS PORT`, whatever follows them.
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

/// What the server says of one client to another so that they can meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Who.
    pub username: Username,
    /// Where they receive peers.
    pub receiver: SocketAddr,
    /// By which key they are known at this server.
    pub key: PublicKey,
}

impl fmt::Display for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Introduction { username, receiver, key } = self;
        write!(f, "{username} {} {} {key}", receiver.ip(), receiver.port())
    }
}

impl Introduction {
    /// From the words `NAME ADDRESS PORT KEY`, whatever follows them.
    pub fn parse(line: &str) -> Option<Introduction> {
        let listed = Listed::parse(line)?;
        Some(Introduction {
            username: listed.username,
            receiver: SocketAddr::new(listed.address, listed.port?),
            key: line.split(' ').nth(3)?.parse().ok()?,
        })
    }
}
