//! Sealed datagrams between a client and its server.
//!
//! A datagram begins in the clear with the session (8 bytes) and a counter (8 bytes, big-endian).
//! The message follows under ChaCha20-Poly1305 (RFC 8439) with the clear part as associated data.
//! Each direction has a key of its own, exported from the client's TLS session (RFC 5705). The
//! counter is the nonce and feeds a replay window (RFC 6479). Datagrams that don't open are dropped
//! without an answer.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::dialogue::{Broadcast, SessionId};
use crate::limits::MAX_DATAGRAM_BYTES;

const HEADER_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// A key for one direction of one session.
pub type DatagramKey = [u8; 32];

/// The keys of one session, exported from its TLS session. Wiped when dropped.
pub struct DatagramKeys {
    /// The key that seals the client's datagrams.
    pub to_server: DatagramKey,
    /// The key that seals the server's datagrams.
    pub to_client: DatagramKey,
}

impl Drop for DatagramKeys {
    fn drop(&mut self) {
        self.to_server.zeroize();
        self.to_client.zeroize();
    }
}

/// A message from a client to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToServer {
    /// Registers the sender's address at first, and keeps it alive later.
    KeepAlive,
    /// Returns the token of a challenge that arrived at this address.
    Answer(u64),
}

/// A message from the server to a client.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToClient {
    /// Asks the client to return the token, to prove that it receives at this address.
    Challenge(u64),
    /// The newest number in the log. It also answers a keep-alive from a proven address.
    Head(u64),
    /// A new entry of the log. `own` is true if the client sent it itself.
    Broadcast { entry: Broadcast, own: bool },
}

/// Returns the session that a datagram claims in its clear part.
pub fn session_of(datagram: &[u8]) -> Option<SessionId> {
    let long_enough = (HEADER_BYTES + TAG_BYTES..=MAX_DATAGRAM_BYTES).contains(&datagram.len());
    let bytes = datagram.first_chunk().filter(|_| long_enough)?;
    Some(SessionId(u64::from_be_bytes(*bytes)))
}

/// The sealer of one direction's datagrams.
pub struct Sealer {
    session: SessionId,
    key: Key,
    counter: u64,
}

/// The opener of one direction's datagrams. It opens each only once.
pub struct Opener {
    key: Key,
    window: ReplayWindow,
}

/// A key as exported. The library's own type has room for its largest cipher: half a kilobyte for
/// each of thousands of sessions. For this cipher it only holds a copy.
struct Key(Zeroizing<DatagramKey>);

impl Key {
    fn of(key: &DatagramKey) -> Key {
        Key(Zeroizing::new(*key))
    }

    /// Converts the key to the library's type, for one datagram.
    fn ready(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*self.0);
        LessSafeKey::new(key.expect("the key has the cipher's length"))
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Sealer {
    /// Returns a sealer whose counter has not started.
    pub fn new(session: SessionId, key: &DatagramKey) -> Self {
        Sealer { session, key: Key::of(key), counter: 0 }
    }

    /// Seals a message into a datagram of at most [`MAX_DATAGRAM_BYTES`].
    pub fn seal(&mut self, message: &impl Message) -> Vec<u8> {
        let mut body = Vec::with_capacity(64);
        message.encode(&mut body);
        let mut datagram = Vec::with_capacity(HEADER_BYTES + body.len() + TAG_BYTES);
        self.seal_encoded(&body, &mut datagram);
        datagram
    }

    /// Appends the datagram of a message that is already encoded, so that a broadcast is encoded
    /// once.
    pub fn seal_encoded(&mut self, body: &[u8], out: &mut Vec<u8>) {
        self.counter += 1;
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&self.session.0.to_be_bytes());
        header[8..].copy_from_slice(&self.counter.to_be_bytes());
        out.extend_from_slice(&header);
        let begin = out.len();
        out.extend_from_slice(body);
        let tag = self
            .key
            .ready()
            .seal_in_place_separate_tag(nonce(self.counter), Aad::from(header), &mut out[begin..])
            .expect("a datagram is far shorter than the cipher's limit");
        out.extend_from_slice(tag.as_ref());
        debug_assert!(HEADER_BYTES + body.len() + TAG_BYTES <= MAX_DATAGRAM_BYTES);
    }
}

impl Opener {
    /// Returns an opener with an empty replay window.
    pub fn new(key: &DatagramKey) -> Self {
        Opener { key: Key::of(key), window: ReplayWindow::default() }
    }

