//! What a `notice` event reports, as data. The crate `letschat-commands` has the sentences.

use letschat_protocol::identity::Fingerprint;
use letschat_protocol::username::Username;

use crate::codes::NoticeCode;

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server is new, and its key is pinned.
    ServerKeyPinned {
        /// The server's address as it was given.
        server: String,
        /// The server's key.
        fingerprint: Fingerprint,
    },
    /// The server is known by another address.
    ServerKnown {
        /// The server's address as it was given.
        server: String,
        /// The address by which it is known.
        known_as: String,
    },
    /// The operator says something to everybody.
    ServerSays(String),
    /// A login was asked for that has been done already.
    AlreadyLoggedIn(Username),
    /// They are being asked for a chat.
    Ringing(Username),
    /// A chat was asked for that is open already.
    ChatOpen(Username),
    /// The chat with them became the current one.
    CurrentChat(Username),
    /// Events were dropped because nobody read them.
    EventsDropped {
        /// How many.
        count: u64,
    },
    /// It is not known any more which broadcasts have been shown. The text says why.
    PositionLost(String),
}

impl Notice {
    /// The stable word for programs.
    pub fn code(&self) -> NoticeCode {
        match self {
            Notice::ServerKeyPinned { .. } => NoticeCode::ServerKeyPinned,
            Notice::ServerKnown { .. } => NoticeCode::ServerKnown,
            Notice::ServerSays(_) => NoticeCode::ServerSays,
            Notice::AlreadyLoggedIn(_) => NoticeCode::AlreadyLoggedIn,
            Notice::Ringing(_) => NoticeCode::Ringing,
            Notice::ChatOpen(_) => NoticeCode::ChatOpen,
            Notice::CurrentChat(_) => NoticeCode::CurrentChat,
            Notice::EventsDropped { .. } => NoticeCode::EventsDropped,
            Notice::PositionLost(_) => NoticeCode::PositionLost,
        }
    }

    /// The bytes of its texts that others choose the length of.
    pub fn text_bytes(&self) -> usize {
        match self {
            Notice::ServerSays(text) | Notice::PositionLost(text) => text.len(),
            _ => 0,
        }
    }
}
