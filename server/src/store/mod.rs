//! What outlives the server: accounts, their keys, and the broadcast log.
//!
//! * [`Store`] – what any database must be able to do; blocking
//! * [`admin`] – what it does for the operator besides, beside a server that runs
//! * [`sqlite`] – the embedded default
//! * [`mysql`] – a database elsewhere
//! * [`password`] – argon2id, the same time for a name that exists and one that does not
//! * [`service`] – the threads that keep the blocking work away from the hub
//!
//! The hub asks with a [`StoreRequest`] and is answered with a [`StoreAnswer`]; it never waits.

pub mod admin;
pub mod mysql;
pub mod password;
pub mod service;
pub mod sqlite;

use letschat_protocol::dialogue::{Broadcast, Secret};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use crate::hub::ConnectionId;

/// A database of accounts and broadcasts. Every call may block and may fail.
pub trait Store: Send {
    /// Adds an account. `phc` is its argon2id hash as a PHC string.
    fn create_account(
        &mut self,
        username: &Username,
        phc: &str,
        created_ms: u64,
    ) -> Result<Created, StoreError>;

    /// Looks an account up.
    fn account(&mut self, username: &Username) -> Result<Option<Account>, StoreError>;

    /// Gives an account another password hash, and forgets all its keys but `keep`. `false`: there
    /// is no such account.
    fn set_password(
        &mut self,
        username: &Username,
        phc: &str,
        keep: Option<&PublicKey>,
    ) -> Result<bool, StoreError>;

    /// The right password was given: `phc` is what it was compared with. Lets the account in if that
    /// is still its hash and it is not banned by now, and adds the key if there is one.
    fn admit(
        &mut self,
        username: &Username,
        phc: &str,
        key: Option<&PublicKey>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError>;

    /// The same for a change of password: sets the new hash and forgets all keys but `keep`, if
    /// `old` is still the account's hash and it is not banned by now.
    fn replace_password(
        &mut self,
        username: &Username,
        old: &str,
        new: &str,
        keep: Option<&PublicKey>,
    ) -> Result<Verdict, StoreError>;

    /// Adds a key to an account, or notes its use. An account keeps at most [`MAX_KEYS`]; the one
    /// that was not used for the longest time gives way.
    fn add_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<(), StoreError>;

    /// Whether the account exists and has this key. Notes its use, unless the use that was noted
    /// last is less than [`KEY_USE_MS`] away.
    fn check_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError>;

    /// The log as it was last committed. Makes its epoch at the first call.
    fn load_log(&mut self) -> Result<StoredLog, StoreError>;

    /// Commits broadcasts, all or none, durably, and returns the number of the first; the others
    /// follow it without a gap. Numbers are above the stored counter, which is raised to the last
    /// one, and above `after`: a database that lost its last commits gives no number twice.
    fn append(&mut self, after: u64, broadcasts: &[NewBroadcast]) -> Result<u64, StoreError>;

    /// Forgets the entries up to and including this number. The counter stays.
    fn forget(&mut self, through: u64) -> Result<(), StoreError>;
}

/// Keys that an account can have at once: one for each machine that somebody logs in from.
pub const MAX_KEYS: usize = 32;

/// How exactly the last use of a key is written down. A client on a bad network logs in again and
/// again, and need not write each time.
pub const KEY_USE_MS: u64 = 60_000;

/// What came of adding an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New,
    /// Somebody has that name.
    Taken,
}

/// An account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The argon2id hash as a PHC string.
    pub phc: String,
    /// Whether the operator banned it.
    pub banned: bool,
}

/// What came of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Come in.
    Accepted,
    /// Unknown name, wrong password or unknown key: which one is not told.
    Refused,
    /// The right answer, but the operator banned the account.
    Banned,
}

/// The log as it is loaded at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    /// Random; names this log.
    pub epoch: u64,
    /// The highest number that was ever committed, 0 before the first.
    pub head: u64,
    /// In the order of numbers.
    pub entries: Vec<StoredEntry>,
}

