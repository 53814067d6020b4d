//! Persistent data: accounts, their keys, the broadcast log, and envelopes that wait for a device.
//!
//! * [`Store`] – the operations of any database; blocking
//! * [`cluster`] – its operations on what several servers share
//! * [`mailbox`] – its operations on prekeys and envelopes
//! * [`admin`] – operations for the operator, beside a running server
//! * [`sqlite`] – the embedded default
//! * [`mysql`] – a database elsewhere
//! * [`password`] – argon2id, in the same time for existing and unknown names
//! * [`service`] – the threads that keep the blocking work away from the hub
//!
//! The hub sends a [`StoreRequest`] and gets a [`StoreAnswer`]; it never waits.

pub mod admin;
pub mod cluster;
pub mod mailbox;
pub mod mysql;
pub mod password;
pub mod service;
pub mod sqlite;

use letschat_protocol::dialogue::{Broadcast, Secret};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use self::cluster::{Cluster, ClusterAnswer, ClusterRequest};
use self::mailbox::{MailAnswer, MailRequest, Mailbox};
use crate::hub::ConnectionId;

/// A database of accounts, broadcasts and envelopes. Every call may block and may fail.
pub trait Store: Mailbox + Send {
    /// Adds an account. `phc` is its argon2id hash as a PHC string.
    fn create_account(
        &mut self,
        username: &Username,
        phc: &str,
        created_ms: u64,
    ) -> Result<Created, StoreError>;

    /// Returns an account, or `None` if there is no such account.
    fn account(&mut self, username: &Username) -> Result<Option<Account>, StoreError>;

    /// Sets an account's password hash, and removes all its keys but `keep`, with their prekeys and
    /// mail. Returns `false` if there is no such account.
    fn set_password(
        &mut self,
        username: &Username,
        phc: &str,
        keep: Option<&PublicKey>,
    ) -> Result<bool, StoreError>;

    /// Admits a client that gave the right password. Succeeds if `phc`, the hash that it was
    /// compared with, is still the account's and the account is not banned. Adds the key if there
    /// is one.
    fn admit(
        &mut self,
        username: &Username,
        phc: &str,
        key: Option<&PublicKey>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError>;

    /// Sets a new password hash and removes all keys but `keep`. Succeeds if `old` is still the
    /// account's hash and the account is not banned.
    fn replace_password(
        &mut self,
        username: &Username,
        old: &str,
        new: &str,
        keep: Option<&PublicKey>,
    ) -> Result<Verdict, StoreError>;

    /// Adds a key to an account, or records its use. An account keeps at most [`MAX_KEYS`], and the
    /// least recently used one is evicted, with its prekey and mail.
    fn add_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<(), StoreError>;

    /// Checks that the account exists and has this key. Records its use, unless the last recorded
    /// use is less than [`KEY_USE_MS`] ago.
    fn check_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError>;

    /// Checks a key like [`check_key`](Store::check_key), and creates the account with this key if
    /// nobody has the name. No password is right for such an account. Of several keys that claim a
    /// name at once, one gets it.
    fn claim_name(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError>;

    /// Returns the committed log. The first call creates its epoch.
    fn load_log(&mut self) -> Result<StoredLog, StoreError>;

    /// Commits all broadcasts durably, or none, and returns the number of the first. The others
    /// follow without a gap. Numbers start above both the stored counter and `after`, so a database
    /// that lost its last commits reuses none. The counter is raised to the last number.
    fn append(&mut self, after: u64, broadcasts: &[NewBroadcast]) -> Result<u64, StoreError>;

    /// Deletes the entries up to and including this number. The counter stays.
    fn forget(&mut self, through: u64) -> Result<(), StoreError>;

    /// Returns the part that the servers of a cluster share, or `None` if this one belongs to none.
    fn cluster(&mut self) -> Option<&mut dyn Cluster> {
        None
    }
}

/// The most keys of an account: one for each machine that its user logs in from.
pub const MAX_KEYS: usize = 32;

/// The precision of a key's recorded last use. A client on a bad network logs in again and again,
/// and must not cause a write each time.
pub const KEY_USE_MS: u64 = 60_000;

/// The result of adding an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The account was created.
    New,
    /// The name is taken.
    Taken,
}

/// An account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The argon2id hash as a PHC string.
    pub phc: String,
    /// True if the operator banned the account.
    pub banned: bool,
}

/// The result of checking a login or a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The credentials are right.
    Accepted,
    /// The credentials are right, and the account has a device list that this key is not in.
    Unlisted,
    /// The name is unknown, or the password or key is wrong. The verdict does not tell which.
    Refused,
    /// The credentials are right, but the account is banned.
    Banned,
}

