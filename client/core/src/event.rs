//! What a client tells whoever drives it. The names are the same here, in `--json` and in Lua.

use chrono::{SecondsFormat, TimeZone as _, Utc};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;
use serde::{Serialize, Serializer};

use crate::codes::{ChatEnd, FailureCode, LinkEnd, NoticeCode, RequestEnd};
use crate::conversation::{ConversationId, MessageState, Via, digits};
use crate::failure::Failure;
use crate::notice::Notice;
use crate::view::SessionState;

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
    "broadcast",
    "joined",
    "left",
    "notice",
    "error",
];

/// Something happened that nobody asked for. Serialised as an object with `"event"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server is reached and is the one that is trusted.
    Connected {
        /// Host and port as they were given.
        server: String,
        /// Of the server's key.
        fingerprint: String,
    },
    /// The link to the server ended, and not because the user wanted it.
    Disconnected {
        /// Why.
        reason: LinkEnd,
        /// The same, with what is to be told.
        #[serde(skip)]
        why: Failure,
    },
    /// The server will be tried again.
    Retrying {
        /// Why the last try failed.
        reason: LinkEnd,
        /// Which try that will be, from 1 since the link was lost.
        attempt: u32,
        /// In how long, in milliseconds.
        in_ms: u64,
        /// What is to be told of that; `None` if it has been told.
        #[serde(skip)]
        why: Option<Failure>,
    },
    /// Logged in, for the first time or again.
    LoggedIn {
        /// As whom.
        #[serde(serialize_with = "name")]
        username: Username,
        /// By `password` or `key`.
        by: &'static str,
    },
    /// The link to the server ended because the user wanted it.
    LeftServer {
        /// How many chats go on.
        chats: usize,
    },
    /// Somebody asks for a chat.
    Request {
        /// Who.
        #[serde(serialize_with = "name")]
        from: Username,
        /// From where.
        address: String,
        /// Of their key.
        fingerprint: String,
        /// What is known of that key.
        key: KeyState,
        /// When, in milliseconds since the Unix epoch.
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
    },
    /// Somebody who asked does so no more.
    RequestEnded {
        /// Who.
        #[serde(serialize_with = "name")]
        from: Username,
        /// Why.
        reason: RequestEnd,
    },
    /// A chat is open.
    ChatOpened {
        /// With whom.
        #[serde(serialize_with = "name")]
        with: Username,
        /// Of their key.
        fingerprint: String,
        /// What is known of that key.
        key: KeyState,
    },
    /// A chat's link broke; it is being taken up again.
    ChatInterrupted {
        /// With whom.
        #[serde(serialize_with = "name")]
        with: Username,
    },
    /// The chat's link is whole again.
    ChatResumed {
        /// With whom.
        #[serde(serialize_with = "name")]
        with: Username,
    },
    /// A chat is over.
    ChatClosed {
        /// With whom.
        #[serde(serialize_with = "name")]
        with: Username,
        /// Why.
        reason: ChatEnd,
        /// The messages of which no arrival was confirmed, oldest first.
        undelivered: Vec<String>,
    },
    /// A message of a chat, one's own included.
    Message {
        /// Whose.
        #[serde(serialize_with = "name")]
        from: Username,
        /// Its number in this chat, from 1.
        number: u64,
        /// What.
        text: String,
        /// When it arrived, in milliseconds since the Unix epoch; of an own message, when it was sent.
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
        /// Where it was said.
        conversation: ConversationId,
        /// Its name.
        #[serde(serialize_with = "digits")]
        id: MessageId,
        /// Whether it is one's own.
        own: bool,
        /// How it came or goes.
        via: Via,
    },
    /// Something has become of an own message.
    MessageState {
        /// Where it was said.
        conversation: ConversationId,
        /// Its name.
        #[serde(serialize_with = "digits")]
        id: MessageId,
        /// What has become of it.
        state: MessageState,
        /// How it was carried.
        via: Via,
    },
    /// A broadcast. Each is told once.
    Broadcast {
        /// Whose.
        #[serde(serialize_with = "name")]
        from: Username,
        /// Its place in the server's log.
        number: u64,
        /// What.
        text: String,
        /// When the server took it, in milliseconds since the Unix epoch.
        #[serde(rename = "time", serialize_with = "rfc3339")]
        time_ms: u64,
        /// Whether it is one's own.
        own: bool,
        /// How it came: `udp` or `tcp`.
        over: &'static str,
        /// Where it was said: to everyone.
        conversation: ConversationId,
        /// Its name.
        #[serde(serialize_with = "digits")]
        id: MessageId,
        /// How it came.
        via: Via,
    },
    /// They came.
    Joined {
        /// Who; empty if only the count is told.
        #[serde(serialize_with = "names")]
        usernames: Vec<Username>,
        /// How many.
        count: u64,
    },
    /// They went.
    Left {
        /// Who; empty if only the count is told.
        #[serde(serialize_with = "names")]
        usernames: Vec<Username>,
        /// How many.
        count: u64,
    },
    /// The session has changed. For front ends that keep a [`View`](crate::view::View); programs and scripts are
    /// told by the other events.
    #[serde(skip)]
    State(Box<SessionState>),
    /// Everybody who is here, as the server listed them. For the same.
    #[serde(skip)]
    People(Vec<Username>),
    /// Something to know.
    Notice {
        /// A stable word.
        code: NoticeCode,
        /// What.
        #[serde(skip)]
        notice: Notice,
    },
    /// Something went wrong that no command asked for.
    Error {
        /// A stable word.
        code: FailureCode,
        /// What happened.
        #[serde(skip)]
        trouble: Trouble,
    },
}

