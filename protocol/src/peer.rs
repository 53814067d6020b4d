//! The protocol of two clients over one stream, encrypted end to end.
//!
//! The first message says what the link is for:
//!
//! * `CALL` or `RESUME`: a chat. The caller dials, the other side approves, and the caller opens the chat. Only then do
//!   messages flow, numbered from 1 in each direction and acknowledged cumulatively.
//! * `DELIVER`: messages outside of a chat, while the server is away. Each is a signed body and is acknowledged by its id.
//! * `HERE`: the caller runs again while the server is away, so that others deliver what waits for it.
//! * `GET`: a file that was offered to the caller. If the other side sends it, the link then speaks the lines of
//!   [`crate::files`].
//! * `KNOCK`: a hint that the server is back. The server sends it under a key that is used once, so that it proves
//!   nothing.
//!
//! The exchange runs over any byte stream, so that a relay can carry it.

use std::fmt;
use std::str::FromStr;

use crate::frame::Frame;
use crate::limits::{MAX_BODY_BYTES, MAX_MESSAGE_BYTES};
use crate::message_id::MessageId;
use crate::username::Username;

/// The id of a chat on both sides. The caller chooses it at random, so that a broken link can be
/// resumed. Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub u128);

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ChatId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(ChatId)
    }
}

/// The reason why a call, a resumption, a delivery or a file is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The user refused.
    Denied,
    /// The user did not answer in time.
    NoAnswer,
    /// Too many requests are waiting already.
    Busy,
    /// No introduction came and the key is unknown, or the file was not offered to it.
    Unknown,
    /// The chat to be resumed is over, or the file is not offered to the caller.
    Over,
}

impl Refusal {
    /// All reasons.
    pub const ALL: &[Refusal] =
        &[Refusal::Denied, Refusal::NoAnswer, Refusal::Busy, Refusal::Unknown, Refusal::Over];

    /// Returns the word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Denied => "denied",
            Refusal::NoAnswer => "no_answer",
            Refusal::Busy => "busy",
            Refusal::Unknown => "unknown",
            Refusal::Over => "over",
        }
    }
}

/// A message on a peer link.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerMessage {
    /// The caller's first message: a request for a new chat. `from` is only the username that the
    /// caller claims; the key authenticates the caller.
    Call { chat: ChatId, from: Username },
    /// The caller's first message: a request to resume a chat whose link broke. All messages up to
    /// `received` have arrived at the caller.
    Resume { chat: ChatId, received: u64 },
    /// The user is being asked.
    Ringing,
    /// The user approves.
    Approve,
    /// The caller is still there, so the chat is open.
    Open,
    /// The chat is resumed. All messages up to `received` have arrived here.
    Resumed { received: u64 },
    /// The call or the resumption is refused.
    Refuse(Refusal),
    /// A message with its number in this direction, from 1. The text is the payload.
    Message { number: u64, text: String },
    /// All messages up to `through` have arrived.
    Acknowledge { through: u64 },
    /// A probe of an idle link.
    Ping,
    /// The answer to a probe.
    Pong,
    /// The chat is over.
    Bye,
    /// A message outside of a chat: a body that its sender has signed and padded (see [`crate::body`]).
    Deliver { body: Vec<u8> },
    /// A delivered message has been displayed and recorded, or had been before.
    Delivered { id: MessageId },
    /// The caller's first message: a request for the file that was offered in this message.
    Get { id: MessageId },
    /// The sender is here, and receives others at this port.
    Here { port: u16 },
    /// The server is back.
    Knock,
}

/// A frame that is no message of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a message of the peer protocol")]
pub struct NotAPeerMessage;

