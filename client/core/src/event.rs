//! The events that a client emits to its front ends. They have the same names here, in `--json` and
//! in Lua.

use std::path::PathBuf;

use chrono::{SecondsFormat, TimeZone as _, Utc};
use letschat_protocol::devices::DeviceName;
use letschat_protocol::files::name::FileName;
use letschat_protocol::groups::GroupName;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;
use serde::{Serialize, Serializer};

use crate::codes::{ChatEnd, FailureCode, LinkEnd, NoticeCode, RequestEnd};
use crate::conversation::{ConversationId, LinkPath, MessageState, Via, digits};
use crate::failure::Failure;
use crate::history::HistoryMessage;
use crate::notice::Notice;
use crate::view::{Contacts, SessionState};

/// The names of all events.
pub const NAMES: &[&str] = &[
    "connected",
    "disconnected",
    "retrying",
    "logged_in",
    "left_server",
    "request",
    "request_ended",
    "chat_opened",
    "chat_interrupted",
    "chat_resumed",
    "chat_closed",
    "message",
    "message_state",
    "file_offered",
    "file_progress",
    "file_done",
    "file_failed",
    "broadcast",
    "initiated",
    "joined",
    "left",
    "group_changed",
    "device_waiting",
    "device_changed",
    "notice",
    "error",
];