/// Something that went wrong and that no command asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The client was to be logged in, and is not; nothing more is tried.
    LoginEnded {
        /// Why.
        why: Failure,
        /// The user has been told why.
        told: bool,
        /// The account.
        username: Option<Username>,
    },
    /// A file could not be written.
    NotSaved {
        /// Below this folder.
        folder: String,
        /// What failed.
        why: String,
    },
}

impl Event {
    /// A `notice` event.
    pub fn notice(notice: Notice) -> Event {
        Event::Notice { code: notice.code(), notice }
    }

    /// Returns true for an event that only a [`View`](crate::view::View) takes in.
    pub fn is_for_views(&self) -> bool {
        matches!(self, Event::State(_) | Event::People(_))
    }

    /// Returns true for a message of one's own.
    pub fn is_own_message(&self) -> bool {
        matches!(self, Event::Message { own: true, .. })
    }

    /// Returns true for a message of one's own, and for what has become of one.
    pub fn is_of_own_message(&self) -> bool {
        self.is_own_message() || matches!(self, Event::MessageState { .. })
    }

    /// The bytes of its texts that others choose the length of.
    pub fn text_bytes(&self) -> usize {
        match self {
            Event::Message { text, .. } | Event::Broadcast { text, .. } => text.len(),
            Event::ChatClosed { undelivered, .. } => undelivered.iter().map(String::len).sum(),
            Event::People(usernames)
            | Event::Joined { usernames, .. }
            | Event::Left { usernames, .. } => {
                usernames.iter().map(|name| name.as_str().len()).sum()
            }
            Event::Notice { notice, .. } => notice.text_bytes(),
            Event::Disconnected { why, .. } | Event::Retrying { why: Some(why), .. } => {
                why.text_bytes()
            }
            Event::Error { trouble: Trouble::LoginEnded { why, .. }, .. } => why.text_bytes(),
            _ => 0,
        }
    }
}

/// What is known of a peer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Never seen before.
    New,
    /// The same as before.
    Known,
    /// The same as before, and the two users compared the safety number.
    Verified,
    /// Not the one that was known.
    Changed,
}

fn name<S: Serializer>(username: &Username, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(username.as_str())
}

fn names<S: Serializer>(usernames: &[Username], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(usernames.iter().map(Username::as_str))
}

fn rfc3339<S: Serializer>(time_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_rfc3339(*time_ms))
}

/// A time as RFC 3339 has it, in UTC with milliseconds.
pub fn format_rfc3339(time_ms: u64) -> String {
    let time = i64::try_from(time_ms).ok().and_then(|ms| Utc.timestamp_millis_opt(ms).single());
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// How a key is shown to people.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint().to_string()
}
