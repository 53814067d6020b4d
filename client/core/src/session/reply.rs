//! The replies to requests.

use std::path::PathBuf;

use letschat_protocol::dialogue::Listed;
use letschat_protocol::message_id::MessageId;
use serde::Serialize;

use crate::codes::FailureCode;
use crate::conversation::{ConversationId, LinkPath, MessageState, Via, digits};
use crate::event::{KeyState, format_rfc3339, option_path};
use crate::history::{HistoryMessage, HistoryStatus};
use crate::view::RecentMessage;

/// The outcome of a request. Serialised as the fields of a JSON reply. The crate
/// `letschat-commands` adds the sentences.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// It is done, and there is nothing to add.
    Done {},
    /// A text of the server or of a command to show.
    Said { message: String },
    /// The account was created.
    SignedUp {
        #[serde(skip)]
        username: String,
    },
    /// The user is logged in.
    LoggedIn { username: String },
    /// The active clients, sorted by name.
    Users { users: Vec<User> },
    /// A chat is open. `fingerprint` and `key` are about the other side's key.
    Chat { with: String, fingerprint: String, key: KeyState },
    /// A message is on its way, or waits. `number` counts the messages of a direct chat, and `code`
    /// says why it waits. A JSON reply has `message_id` instead of `id`, which names its request.
    Sent {
        to: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        #[serde(serialize_with = "digits")]
        message_id: MessageId,
        state: MessageState,
        via: Via,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<FailureCode>,
        /// The file, if the message offers one.
        #[serde(flatten)]
        file: Option<SentFile>,
    },
    /// A file was given up: its transfer (`stopped`), the offer of somebody else (`forgotten`), or an own one
    /// (`withdrawn`).
    FileCancelled {
        #[serde(serialize_with = "digits")]
        message_id: MessageId,
        name: String,
        state: &'static str,
    },
    /// A file that the user wants. Events tell its progress.
    FileWanted {
        #[serde(serialize_with = "digits")]
        message_id: MessageId,
        name: String,
        size: u64,
        state: &'static str,
    },
    /// The offered files, oldest first.
    Files { files: Vec<ListedFile> },
    /// The account's devices, those that wait to be listed, and the code of this one if it is not listed.
    Devices {
        devices: Vec<OwnDevice>,
        waiting: Vec<WaitingDevice>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// A device was added to the account's list. `key` is its fingerprint.
    DeviceAdded { name: String, key: String },
    /// A device was removed from the account's list. `key` is its fingerprint.
    DeviceRemoved { name: String, key: String },
    /// The account has a new device list with this device alone.
    DevicesRecovered {},
    /// A group.
    Group(Box<Group>),
    /// A group that the user has changed. An event has told that.
    GroupChanged(Box<Group>),
    /// The groups.
    Groups { groups: Vec<Group> },
    /// A broadcast is in the log. `time` is as in RFC 3339.
    Broadcast {
        number: u64,
        time: String,
        #[serde(serialize_with = "digits")]
        message_id: MessageId,
        state: MessageState,
        via: Via,
    },
    /// The safety number with a peer, sixty digits in groups of five. `fingerprint` is that of
    /// their key. `verified` is true if the number has been compared.
    Safety { with: String, safety_number: String, fingerprint: String, verified: bool },
    /// A peer's changed key is pinned. `fingerprint` is that of the pinned key.
    Trusted { with: String, fingerprint: String },
    /// A user is blocked or unblocked. `changed` is true if that is new.
    BlockSet {
        #[serde(skip)]
        who: String,
        #[serde(skip)]
        on: bool,
        #[serde(skip)]
        changed: bool,
    },
    /// The blocked people, sorted by name.
    Blocked { blocked: Vec<String> },
    /// The state of the history.
    History(HistoryStatus),
    /// Messages of the history, oldest first. `unreadable` counts those that could not be read.
    Found { messages: Vec<FoundMessage>, unreadable: u64 },
    /// Messages of the history were deleted: those of the conversation `with`, or all.
    Forgotten {
        #[serde(skip_serializing_if = "Option::is_none")]
        with: Option<ConversationId>,
        messages: u64,
    },
    /// The passphrase of the history was set, or removed.
    PassphraseSet { passphrase: bool },
    /// The client's state.
    Status(Box<Status>),
}

/// A file in the reply to its offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentFile {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub size: u64,
}