/// Something that happened unasked. Serialised as an object with `"event"`.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server is reached, and its key is trusted. `server` is its host and port as given in the
    /// list of servers, `fingerprint` that of its key. `returned` is true if the user was logged in before, or would have been.
    Connected { server: String, fingerprint: String, returned: bool },
    /// The link to the server ended, and not on the user's request. `why` is `reason` with the
    /// details for people.
    Disconnected {
        reason: LinkEnd,
        #[serde(skip)]
        why: Failure,
    },
    /// The server will be tried again in `in_ms` milliseconds. `reason` says why the last try
    /// failed, and `attempt` counts from 1 since the link was lost. `why` has the details for
    /// people, or is `None` if the user knows them.
    Retrying {
        reason: LinkEnd,
        attempt: u32,
        in_ms: u64,
        #[serde(skip)]
        why: Option<Failure>,
    },
    /// The user logged in, for the first time or again. `by` is `password` or `key`.
    LoggedIn {
        #[serde(serialize_with = "name")]
        username: Username,
        by: &'static str,
    },
    /// The link to the server ended on the user's request. `chats` is the number of chats that
    /// continue.
    LeftServer { chats: usize },
    /// A peer requests a chat, or somebody whom the user has not approved has written. `address` is
    /// the caller's, `fingerprint` and `key` are about their key. `time_ms` is in milliseconds since
    /// the Unix epoch.
    Request {
        #[serde(serialize_with = "name")]
        from: Username,
        kind: RequestKind,
        #[serde(serialize_with = "option_group", skip_serializing_if = "Option::is_none")]
        group: Option<GroupName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        fingerprint: String,
        key: KeyState,
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
    },
    /// A peer's request for a chat ended.
    RequestEnded {
        #[serde(serialize_with = "name")]
        from: Username,
        reason: RequestEnd,
    },
    /// A chat is open. `fingerprint` and `key` are about the other side's key.
    ChatOpened {
        #[serde(serialize_with = "name")]
        with: Username,
        fingerprint: String,
        key: KeyState,
        link: LinkPath,
    },
    /// A chat's link broke and is being resumed.
    ChatInterrupted {
        #[serde(serialize_with = "name")]
        with: Username,
    },
    /// A chat's link is restored.
    ChatResumed {
        #[serde(serialize_with = "name")]
        with: Username,
        link: LinkPath,
    },
    /// A chat ended. `undelivered` has the messages that were never confirmed, oldest first.
    ChatClosed {
        #[serde(serialize_with = "name")]
        with: Username,
        reason: ChatEnd,
        undelivered: Vec<String>,
    },
    /// A message to or from a person. `number` counts from 1 in a direct chat. `time_ms` is the
    /// time of its arrival or, for an own message, of its sending, and `sent_ms` the author's, in
    /// milliseconds since the Unix epoch.
    Message {
        #[serde(serialize_with = "name")]
        from: Username,
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        text: String,
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
        #[serde(rename = "sent", serialize_with = "rfc3339")]
        sent_ms: u64,
        conversation: ConversationId,
        #[serde(serialize_with = "digits")]
        id: MessageId,
        own: bool,
        /// The other device of this account that sent it.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "option_device")]
        device: Option<DeviceName>,
        via: Via,
    },
    /// The state of an own message changed: for all recipients or, of a message to everyone, for `to`. `via` is the way
    /// by which it was sent. `code` says why it waits or failed. `is_news` is true if people need a line about it, since no reply says the
    /// same.
    MessageState {
        conversation: ConversationId,
        #[serde(serialize_with = "digits")]
        id: MessageId,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "option_name")]
        to: Option<Username>,
        state: MessageState,
        via: Via,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<FailureCode>,
        #[serde(skip)]
        is_news: bool,
    },
    /// A file is offered. The times and `via` are those of the message that offers it.
    FileOffered {
        #[serde(flatten)]
        file: Box<FileShown>,
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
        #[serde(rename = "sent", serialize_with = "rfc3339")]
        sent_ms: u64,
        /// The other device of this account that offers it.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "option_device")]
        device: Option<DeviceName>,
        via: Via,
    },
    /// The number of bytes of a file that have come and are verified or, with `to`, were sent to that person.
    FileProgress {
        #[serde(flatten)]
        file: Box<FileShown>,
        bytes: u64,
        link: LinkPath,
    },
    /// A file is complete. `path` is its place or, of an own file, absent.
    FileDone {
        #[serde(flatten)]
        file: Box<FileShown>,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "option_path")]
        path: Option<PathBuf>,
    },
    /// A file will not come, or an own one is not offered any more.
    FileFailed {
        #[serde(flatten)]
        file: Box<FileShown>,
        code: FailureCode,
        #[serde(skip)]
        why: Failure,
    },
    /// A broadcast, which is reported once. `number` is its place in the server's log, and `over`
    /// is `udp` or `tcp`. `time_ms` is the time at which the server accepted it, in milliseconds
    /// since the Unix epoch. `conversation` is always everyone.
    Broadcast {
        #[serde(serialize_with = "name")]
        from: Username,
        number: u64,
        text: String,
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
        own: bool,
        over: &'static str,
        conversation: ConversationId,
        #[serde(serialize_with = "digits")]
        id: MessageId,
        via: Via,
    },
    /// A client came to the classroom for the first time. It may be this one.
    Initiated {
        #[serde(serialize_with = "name")]
        username: Username,
    },
    /// Clients became active. `usernames` is empty if only the count is known.
    Joined {
        #[serde(serialize_with = "names")]
        usernames: Vec<Username>,
        count: u64,
    },
    /// Clients became inactive. `usernames` is empty if only the count is known.
    Left {
        #[serde(serialize_with = "names")]
        usernames: Vec<Username>,
        count: u64,
    },
    /// The session's state changed. Only front ends that keep a [`View`](crate::view::View) need
    /// this event; programs and scripts use the others.
    #[serde(skip)]
    State(Box<SessionState>),
    /// All active clients as the server listed them. Only front ends that keep a view need this
    /// event.
    #[serde(skip)]
    People(Vec<Username>),
    /// The known keys or the groups have changed, or an account was opened. Only for front ends that keep a view.
    #[serde(skip)]
    Contacts(Box<Contacts>),
    /// Messages that this device kept, oldest first. Only for front ends that keep a view.
    #[serde(skip)]
    History(Vec<HistoryMessage>),
    /// A group has changed: `who` has come or gone, and `by` did it. `members` are those who have joined.
    GroupChanged {
        #[serde(serialize_with = "group_name")]
        group: GroupName,
        change: GroupChange,
        #[serde(serialize_with = "name")]
        who: Username,
        #[serde(serialize_with = "name")]
        by: Username,
        #[serde(serialize_with = "names")]
        members: Vec<Username>,
    },
    /// A device that is not in the account's list has logged in. `key` is its fingerprint. If it wants to be in the
    /// list, `name` is the name that it gave itself.
    DeviceWaiting {
        key: String,
        address: String,
        #[serde(serialize_with = "option_device", skip_serializing_if = "Option::is_none")]
        name: Option<DeviceName>,
    },
    /// The list of the account's devices changed. `key` is the fingerprint of the device. `by` is that of the device
    /// which changed the list, and `by_name` its name.
    DeviceChanged {
        key: String,
        #[serde(serialize_with = "device")]
        name: DeviceName,
        change: DeviceChange,
        by: String,
        #[serde(serialize_with = "device")]
        by_name: DeviceName,
    },
    /// A notice to the user. `code` is a stable word.
    Notice {
        code: NoticeCode,
        #[serde(skip)]
        notice: Notice,
    },
    /// A failure that belongs to no request. `code` is a stable word.
    Error {
        code: FailureCode,
        #[serde(skip)]
        trouble: Trouble,
    },
}

/// A failure that belongs to no request.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The client could not log in and stops trying. `told` is true if the user knows why.
    LoginEnded { why: Failure, told: bool, username: Option<Username> },
    /// A file below `folder` could not be written.
    NotSaved { folder: String, why: String },
}

