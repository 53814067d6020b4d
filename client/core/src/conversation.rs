//! Conversations, and the state of the messages in them.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use letschat_protocol::groups::GroupName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;
use serde::{Serialize, Serializer};

/// The name of the conversation with everybody, which no account may have.
const EVERYONE: &str = "everyone";

/// The target of a message. It is typed and written as `bob`, `#team` or `everyone`, which no account may be
/// called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConversationId {
    /// One person.
    Person(Username),
    /// A group, by the name that this device calls it.
    Group(GroupName),
    /// Everybody on this server.
    Everyone,
}

/// The way of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Over the link of an open chat.
    Direct,
    /// Through the server.
    Server,
    /// Straight to a device of theirs, without a chat, while the server is away.
    Peer,
    /// None yet: it waits on disk.
    Outbox,
}

/// The state of an own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It waits in the outbox.
    Waiting,
    /// It is sent, but not confirmed.
    Sent,
    /// The server keeps it, since the recipient is away or has much to take.
    Kept,
    /// The other side has displayed it.
    Delivered,
    /// The server has given it up, and nobody has confirmed it.
    Expired,
    /// It will not arrive.
    Failed,
}

impl ConversationId {
    /// Returns the person, if it is a conversation with one.
    pub fn person(&self) -> Option<&Username> {
        match self {
            ConversationId::Person(who) => Some(who),
            ConversationId::Group(_) | ConversationId::Everyone => None,
        }
    }
}

/// A text that names no conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAConversation;

impl fmt::Display for NotAConversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a conversation is called by a username, `#` and a group's name, or `everyone`")
    }
}

impl Error for NotAConversation {}

impl FromStr for ConversationId {
    type Err = NotAConversation;

    fn from_str(text: &str) -> Result<Self, NotAConversation> {
        if text.starts_with('#') {
            return text.parse().map(ConversationId::Group).map_err(|_| NotAConversation);
        }
        match text.parse::<Username>().map_err(|_| NotAConversation)? {
            name if name.as_str() == EVERYONE => Ok(ConversationId::Everyone),
            name => Ok(ConversationId::Person(name)),
        }
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConversationId::Person(name) => f.write_str(name.as_str()),
            ConversationId::Group(name) => name.fmt(f),
            ConversationId::Everyone => f.write_str(EVERYONE),
        }
    }
}

impl Serialize for ConversationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes an id in digits.
pub(crate) fn digits<S: Serializer>(id: &MessageId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// The way of a link to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPath {
    /// From one client to the other.
    #[default]
    Direct,
    /// Through the server, which can't read it.
    Relay,
}