/// An offered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedFile {
    /// The id of the message that offers it.
    #[serde(serialize_with = "digits")]
    pub id: MessageId,
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub size: u64,
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The author of the message.
    pub from: String,
    /// True if this device offers it.
    pub own: bool,
    /// `offered`, `wanted`, `saved` or `failed`.
    pub state: &'static str,
    /// The bytes that have come and are verified, while it is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The way in which it comes, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkPath>,
    /// The people who are fetching it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// The source of an own file, or the place of a saved one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "option_path")]
    pub path: Option<PathBuf>,
    /// The reason for which it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
}

/// A message of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundMessage {
    /// Its id.
    #[serde(serialize_with = "digits")]
    pub message_id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its author.
    pub from: String,
    /// True for an own message.
    pub own: bool,
    /// Its text, or the name of the file that it offers.
    pub text: String,
    /// True if it offers a file.
    pub file: bool,
    /// The time of its arrival or, for an own message, of its sending, as in RFC 3339.
    pub time: String,
    /// The same in milliseconds since the Unix epoch.
    #[serde(skip)]
    pub time_ms: u64,
    /// The way by which it was sent.
    pub via: Via,
}

impl From<HistoryMessage> for FoundMessage {
    fn from(HistoryMessage { conversation, message }: HistoryMessage) -> FoundMessage {
        let RecentMessage { from, own, id, text, is_file, time_ms, via, .. } = message;
        let (from, time) = (from.to_string(), format_rfc3339(time_ms));
        FoundMessage {
            message_id: id,
            conversation,
            from,
            own,
            text,
            file: is_file,
            time,
            time_ms,
            via,
        }
    }
}

impl FoundMessage {
    /// Returns it as a message of the view, or `None` if its author has no valid name.
    pub fn into_message(self) -> Option<RecentMessage> {
        Some(RecentMessage {
            from: self.from.parse().ok()?,
            own: self.own,
            id: self.message_id,
            text: self.text,
            is_file: self.file,
            is_earlier: true,
            time_ms: self.time_ms,
            via: self.via,
            state: None,
        })
    }
}

/// An active client in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The username.
    pub username: String,
    /// The address.
    pub address: String,
    /// The receiver's port, or none for a session typed by hand.
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
    /// The server that was reached last, or all as given.
    pub server: String,
    /// The fingerprint of the server's key, once it is known.
    pub server_fingerprint: Option<String>,
    /// `offline`, `connecting`, `connected`, `logged_in` or `waiting` (to try again).
    pub state: &'static str,
    /// The user's name.
    pub username: Option<String>,
    /// The fingerprint of the user's key.
    pub fingerprint: Option<String>,
    /// The name of this device.
    pub device: Option<String>,
    /// True if this device is in the account's device list.
    pub listed: bool,
    /// The user's address as the server sees it, with the receiver's port. A friend can connect to
    /// it.
    pub address: Option<String>,
    /// The receiver's port.
    pub port: u16,
    /// True if broadcasts come over UDP.
    pub udp: bool,
    /// The open chats.
    pub chats: Vec<ChatStatus>,
    /// The people who ask for a chat.
    pub requests: Vec<String>,
}

/// A chat in a [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatStatus {
    /// The other side.
    pub with: String,
    /// `calling`, `open` or `interrupted`.
    pub state: &'static str,
    /// True if plain text goes there.
    pub current: bool,
    /// The number of unconfirmed messages.
    pub unconfirmed: usize,
    /// The state of the other side's key.
    pub key: KeyState,
    /// The way of the link, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkPath>,
}

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnDevice {
    /// The name that it gave itself.
    pub name: String,
    /// The fingerprint of its key.
    pub key: String,
    /// The time of its last login as in RFC 3339, if the server has told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// True for this device.
    pub this: bool,
}

/// A device that wants to be in the account's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingDevice {
    /// The name that it gave itself.
    pub name: String,
    /// The fingerprint of its key.
    pub key: String,
    /// Its address as the server sees it.
    pub address: String,
}

/// A group that the user is in or invited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name on this device, with a `#`.
    pub group: String,
    /// The owner, who invites and removes.
    pub owner: String,
    /// True if the user has joined.
    pub joined: bool,
    /// The members and the invited people.
    pub members: Vec<GroupMember>,
}

/// A person in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupMember {
    /// The username.
    pub name: String,
    /// `joined` or `invited`.
    pub state: &'static str,
}
