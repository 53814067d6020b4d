//! Conversations, and the state of the messages in them.

use std::fmt;

use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;
use serde::{Serialize, Serializer};

/// The target of a message. It is typed and written as `bob` or `everyone`, which no account may be
/// called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConversationId {
    /// One person.
    Person(Username),
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
}

/// The state of an own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It is sent, but not confirmed.
    Sent,
    /// The other side has displayed it.
    Delivered,
    /// The chat ended before its arrival was confirmed.
    Failed,
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConversationId::Person(name) => f.write_str(name.as_str()),
            ConversationId::Everyone => f.write_str("everyone"),
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