/// A file in an event. `to` is the person who fetches an own file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileShown {
    /// The id of the message that offers it.
    #[serde(serialize_with = "digits")]
    pub id: MessageId,
    /// The conversation of that message.
    pub conversation: ConversationId,
    /// Its author.
    #[serde(serialize_with = "name")]
    pub from: Username,
    /// True if this account offers it.
    pub own: bool,
    /// The person who fetches an own file.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "option_name")]
    pub to: Option<Username>,
    /// Its name.
    #[serde(serialize_with = "file_name")]
    pub name: FileName,
    /// Its size, in bytes.
    pub size: u64,
}

impl Event {
    /// Returns a `notice` event.
    pub fn notice(notice: Notice) -> Event {
        Event::Notice { code: notice.code(), notice }
    }

    /// Returns true for an event that only a [`View`](crate::view::View) uses.
    pub fn is_for_views(&self) -> bool {
        matches!(self, Event::State(_) | Event::People(_) | Event::Contacts(_) | Event::History(_))
    }

    /// Returns true for an own message.
    pub fn is_own_message(&self) -> bool {
        match self {
            Event::Message { own, .. } => *own,
            Event::FileOffered { file, .. } => file.own,
            _ => false,
        }
    }

    /// Returns true for an own message, and for a change of its state.
    pub fn is_of_own_message(&self) -> bool {
        self.is_own_message() || matches!(self, Event::MessageState { .. })
    }

    /// Returns the bytes of the texts whose length others choose.
    pub fn text_bytes(&self) -> usize {
        match self {
            Event::Message { text, .. } | Event::Broadcast { text, .. } => text.len(),
            Event::ChatClosed { undelivered, .. } => undelivered.iter().map(String::len).sum(),
            Event::People(usernames)
            | Event::Joined { usernames, .. }
            | Event::Left { usernames, .. } => {
                usernames.iter().map(|name| name.as_str().len()).sum()
            }
            Event::Contacts(contacts) => contacts.text_bytes(),
            Event::History(messages) => messages.iter().map(HistoryMessage::text_bytes).sum(),
            Event::Notice { notice, .. } => notice.text_bytes(),
            Event::Disconnected { why, .. } | Event::Retrying { why: Some(why), .. } => {
                why.text_bytes()
            }
            Event::Error { trouble: Trouble::LoginEnded { why, .. }, .. } => why.text_bytes(),
            _ => 0,
        }
    }
}

/// A change of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// The user has founded it.
    Created,
    /// The person is invited.
    Invited,
    /// The person has joined.
    Joined,
    /// The person has left.
    Left,
    /// The owner has removed the person.
    Removed,
    /// The person is the owner now.
    Given,
}

/// A change of the list of the account's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChange {
    /// The device was added.
    Added,
    /// The device was removed.
    Removed,
}

/// The subject of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A chat.
    Chat,
    /// Messages of somebody whom the user has not approved.
    Message,
    /// To join a group.
    Group,
}

/// The state of a peer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It was never seen before.
    New,
    /// It is the known one.
    Known,
    /// It is the known one, and the two users compared the safety number.
    Verified,
    /// It is not the known one.
    Changed,
}

impl KeyState {
    /// Returns true for a key that messages are shown from.
    pub fn is_known(self) -> bool {
        matches!(self, KeyState::Known | KeyState::Verified)
    }
}

fn name<S: Serializer>(username: &Username, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(username.as_str())
}

fn option_name<S: Serializer>(
    username: &Option<Username>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    username.as_ref().map(Username::as_str).serialize(serializer)
}

fn group_name<S: Serializer>(name: &GroupName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

fn option_group<S: Serializer>(name: &Option<GroupName>, serializer: S) -> Result<S::Ok, S::Error> {
    name.as_ref().map(GroupName::to_string).serialize(serializer)
}

fn file_name<S: Serializer>(name: &FileName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

/// Writes a path. One that is not UTF-8 is shown as well as it can be.
pub(crate) fn option_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(serializer)
}

fn device<S: Serializer>(name: &DeviceName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

fn option_device<S: Serializer>(
    name: &Option<DeviceName>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    name.as_ref().map(DeviceName::as_str).serialize(serializer)
}

fn names<S: Serializer>(usernames: &[Username], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(usernames.iter().map(Username::as_str))
}

fn rfc3339<S: Serializer>(time_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_rfc3339(*time_ms))
}

/// Formats a time as RFC 3339 does, in UTC with milliseconds.
pub fn format_rfc3339(time_ms: u64) -> String {
    let time = i64::try_from(time_ms).ok().and_then(|ms| Utc.timestamp_millis_opt(ms).single());
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Formats a key's fingerprint for people.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint().to_string()
}