    /// Returns the message of a genuine datagram that was not seen before.
    pub fn open<M: Message>(&mut self, datagram: &[u8]) -> Option<M> {
        session_of(datagram)?;
        let (header, sealed) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        let counter = u64::from_be_bytes(*header.last_chunk()?);
        if !self.window.is_new(counter) {
            return None;
        }
        let mut sealed = sealed.to_vec();
        let key = self.key.ready();
        let body = key.open_in_place(nonce(counter), Aad::from(header), &mut sealed).ok()?;
        // Only a genuine counter may move the window.
        self.window.mark(counter);
        M::decode(body)
    }
}

/// A message that a datagram can carry.
pub trait Message: Sized {
    /// Appends the message's bytes.
    fn encode(&self, out: &mut Vec<u8>);
    /// Decodes a message that fills these bytes exactly.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

const KEEP_ALIVE: u8 = 1;
const ANSWER: u8 = 2;
const CHALLENGE: u8 = 3;
const HEAD: u8 = 4;
const BROADCAST: u8 = 5;
const OWN_BROADCAST: u8 = 6;

impl Message for ToServer {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToServer::KeepAlive => out.push(KEEP_ALIVE),
            ToServer::Answer(token) => encode_number(ANSWER, *token, out),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            [KEEP_ALIVE] => ToServer::KeepAlive,
            [ANSWER, token @ ..] => ToServer::Answer(u64::from_be_bytes(token.try_into().ok()?)),
            _ => return None,
        })
    }
}

impl Message for ToClient {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToClient::Challenge(token) => encode_number(CHALLENGE, *token, out),
            ToClient::Head(number) => encode_number(HEAD, *number, out),
            ToClient::Broadcast { entry, own } => {
                encode_number(if *own { OWN_BROADCAST } else { BROADCAST }, entry.number, out);
                out.extend_from_slice(&entry.time_ms.to_be_bytes());
                let sender = entry.sender.as_str().as_bytes();
                out.push(sender.len() as u8); // at most 32: a username
                out.extend_from_slice(sender);
                out.extend_from_slice(entry.text.as_bytes());
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let number = u64::from_be_bytes(*number);
        Some(match (*kind, rest) {
            (CHALLENGE, []) => ToClient::Challenge(number),
            (HEAD, []) => ToClient::Head(number),
            (BROADCAST | OWN_BROADCAST, rest) => {
                let (time, rest) = rest.split_first_chunk()?;
                let (length, rest) = rest.split_first()?;
                let (sender, text) = rest.split_at_checked(usize::from(*length))?;
                let entry = Broadcast {
                    number,
                    time_ms: u64::from_be_bytes(*time),
                    sender: std::str::from_utf8(sender).ok()?.parse().ok()?,
                    text: std::str::from_utf8(text).ok()?.into(),
                };
                ToClient::Broadcast { entry, own: *kind == OWN_BROADCAST }
            }
            _ => return None,
        })
    }
}

fn encode_number(kind: u8, number: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&number.to_be_bytes());
}

/// A record of the latest counters seen. It is a ring of bits that advances by whole words, so
/// nothing is shifted (RFC 6479, section 3).
#[derive(Debug, Default, Clone)]
pub struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

const WORDS: usize = 16;
/// The size of the window: one word less than the ring, since one word is always being reused.
const WINDOW: u64 = (WORDS as u64 - 1) * 64;

impl ReplayWindow {
    /// Returns true if the counter is neither seen nor too old. 0 is never new.
    pub fn is_new(&self, counter: u64) -> bool {
        if counter == 0 || counter.saturating_add(WINDOW) <= self.highest {
            return false;
        }
        counter > self.highest || self.seen[word(counter)] & bit(counter) == 0
    }

    /// Marks the counter as seen.
    pub fn mark(&mut self, counter: u64) {
        if counter > self.highest {
            let (old, new) = (self.highest / 64, counter / 64);
            for passed in (old + 1..=new).take(WORDS) {
                self.seen[(passed % WORDS as u64) as usize] = 0;
            }
            if new - old > WORDS as u64 {
                self.seen = [0; WORDS];
            }
            self.highest = counter;
        }
        self.seen[word(counter)] |= bit(counter);
    }
}

fn word(counter: u64) -> usize {
    (counter / 64 % WORDS as u64) as usize
}

fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_BROADCAST_BYTES, MAX_USERNAME_CHARS};
    use proptest::prelude::*;
    use std::collections::HashSet;

    const SESSION: SessionId = SessionId(0x0102_0304_0506_0708);

    fn pair() -> (Sealer, Opener) {
        (Sealer::new(SESSION, &[7; 32]), Opener::new(&[7; 32]))
    }

    fn broadcast(text: String) -> ToClient {
        let sender = "x".repeat(MAX_USERNAME_CHARS).parse().unwrap();
        ToClient::Broadcast {
            entry: Broadcast { number: u64::MAX, sender, time_ms: 5, text },
            own: true,
        }
    }

    #[test]
    fn what_was_sealed_opens_once() {
        let (mut sealer, mut opener) = pair();
        let datagram = sealer.seal(&ToServer::Answer(9));
        assert_eq!(session_of(&datagram), Some(SESSION));
        assert_eq!(opener.open(&datagram), Some(ToServer::Answer(9)));
        assert_eq!(opener.open::<ToServer>(&datagram), None);
    }

    #[test]
    fn the_largest_broadcast_fits() {
        let (mut sealer, mut opener) = pair();
        let message = broadcast("x".repeat(MAX_BROADCAST_BYTES));
        let datagram = sealer.seal(&message);
        assert!(datagram.len() <= MAX_DATAGRAM_BYTES);
        assert_eq!(opener.open(&datagram), Some(message));
    }

    #[test]
    fn changed_bit_or_other_key_opens_nothing_and_moves_no_window() {
        let (mut sealer, mut opener) = pair();
        let datagram = sealer.seal(&ToClient::Head(3));
        for index in 0..datagram.len() {
            let mut forged = datagram.clone();
            forged[index] ^= 1;
            assert_eq!(opener.open::<ToClient>(&forged), None, "byte {index}");
        }
        assert_eq!(Opener::new(&[8; 32]).open::<ToClient>(&datagram), None);
        assert_eq!(opener.open(&datagram), Some(ToClient::Head(3)));
    }

    #[test]
    fn short_and_long_datagrams_belong_to_nobody() {
        assert_eq!(session_of(&[0; HEADER_BYTES + TAG_BYTES - 1]), None);
        assert_eq!(session_of(&[0; MAX_DATAGRAM_BYTES + 1]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn messages_survive_their_bytes(number: u64, text in "\\PC{0,40}") {
            for message in [ToClient::Challenge(number), ToClient::Head(number), broadcast(text)] {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                prop_assert_eq!(ToClient::decode(&bytes), Some(message));
            }
            for message in [ToServer::KeepAlive, ToServer::Answer(number)] {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                prop_assert_eq!(ToServer::decode(&bytes), Some(message));
            }
        }

        #[test]
        fn in_any_order_and_number_of_copies_each_datagram_opens_once(
            arrivals in prop::collection::vec(0_usize..12, 0..30),
        ) {
            let (mut sealer, mut opener) = pair();
            let sealed: Vec<Vec<u8>> = (0..12).map(|n| sealer.seal(&ToServer::Answer(n))).collect();
            let mut seen = HashSet::new();
            for index in arrivals {
                let message = seen.insert(index).then_some(ToServer::Answer(index as u64));
                prop_assert_eq!(opener.open(&sealed[index]), message);
            }
        }

        #[test]
        fn garbage_is_no_message_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = ToServer::decode(&bytes);
            if let Some(message) = ToClient::decode(&bytes) {
                let mut again = Vec::new();
                message.encode(&mut again);
                prop_assert_eq!(again.len(), bytes.len());
            }
        }

        #[test]
        fn the_window_is_a_set_of_the_latest(steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..300)) {
            let mut window = ReplayWindow::default();
            let (mut seen, mut highest) = (HashSet::new(), 0_u64);
            for (step, back) in steps {
                let ahead = match step % 10 {
                    0 => step,
                    _ => step % 80,
                };
                let counter = if back { highest.saturating_sub(step) } else { highest + ahead };
                let new = counter > 0 && counter + WINDOW > highest && !seen.contains(&counter);
                prop_assert_eq!(window.is_new(counter), new, "counter {} highest {}", counter, highest);
                if new {
                    window.mark(counter);
                    seen.insert(counter);
                    highest = highest.max(counter);
                }
            }
        }
    }
}