/// The log as loaded at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    /// The log's random id.
    pub epoch: u64,
    /// The highest committed number, or 0 before the first.
    pub head: u64,
    /// The entries, sorted by number.
    pub entries: Vec<StoredEntry>,
}

/// A broadcast without a number. The database assigns one at the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBroadcast {
    /// The account that sends it.
    pub sender: Username,
    /// The wall clock's time in milliseconds, adjusted to increase for each sender.
    pub time_ms: u64,
    /// One line of text.
    pub text: String,
    /// The boot clock's time when it was sent to the store.
    pub boot_ms: u64,
    /// The id of the boot that `boot_ms` counts from.
    pub boot_id: u64,
}

impl NewBroadcast {
    /// Returns the entry with this number.
    pub fn numbered(self, number: u64) -> StoredEntry {
        let NewBroadcast { sender, time_ms, text, boot_ms, boot_id } = self;
        StoredEntry { broadcast: Broadcast { number, sender, time_ms, text }, boot_ms, boot_id }
    }
}

/// A broadcast with the clocks that tell its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The broadcast. Its time is the wall clock's, adjusted to increase for each sender.
    pub broadcast: Broadcast,
    /// The boot clock's time when it was committed.
    pub boot_ms: u64,
    /// The id of the boot that `boot_ms` counts from.
    pub boot_id: u64,
}

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused the operation or did not answer.
    #[error("the database failed: {0}")]
    Database(String),
    /// The database holds data that this program can't read.
    #[error("the database holds something unexpected: {0}")]
    Content(String),
    /// Another server uses the database, which the text names if it is known.
    #[error("{0}")]
    InUse(String),
    /// A server can't join the cluster of the database, or has lost its place there.
    #[error("{0}")]
    Cluster(String),
    /// The database is missing or not up to date. A start of the server fixes both.
    #[error("{0}")]
    NotReady(String),
}

/// A request of the hub. Connection ids are never reused, so a late answer can't reach another
/// client.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRequest {
    /// Create an account. The password is valid.
    SignUp { connection: ConnectionId, username: Username, password: Secret },
    /// Compare a password and, if it is right, add the key. `key` is `None` for a session typed by
    /// hand. Without a valid `username` the request fails, but takes the same time.
    CheckPassword {
        connection: ConnectionId,
        username: Option<Username>,
        password: Secret,
        key: Option<PublicKey>,
    },
    /// Check a key. Its signature has been verified. With `claim`, create the account if nobody has
    /// the name.
    CheckKey { connection: ConnectionId, username: Username, key: PublicKey, claim: bool },
    /// Compare the present password and, if it is right, set the new one. All keys of the account
    /// but the session's are removed.
    ChangePassword(Box<PasswordChange>),
    /// Commit broadcasts in this order. The hub sends only one such request at a time. `after` is
    /// the highest published number.
    Append { after: u64, broadcasts: Vec<NewBroadcast> },
    /// Delete broadcasts up to and including the number `through`. There is no answer.
    Forget { through: u64 },
    /// A request to the mailbox.
    Mail(MailRequest),
    /// A request about the cluster.
    Cluster(ClusterRequest),
}

/// A logged-in session's request to change its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// The connection of the session.
    pub connection: ConnectionId,
    /// The account's name.
    pub username: Username,
    /// The present password as the user typed it.
    pub password: Secret,
    /// The new password, which is valid.
    pub new: Secret,
    /// The key of the session.
    pub key: Option<PublicKey>,
}

/// An answer to the hub.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAnswer {
    /// The answer to [`StoreRequest::SignUp`].
    SignedUp { connection: ConnectionId, result: Result<Created, Unavailable> },
    /// The answer to [`StoreRequest::CheckPassword`] and [`StoreRequest::CheckKey`].
    Checked { connection: ConnectionId, result: Result<Verdict, Unavailable> },
    /// The answer to [`StoreRequest::ChangePassword`].
    PasswordChanged {
        connection: ConnectionId,
        username: Username,
        result: Result<Verdict, Unavailable>,
    },
    /// The same if the commit may have succeeded.
    PasswordInDoubt { connection: ConnectionId, username: Username },
    /// The answer to [`StoreRequest::Append`]: the number of the first broadcast. Either all are
    /// durable or none is.
    Appended { result: Result<u64, Unavailable> },
    /// The answer to [`StoreRequest::Mail`].
    Mail(MailAnswer),
    /// The answer to [`StoreRequest::Cluster`].
    Cluster(ClusterAnswer),
}

/// Converts a time from the database. A negative one was not written by a server and becomes 0, so
/// that it locks nobody out.
fn time_from_column(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or_default()
}

/// The error for a failed store or a full queue. The log has the details, and the client gets a
/// 4xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;
