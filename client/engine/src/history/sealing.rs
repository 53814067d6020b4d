//! Messages as sealed rows.
//!
//! A row is a random nonce (12 bytes) and the message, sealed with ChaCha20-Poly1305 (RFC 8439) under the key of the
//! run that wrote it. The message's id is associated data, so that no row can take another's place. Sealed are:
//!
//! ```text
//! flags (1: own 1, file 2), way (1), time in milliseconds (8, big-endian),
//! length of the conversation's name (1), name, length of the author's name (1), name, text
//! ```

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use letschat_core::conversation::{ConversationId, Via};
use letschat_core::history::HistoryMessage;
use letschat_core::view::RecentMessage;
use letschat_protocol::message_id::MessageId;

const OWN: u8 = 1;
const FILE: u8 = 2;

const WAYS: [Via; 4] = [Via::Direct, Via::Server, Via::Peer, Via::Outbox];

const NONCE_BYTES: usize = 12;

/// The key of the messages of a run.
pub(super) struct RunKey(LessSafeKey);

/// A message as it is read. Only what is shown is copied.
pub(super) struct Opened<'a> {
    flags: u8,
    via: Via,
    time_ms: u64,
    pub(super) conversation: &'a str,
    from: &'a str,
    pub(super) text: &'a str,
}

impl RunKey {
    pub(super) fn new(bytes: &[u8; 32]) -> Option<RunKey> {
        UnboundKey::new(&CHACHA20_POLY1305, bytes).ok().map(LessSafeKey::new).map(RunKey)
    }

    /// Seals a message in the row of this id. Returns `None` if the system's random source fails.
    pub(super) fn seal(&self, id: [u8; 16], message: &HistoryMessage) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut bytes = encode(message);
        let aad = Aad::from(id);
        let nonce_of_row = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(nonce_of_row, aad, &mut bytes).ok()?;
        bytes.splice(0..0, nonce);
        Some(bytes)
    }

    /// Opens a row in place.
    pub(super) fn open<'a>(&self, id: [u8; 16], row: &'a mut [u8]) -> Option<Opened<'a>> {
        let (nonce, sealed) = row.split_first_chunk_mut::<NONCE_BYTES>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Opened::decode(self.0.open_in_place(nonce, Aad::from(id), sealed).ok()?)
    }
}

fn encode(HistoryMessage { conversation, message }: &HistoryMessage) -> Vec<u8> {
    let way = WAYS.iter().position(|way| *way == message.via).unwrap_or_default();
    let flags = if message.own { OWN } else { 0 } | if message.is_file { FILE } else { 0 };
    let mut bytes = vec![flags, way as u8];
    bytes.extend_from_slice(&message.time_ms.to_be_bytes());
    for name in [conversation.to_string().as_str(), message.from.as_str()] {
        // Names of people and groups have at most 64 bytes.
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes.extend_from_slice(message.text.as_bytes());
    bytes
}

impl<'a> Opened<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Opened<'a>> {
        let ([flags, way], rest) = bytes.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (conversation, rest) = name(rest)?;
        let (from, text) = name(rest)?;
        Some(Opened {
            flags: *flags,
            via: *WAYS.get(usize::from(*way))?,
            time_ms: u64::from_be_bytes(*time),
            conversation,
            from,
            text: std::str::from_utf8(text).ok()?,
        })
    }

    /// Copies the message.
    pub(super) fn to_message(&self, id: [u8; 16]) -> Option<HistoryMessage> {
        let conversation: ConversationId = self.conversation.parse().ok()?;
        let message = RecentMessage {
            from: self.from.parse().ok()?,
            own: self.flags & OWN != 0,
            id: MessageId::from_bytes(id),
            text: self.text.to_owned(),
            is_file: self.flags & FILE != 0,
            is_earlier: true,
            time_ms: self.time_ms,
            via: self.via,
            state: None,
        };
        Some(HistoryMessage { conversation, message })
    }
}

fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::history) fn message(number: u64, with: &str, text: &str) -> HistoryMessage {
        let message = RecentMessage {
            from: "bob".parse().unwrap(),
            own: number.is_multiple_of(2),
            id: MessageId::of_broadcast(1, number),
            text: text.into(),
            is_file: number.is_multiple_of(3),
            is_earlier: true,
            time_ms: number,
            via: WAYS[number as usize % WAYS.len()],
            state: None,
        };
        HistoryMessage { conversation: with.parse().unwrap(), message }
    }

    proptest! {
        #[test]
        fn sealed_message_opens_as_it_was(
            number in 0_u64..1_000_000,
            with in "#[a-z]{2,32}|bob|everyone",
            text in "\\PC{0,200}",
        ) {
            let key = RunKey::new(&[1; 32]).unwrap();
            let message = message(number, &with, &text);
            let id = message.message.id.to_bytes();
            let mut row = key.seal(id, &message).unwrap();
            let (mut other, mut altered) = (row.clone(), row.clone());
            let at = number as usize % altered.len();
            altered[at] ^= 1;
            prop_assert_eq!(key.open(id, &mut row).and_then(|one| one.to_message(id)), Some(message));
            prop_assert!(key.open([0; 16], &mut other).is_none(), "the row of another id");
            prop_assert!(key.open(id, &mut altered).is_none());
        }
    }

    #[test]
    fn malformed_row_is_refused() {
        let bytes = encode(&message(1, "bob", "hello"));
        for length in 0..bytes.len() - "hello".len() {
            assert!(Opened::decode(&bytes[..length]).is_none(), "{length}");
        }
        let other_way = [&[0, 9][..], &bytes[2..]].concat();
        assert!(Opened::decode(&other_way).is_none());
    }
}
