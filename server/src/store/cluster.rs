//! Several servers as one service: the place of each device's session, and the messages between servers.
//!
//! The database decides. A login at any server takes the device's session over in one transaction, and each change of
//! a session has a number, which rises with the order of the commits. Every server asks for what is new once a second,
//! and at once when another server rings (see `crate::bell`). A server that does not ask for [`MAX_SILENT_MS`] is
//! gone for the others: so is one that was cut off from the database. When it is back, it learns by the numbers which
//! of its sessions were taken over meanwhile, and ends them.

mod requests;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::{NewBroadcast, StoreError, StoredEntry};
pub use requests::{ClusterAnswer, ClusterRequest};

/// The time without a question after which a server is gone for the others, in milliseconds of the database's clock.
pub const MAX_SILENT_MS: u64 = 5_000;

/// The time for which an ended session is remembered. A server that was silent for half of it is told of all sessions.
pub const ENDED_KEPT_MS: u64 = 10 * 60_000;

/// The most broadcasts, and the most messages, in one answer. A server that gets as many asks for more at once.
pub const MAX_NEWS: usize = 1_000;

/// The longest name of a server.
const MAX_NAME: usize = 48;

/// The part of a database that servers share. Every call may block and may fail.
pub trait Cluster {
    /// Says that this server has started. The sessions of its earlier run have ended.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// Logs a device in at this server, and out elsewhere.
    fn enter(&mut self, entrance: &Entrance) -> Result<Entered, StoreError>;

    /// Ends sessions.
    fn leave(&mut self, endings: &[Ending]) -> Result<(), StoreError>;

    /// Says that this server is there, with its statistics, and returns what is new.
    fn ask(&mut self, known: &Known, stats: &str) -> Result<News, StoreError>;

    /// Leaves messages for other servers. All are kept, or none.
    fn tell(&mut self, messages: &[(ServerName, String)]) -> Result<(), StoreError>;

    /// Commits broadcasts as [`Store::append`](super::Store::append) does, and returns all entries after the number
    /// `after`: other servers may have committed some in between. The times of each sender increase over all servers.
    fn append_among_others(
        &mut self,
        after: u64,
        broadcasts: &[NewBroadcast],
    ) -> Result<Vec<StoredEntry>, StoreError>;

    /// Says that this server stops. Its sessions have ended.
    fn end(&mut self) -> Result<(), StoreError>;
}

/// The name of a server in its cluster: 1 to 48 letters, digits, `.`, `_`, `:` and `-`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(String);

/// A text that names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server's name has 1 to {MAX_NAME} letters, digits, `.`, `_`, `:` and `-`")]
pub struct NotAServerName;

impl FromStr for ServerName {
    type Err = NotAServerName;

    fn from_str(text: &str) -> Result<ServerName, NotAServerName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let is_name = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_allowed);
        if is_name { Ok(ServerName(text.to_ascii_lowercase())) } else { Err(NotAServerName) }
    }
}

impl ServerName {
    /// Returns it as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A login of a device at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionId {
    /// The account.
    pub username: Username,
    /// The device's key, or `None` for a session typed by hand.
    pub device: Option<PublicKey>,
    /// The number of the change that began it.
    pub number: u64,
}

/// The end of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// That of a session, unless it was taken over.
    Session {
        /// The session.
        session: SessionId,
        /// The reason that its client is told if another server than its own ends it.
        why: Option<Closing>,
    },
    /// That of the sessions of an account's devices whose keys were deleted, also of those that no other server has heard
    /// of yet.
    Keyless {
        /// The account.
        username: Username,
        /// True if the session that is typed by hand ends too.
        typed: bool,
        /// The reason that their clients are told.
        why: Closing,
    },
}

/// A device that logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// The account.
    pub username: Username,
    /// The device's key, or `None` for a session typed by hand.
    pub device: Option<PublicKey>,
    /// The client's address as the server sees it.
    pub address: IpAddr,
    /// The receiver's port.
    pub port: Option<u16>,
    /// True if the device is in its account's list.
    pub is_listed: bool,
    /// True if a session that may be somebody else's may be ended.
    pub take: bool,
    /// The most sessions of all servers.
    pub places: usize,
    /// The wall clock's time in milliseconds.
    pub now_ms: u64,
}

/// The outcome of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// The device is logged in here, by the change with this number.
    Here {
        /// The number.
        number: u64,
    },
    /// Another session is there, and it may be somebody else's.
    NeedsTake,
    /// All places are taken.
    Full,
    /// The account was banned since the credentials were judged.
    Banned,
    /// The account or the device's key was deleted since then.
    Refused,
}

/// The numbers up to which a server knows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Of changes of sessions.
    pub sessions: u64,
    /// Of broadcasts.
    pub broadcasts: u64,
    /// Of deliveries.
    pub deliveries: u64,
    /// Of messages for this server.
    pub messages: u64,
}

/// The news for a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// The other servers that are there, with the statistics that each has told last.
    pub servers: Vec<(ServerName, String)>,
    /// The sessions that have changed, in the order of their numbers.
    pub sessions: Vec<SharedSession>,
    /// True if ended sessions may be missing: a server that was silent for long gets all that are there.
    pub has_all_sessions: bool,
    /// The broadcasts, in the order of their numbers.
    pub broadcasts: Vec<StoredEntry>,
    /// The devices of this server that have new mail.
    pub mail: Vec<(Username, PublicKey)>,
    /// The number of the last delivery.
    pub last_delivery: u64,
    /// The messages of other servers for this one, in the order of their numbers.
    pub messages: Vec<String>,
    /// The number of the last of them.
    pub last_message: u64,
}

/// A session as all servers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSession {
    /// The account and the device, and the number of the last change.
    pub id: SessionId,
    /// The place of the session, or `None` if it has ended.
    pub place: Option<SharedPlace>,
    /// The reason of its end, if another server has ended it.
    pub why: Option<Closing>,
}

/// The place of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPlace {
    /// The server that it is logged in at.
    pub server: ServerName,
    /// The client's address as that server sees it.
    pub address: IpAddr,
    /// The receiver's port.
    pub port: Option<u16>,
    /// True if the device is in its account's list.
    pub is_listed: bool,
    /// The time of the login, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}
