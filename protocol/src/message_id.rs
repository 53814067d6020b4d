//! The ids of messages: the same on every device, and derived, so that a message need not carry its own.
//!
//! An id is the first 16 bytes of the SHA-256 of a label, a zero byte and some fields. Each field
//! is preceded by its length in four bytes, big-endian. The author's key is one of the fields, so
//! that no other client can use up an author's ids.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

use crate::identity::PublicKey;
use crate::peer::ChatId;

/// The id of a message. Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u128);

impl MessageId {
    /// Returns the id of a chat message. `number` is the author's count in `chat`.
    pub fn in_chat(chat: ChatId, author: &PublicKey, number: u64) -> MessageId {
        let (chat, number) = (chat.0.to_be_bytes(), number.to_be_bytes());
        MessageId::derive(b"letschat chat message v1", &[&chat, author.as_bytes(), &number])
    }

    /// Returns the id of a broadcast by its place in a server's log.
    pub fn of_broadcast(epoch: u64, number: u64) -> MessageId {
        let fields = [epoch.to_be_bytes(), number.to_be_bytes()];
        MessageId::derive(b"letschat broadcast v1", &[&fields[0], &fields[1]])
    }

    /// Returns the id of a message that its author device counts in a conversation. `conversation` is the name by
    /// which the author calls it.
    pub fn in_conversation(author: &PublicKey, conversation: &str, sequence: u64) -> MessageId {
        let fields = [author.as_bytes(), conversation.as_bytes(), &sequence.to_be_bytes()[..]];
        MessageId::derive(b"letschat message v1", &fields)
    }

    /// Returns the id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> MessageId {
        MessageId(u128::from_be_bytes(bytes))
    }

    /// Returns the id's 16 bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    fn derive(label: &[u8], fields: &[&[u8]]) -> MessageId {
        let mut hash = Context::new(&SHA256);
        hash.update(label);
        hash.update(&[0]);
        for field in fields {
            // A name of a conversation is short, and the other fields have at most 32 bytes.
            hash.update(&(field.len() as u32).to_be_bytes());
            hash.update(field);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finish().as_ref()[..16]);
        MessageId(u128::from_be_bytes(bytes))
    }
}

impl FromStr for MessageId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<MessageId, NotAnId> {
        let is_canonical =
            text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let id = u128::from_str_radix(text, 16).ok().filter(|_| is_canonical);
        id.map(MessageId).ok_or(NotAnId)
    }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 lower-case hexadecimal digits")]
pub struct NotAnId;

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the test vectors of PROTOCOL.md, computed by Python's hashlib.
    #[test]
    fn ids_are_the_documented_hashes() {
        let author = PublicKey::from_bytes([7; 32]);
        let id = MessageId::in_chat(ChatId(1), &author, 3);
        assert_eq!(id.to_string(), "5956316c2da1c8353c266466ed73ecab");
        assert_eq!(MessageId::of_broadcast(5, 9).to_string(), "b60fbda97c43b95d282b92bd31995d48");
    }

    #[test]
    fn each_field_makes_another_id() {
        let author = |byte| PublicKey::from_bytes([byte; 32]);
        let ids = [
            MessageId::in_chat(ChatId(1), &author(7), 3),
            MessageId::in_chat(ChatId(2), &author(7), 3),
            MessageId::in_chat(ChatId(1), &author(8), 3),
            MessageId::in_chat(ChatId(1), &author(7), 4),
            MessageId::of_broadcast(1, 3),
            MessageId::of_broadcast(3, 1),
            MessageId::in_conversation(&author(7), "bob", 3),
            MessageId::in_conversation(&author(7), "bob", 4),
            MessageId::in_conversation(&author(7), "carol", 3),
            MessageId::in_conversation(&author(8), "bob", 3),
        ];
        let different: std::collections::HashSet<MessageId> = ids.into_iter().collect();
        assert_eq!(different.len(), ids.len());
    }
}
