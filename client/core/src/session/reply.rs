//! The replies to requests.

use letschat_protocol::dialogue::Listed;
use letschat_protocol::message_id::MessageId;
use serde::Serialize;

use crate::conversation::{MessageState, Via, digits};
use crate::event::KeyState;

/// What came of a request. Serialised as the fields of a JSON reply; the crate `letschat-commands` adds
/// the sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// It is done; there is nothing to add.
    Done {},
    /// Words worth showing: the server's, or those of a command.
    Said {
        /// The words.
        message: String,
    },
    /// An account is made.
    SignedUp {
        /// Whose.
        #[serde(skip)]
        username: String,
    },
    /// Logged in.
    LoggedIn {
        /// As whom.
        username: String,
    },
    /// The active clients.
    Users {
        /// In the order of names.
        users: Vec<User>,
    },
    /// A chat is open.
    Chat {
        /// With whom.
        with: String,
        /// Of their key.
        fingerprint: String,
        /// What is known of that key.
        key: KeyState,
    },
    /// A message is on its way.
    Sent {
        /// To whom.
        to: String,
        /// Its number in this chat.
        number: u64,
        /// Its name. Not `id`, which a JSON reply has of its request.
        #[serde(serialize_with = "digits")]
        message_id: MessageId,
        /// What has become of it so far.
        state: MessageState,
        /// How it is carried.
        via: Via,
    },
    /// A broadcast is in the log.
    Broadcast {
        /// Its number.
        number: u64,
        /// When, RFC 3339.
        time: String,
    },
    /// The safety number with a peer.
    Safety {
        /// Who.
        with: String,
        /// Sixty digits in groups of five.
        safety_number: String,
        /// Of their key.
        fingerprint: String,
        /// Whether it has been compared.
        verified: bool,
    },
    /// A peer's changed key is pinned.
    Trusted {
        /// Whose key it is.
        with: String,
        /// Of the pinned key.
        fingerprint: String,
    },
    /// Somebody is blocked from now on, or no more.
    BlockSet {
        /// Who.
        #[serde(skip)]
        who: String,
        /// Whether they are blocked now.
        #[serde(skip)]
        on: bool,
        /// Whether that is new.
        #[serde(skip)]
        changed: bool,
    },
    /// Those who are blocked.
    Blocked {
        /// In the order of names.
        blocked: Vec<String>,
    },
    /// The client's state.
    Status(Box<Status>),
}

/// An active client in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Who.
    pub username: String,
    /// Where.
    pub address: String,
    /// The receiver's port; none for a session typed by hand.
    pub port: Option<u16>,
}

impl From<&Listed> for User {
    fn from(listed: &Listed) -> User {
        User {
            username: listed.username.to_string(),
            address: listed.address.to_string(),
            port: listed.port,
        }
    }
}

/// The client's state, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The server as it was given.
    pub server: String,
    /// Of the server's key, once it is known.
    pub server_fingerprint: Option<String>,
    /// `offline`, `connecting`, `connected`, `logged_in` or `waiting` (to try again).
    pub state: &'static str,
    /// As whom.
    pub username: Option<String>,
    /// Of one's own key.
    pub fingerprint: Option<String>,
    /// One's own address as the server sees it, with the receiver's port: what a friend can use.
    pub address: Option<String>,
    /// The receiver's port.
    pub port: u16,
    /// Whether broadcasts come over UDP.
    pub udp: bool,
    /// The open chats.
    pub chats: Vec<ChatStatus>,
    /// Who asks for a chat.
    pub requests: Vec<String>,
}

/// A chat in a [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatStatus {
    /// With whom.
    pub with: String,
    /// `calling`, `open` or `interrupted`.
    pub state: &'static str,
    /// Whether plain text goes there.
    pub current: bool,
    /// Messages of which no arrival was confirmed yet.
    pub unconfirmed: usize,
    /// What is known of their key.
    pub key: KeyState,
}