/// A broadcast that has no number yet. The database gives it one when it commits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBroadcast {
    /// The account that sends it.
    pub sender: Username,
    /// The wall clock's time in milliseconds, adjusted to increase for each sender.
    pub time_ms: u64,
    /// One line of text.
    pub text: String,
    /// The boot clock when it was sent to the store.
    pub boot_ms: u64,
    /// Names the boot that `boot_ms` counts from.
    pub boot_id: u64,
}

impl NewBroadcast {
    /// The entry of the log that has this number.
    pub fn numbered(self, number: u64) -> StoredEntry {
        let NewBroadcast { sender, time_ms, text, boot_ms, boot_id } = self;
        StoredEntry { broadcast: Broadcast { number, sender, time_ms, text }, boot_ms, boot_id }
    }
}

/// A broadcast with what is needed to tell its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The broadcast. Its time is the wall clock's, adjusted to increase for each sender.
    pub broadcast: Broadcast,
    /// The boot clock when it was committed.
    pub boot_ms: u64,
    /// Names the boot that `boot_ms` counts from.
    pub boot_id: u64,
}

/// The database could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no, or nothing.
    #[error("the database failed: {0}")]
    Database(String),
    /// It holds what this program can't read.
    #[error("the database holds something unexpected: {0}")]
    Content(String),
    /// Another server has it; who, as far as the database tells.
    #[error("{0}")]
    InUse(String),
    /// It is not there or not up to date, which a server's start changes.
    #[error("{0}")]
    NotReady(String),
}

/// What the hub asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRequest {
    /// Make an account.
    SignUp {
        /// Who asks. Never reused, so a late answer can't reach somebody else.
        connection: ConnectionId,
        /// The new name.
        username: Username,
        /// The new password, already judged.
        password: Secret,
    },
    /// Compare a password; if it is right, add the key.
    CheckPassword {
        /// Who asks.
        connection: ConnectionId,
        /// The name as it was given. `None`: no valid name, so no account, in the same time.
        username: Option<Username>,
        /// The password as it was given.
        password: Secret,
        /// The key to add; `None` for a session typed by hand.
        key: Option<PublicKey>,
    },
    /// Look a key up.
    CheckKey {
        /// Who asks.
        connection: ConnectionId,
        /// The name.
        username: Username,
        /// The key. Its signature has been verified.
        key: PublicKey,
    },
    /// Compare the present password; if it is right, set the new one, and forget all keys of the
    /// account but this one.
    ChangePassword(Box<PasswordChange>),
    /// Commit broadcasts. The hub has at most one of these under way.
    Append {
        /// The highest number that was published.
        after: u64,
        /// In the order in which they get their numbers.
        broadcasts: Vec<NewBroadcast>,
    },
    /// Forget broadcasts. Not answered.
    Forget {
        /// Up to and including this number.
        through: u64,
    },
}

/// A change of password, as a logged-in session asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// Who asks.
    pub connection: ConnectionId,
    /// Whose.
    pub username: Username,
    /// The present password as it was given.
    pub password: Secret,
    /// The new one, already judged.
    pub new: Secret,
    /// The key of the session that asks.
    pub key: Option<PublicKey>,
}

/// What the hub is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAnswer {
    /// To [`StoreRequest::SignUp`].
    SignedUp {
        /// Who asked.
        connection: ConnectionId,
        /// What came of it.
        result: Result<Created, Unavailable>,
    },
    /// To [`StoreRequest::CheckPassword`] and [`StoreRequest::CheckKey`].
    Checked {
        /// Who asked.
        connection: ConnectionId,
        /// What came of it.
        result: Result<Verdict, Unavailable>,
    },
    /// To [`StoreRequest::ChangePassword`].
    PasswordChanged {
        /// Who asked.
        connection: ConnectionId,
        /// What came of it.
        result: Result<Verdict, Unavailable>,
    },
    /// To [`StoreRequest::Append`].
    Appended {
        /// The number of the first; the others follow. All of them are durable, or none.
        result: Result<u64, Unavailable>,
    },
}

/// A time as a database has it. One before 1970 is none that a server wrote: it counts as 0, so that
/// it keeps nobody out.
fn time_from_column(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or_default()
}

/// The store failed or its queue is full. The log has the details, the client a 4xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;