impl PeerMessage {
    /// Returns the message as a frame.
    pub fn to_frame(&self) -> Frame {
        match self {
            PeerMessage::Call { chat, from } => {
                Frame::line(format!("CALL {} {chat} {from}", crate::dialogue::PROGRAM))
            }
            PeerMessage::Resume { chat, received } => {
                Frame::line(format!("RESUME {} {chat} {received}", crate::dialogue::PROGRAM))
            }
            PeerMessage::Ringing => Frame::line("RINGING"),
            PeerMessage::Approve => Frame::line("APPROVE"),
            PeerMessage::Open => Frame::line("OPEN"),
            PeerMessage::Resumed { received } => Frame::line(format!("RESUMED {received}")),
            PeerMessage::Refuse(why) => Frame::line(format!("REFUSE {}", why.name())),
            PeerMessage::Message { number, text } => {
                Frame::with_payload(format!("MESSAGE {number}"), text.as_bytes())
            }
            PeerMessage::Acknowledge { through } => Frame::line(format!("ACKNOWLEDGE {through}")),
            PeerMessage::Ping => Frame::line("PING"),
            PeerMessage::Pong => Frame::line("PONG"),
            PeerMessage::Bye => Frame::line("BYE"),
            PeerMessage::Deliver { body } => Frame::with_payload("DELIVER", body.as_slice()),
            PeerMessage::Delivered { id } => Frame::line(format!("ACK {id}")),
            PeerMessage::Get { id } => Frame::line(format!("GET {id}")),
            PeerMessage::Here { port } => Frame::line(format!("HERE {port}")),
            PeerMessage::Knock => Frame::line("KNOCK"),
        }
    }

    /// Parses the message of a frame.
    pub fn from_frame(frame: &Frame) -> Result<PeerMessage, NotAPeerMessage> {
        let words: Vec<&str> = frame.words().collect();
        PeerMessage::from_words(&words, frame).ok_or(NotAPeerMessage)
    }

    fn from_words(words: &[&str], frame: &Frame) -> Option<PeerMessage> {
        let version = crate::dialogue::PROGRAM;
        Some(match *words {
            ["CALL", program, chat, from] if program == version => {
                PeerMessage::Call { chat: chat.parse().ok()?, from: from.parse().ok()? }
            }
            ["RESUME", program, chat, received] if program == version => {
                PeerMessage::Resume { chat: chat.parse().ok()?, received: received.parse().ok()? }
            }
            ["RINGING"] => PeerMessage::Ringing,
            ["APPROVE"] => PeerMessage::Approve,
            ["OPEN"] => PeerMessage::Open,
            ["RESUMED", received] => PeerMessage::Resumed { received: received.parse().ok()? },
            ["REFUSE", name] => {
                PeerMessage::Refuse(*Refusal::ALL.iter().find(|why| why.name() == name)?)
            }
            ["MESSAGE", number] => PeerMessage::Message {
                number: number.parse().ok().filter(|number| *number > 0)?,
                text: frame.text().filter(|text| text.len() <= MAX_MESSAGE_BYTES)?.into(),
            },
            ["ACKNOWLEDGE", through] => PeerMessage::Acknowledge { through: through.parse().ok()? },
            ["PING"] => PeerMessage::Ping,
            ["PONG"] => PeerMessage::Pong,
            ["BYE"] => PeerMessage::Bye,
            ["DELIVER"] => PeerMessage::Deliver {
                body: frame.payload().filter(|body| body.len() <= MAX_BODY_BYTES)?.to_vec(),
            },
            ["ACK", id] => PeerMessage::Delivered { id: id.parse().ok()? },
            ["GET", id] => PeerMessage::Get { id: id.parse().ok()? },
            ["HERE", port] => {
                PeerMessage::Here { port: port.parse().ok().filter(|port| *port > 0)? }
            }
            ["KNOCK"] => PeerMessage::Knock,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Decoder, Mode};
    use proptest::prelude::*;

    #[test]
    fn every_message_survives_the_wire() {
        let chat = ChatId(u128::MAX / 3);
        let mut messages = vec![
            PeerMessage::Call { chat, from: "alice".parse().unwrap() },
            PeerMessage::Resume { chat, received: 7 },
            PeerMessage::Ringing,
            PeerMessage::Approve,
            PeerMessage::Open,
            PeerMessage::Resumed { received: 0 },
            PeerMessage::Message { number: 1, text: "several\nlines, and \x1b[2J".into() },
            PeerMessage::Message { number: 2, text: String::new() },
            PeerMessage::Acknowledge { through: 2 },
            PeerMessage::Ping,
            PeerMessage::Pong,
            PeerMessage::Bye,
            PeerMessage::Deliver { body: vec![0xff; MAX_BODY_BYTES] },
            PeerMessage::Delivered { id: MessageId::of_broadcast(1, 2) },
            PeerMessage::Get { id: MessageId::of_broadcast(1, 2) },
            PeerMessage::Here { port: 4401 },
            PeerMessage::Knock,
        ];
        messages.extend(Refusal::ALL.iter().map(|why| PeerMessage::Refuse(*why)));
        for message in messages {
            assert_eq!(PeerMessage::from_frame(&message.to_frame()), Ok(message));
        }
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let long = "x".repeat(MAX_MESSAGE_BYTES + 1);
        for frame in [
            Frame::line(""),
            Frame::line("MESSAGE 1"),
            Frame::with_payload("MESSAGE 0", "text"),
            Frame::with_payload("MESSAGE 1", long),
            Frame::with_payload("MESSAGE 1", [0xff]),
            Frame::line("HERE 0"),
            Frame::line("HERE 65536"),
            Frame::line("DELIVER"),
            Frame::with_payload("DELIVER", vec![0; MAX_BODY_BYTES + 1]),
            Frame::line("ACK 12"),
            Frame::line("GET 12"),
            Frame::line("ACK +0000000000000000000000000000001"),
            Frame::line("CALL letschat/2 0 alice"),
        ] {
            assert_eq!(PeerMessage::from_frame(&frame), Err(NotAPeerMessage));
        }
    }

    fn any_message() -> impl Strategy<Value = PeerMessage> {
        let chat = || any::<u128>().prop_map(ChatId);
        let text = prop::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter);
        prop_oneof![
            (chat(), "[a-z][a-z0-9_.-]{0,8}").prop_map(|(chat, from)| {
                PeerMessage::Call { chat, from: from.parse().unwrap() }
            }),
            (chat(), any::<u64>())
                .prop_map(|(chat, received)| PeerMessage::Resume { chat, received }),
            any::<u64>().prop_map(|received| PeerMessage::Resumed { received }),
            prop::sample::select(Refusal::ALL).prop_map(PeerMessage::Refuse),
            (1_u64.., text).prop_map(|(number, text)| PeerMessage::Message { number, text }),
            prop::collection::vec(any::<u8>(), 0..300)
                .prop_map(|body| PeerMessage::Deliver { body }),
            (1..=u16::MAX).prop_map(|port| PeerMessage::Here { port }),
            any::<[u8; 16]>()
                .prop_map(|id| PeerMessage::Delivered { id: MessageId::from_bytes(id) }),
            any::<[u8; 16]>().prop_map(|id| PeerMessage::Get { id: MessageId::from_bytes(id) }),
            any::<u64>().prop_map(|through| PeerMessage::Acknowledge { through }),
            prop::sample::select(vec![
                PeerMessage::Ringing,
                PeerMessage::Approve,
                PeerMessage::Open,
                PeerMessage::Ping,
                PeerMessage::Pong,
                PeerMessage::Bye,
                PeerMessage::Knock
            ]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn any_message_survives_the_wire(message in any_message()) {
            let mut decoder = Decoder::new();
            decoder.extend(&message.to_frame().to_bytes());
            let frame = decoder.next(Mode::Frame).unwrap().unwrap();
            prop_assert_eq!(decoder.buffered(), 0);
            prop_assert_eq!(PeerMessage::from_frame(&frame), Ok(message));
        }
    }
}
