//! Unsolicited notices of the server.

use std::net::IpAddr;

use super::devices::Enrolling;
use super::mail::Mail;
use super::meeting::Invitation;
use super::reply::Introduction;
use crate::frame::Frame;
use crate::identity::PublicKey;
use crate::username::Username;

/// An entry of the numbered log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// The entry's place in the log, from 1.
    pub number: u64,
    /// The author of the broadcast.
    pub sender: Username,
    /// Milliseconds since the Unix epoch, strictly increasing for each sender. Sender and time
    /// therefore identify an entry.
    pub time_ms: u64,
    /// The text of the broadcast.
    pub text: String,
}

/// The reason why the server closes a connection. It tells the client whether to reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Closing {
    /// The server is stopping.
    Terminated,
    /// The session had no activity for an hour.
    Idle,
    /// The same device logged in again, or with version 0.1 the same account.
    Replaced,
    /// The operator kicked the session.
    Kicked,
    /// The client made an invalid request to connect.
    Penalty,
    /// The client gave too many wrong answers.
    WrongAnswers,
    /// The client was too slow to log in or to answer.
    TooSlow,
    /// The client did not read its data.
    NotReading,
    /// The client sent too many lines that were no requests, or far too many requests.
    Flood,
    /// The client was silent for too long.
    Silent,
    /// A device of the account has removed this one, or changed the password.
    Removed,
    /// The database failed during a removal or a change of the password, which may have ended the right to this session.
    Recheck,
    /// All places are taken.
    Busy,
}

impl Closing {
    /// All reasons.
    pub const ALL: &[Closing] = &[
        Closing::Terminated,
        Closing::Idle,
        Closing::Replaced,
        Closing::Kicked,
        Closing::Penalty,
        Closing::WrongAnswers,
        Closing::TooSlow,
        Closing::NotReading,
        Closing::Flood,
        Closing::Silent,
        Closing::Removed,
        Closing::Recheck,
        Closing::Busy,
    ];

    /// Returns the word on the wire, which programs also see.
    pub fn name(self) -> &'static str {
        match self {
            Closing::Terminated => "terminated",
            Closing::Idle => "idle",
            Closing::Replaced => "replaced",
            Closing::Kicked => "kicked",
            Closing::Penalty => "penalty",
            Closing::WrongAnswers => "wrong_answers",
            Closing::TooSlow => "too_slow",
            Closing::NotReading => "not_reading",
            Closing::Flood => "flood",
            Closing::Silent => "silent",
            Closing::Removed => "removed",
            Closing::Recheck => "recheck",
            Closing::Busy => "busy",
        }
    }

    /// Returns one sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Closing::Terminated => "Server: terminated.",
            Closing::Idle => "You were idle for too long. Log in again when you are back.",
            Closing::Replaced => "Your account logged in again, from elsewhere.",
            Closing::Kicked => "The operator closed your connection.",
            Closing::Penalty => {
                "You asked for somebody who is not here, so the connection is closed. LIST shows who is here."
            }
            Closing::WrongAnswers => "Too many wrong answers. Connect again to try further.",
            Closing::TooSlow => "That took too long. Connect again to try further.",
            Closing::NotReading => "You did not read what was sent to you.",
            Closing::Flood => "Too many lines too fast, or too many that made no sense.",
            Closing::Silent => "Nothing was heard of you for too long.",
            Closing::Removed => {
                "One of your devices has logged this one out, or changed the password. Log in with your password."
            }
            Closing::Recheck => "Your login has to be checked again.",
            Closing::Busy => "All places are taken. Try again later.",
        }
    }
}

/// An unsolicited notice. It is sent only between whole replies, as a line that begins with `*`.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An entry of the log, for a client that UDP does not reach or that asked for a replay. `own`
    /// is true if the client sent it itself.
    Broadcast { entry: Broadcast, own: bool },
    /// The end of a replay. Entries up to `through` that were not sent are gone for good.
    Replayed { through: u64 },
    /// An introduction of a client that was granted a connection to this one.
    Introduction(Introduction),
    /// A client wants to meet this one.
    Meeting(Invitation),
    /// A client of a classroom, whom the others reach without the server. `is_new` is true if it came for the first
    /// time.
    Client { who: Introduction, is_new: bool },
    /// Users who logged in.
    Joined(Vec<Username>),
    /// Users who left.
    Left(Vec<Username>),
    /// The numbers of users who came and went, when there are too many to name.
    Crowd { joined: u64, left: u64 },
    /// An envelope for this device.
    Mail(Mail),
    /// The device list of this client's account has changed. `number` is that of the new list.
    Devices { number: u64 },
    /// A device of this client's account that is not in the list and wants to be.
    Enrolling(Enrolling),
    /// A device that is not in the list has logged in to this client's account.
    Unlisted {
        /// Its identity key.
        device: PublicKey,
        /// Its address as the server sees it.
        address: IpAddr,
    },
    /// A message from the operator.
    Say(String),
    /// The reason why the server closes the connection after this notice.
    Closing(Closing),
}

impl Notice {
    /// Returns the notice as a frame.
    pub fn to_frame(&self) -> Frame {
        match self {
            Notice::Broadcast { entry, own } => {
                let Broadcast { number, sender, time_ms, text } = entry;
                let own = if *own { "own" } else { "-" };
                let line = format!("* BROADCAST {number} {sender} {time_ms} {own}");
                Frame::with_payload(line, text.as_bytes())
            }
            Notice::Replayed { through } => Frame::line(format!("* REPLAYED {through}")),
            Notice::Introduction(who) => Frame::line(format!("* INTRODUCTION {who}")),
            Notice::Meeting(invitation) => Frame::line(format!("* MEETING {invitation}")),
            Notice::Client { who, is_new } => {
                let kind = if *is_new { "new" } else { "known" };
                Frame::line(format!("* CLIENT {kind} {who}"))
            }
            Notice::Joined(names) => Frame::line(format!("* JOINED {}", join(names))),
            Notice::Left(names) => Frame::line(format!("* LEFT {}", join(names))),
            Notice::Crowd { joined, left } => Frame::line(format!("* CROWD {joined} {left}")),
            Notice::Mail(Mail { number, id, sender, time_ms, envelope }) => Frame::with_payload(
                format!("* MAIL {number} {id} {sender} {time_ms}"),
                envelope.as_slice(),
            ),
            Notice::Devices { number } => Frame::line(format!("* DEVICES {number}")),
            Notice::Enrolling(who) => Frame::line(format!("* ENROLLING {who}")),
            Notice::Unlisted { device, address } => {
                Frame::line(format!("* UNLISTED {device} {address}"))
            }
            Notice::Say(text) => Frame::with_payload("* SAY", text.as_bytes()),
            Notice::Closing(why) => {
                Frame::line(format!("* CLOSING {} {}", why.name(), why.sentence()))
            }
        }
    }

    pub(super) fn from_words(words: &[&str], frame: &Frame) -> Option<Notice> {
        Some(match words {
            ["BROADCAST", number, sender, time_ms, own] => Notice::Broadcast {
                entry: Broadcast {
                    number: number.parse().ok()?,
                    sender: sender.parse().ok()?,
                    time_ms: time_ms.parse().ok()?,
                    text: frame.text()?.into(),
                },
                own: *own == "own",
            },
            ["REPLAYED", through] => Notice::Replayed { through: through.parse().ok()? },
            ["INTRODUCTION", who @ ..] => {
                Notice::Introduction(Introduction::parse(&who.join(" "))?)
            }
            ["MEETING", invitation @ ..] => Notice::Meeting(Invitation::from_words(invitation)?),
            ["CLIENT", kind, who @ ..] => Notice::Client {
                who: Introduction::parse(&who.join(" "))?,
                is_new: match *kind {
                    "new" => true,
                    "known" => false,
                    _ => return None,
                },
            },
            ["JOINED", names @ ..] => Notice::Joined(parse_all(names)?),
            ["LEFT", names @ ..] => Notice::Left(parse_all(names)?),
            ["CROWD", joined, left] => {
                Notice::Crowd { joined: joined.parse().ok()?, left: left.parse().ok()? }
            }
            ["MAIL", number, id, sender, time_ms] => Notice::Mail(Mail {
                number: number.parse().ok().filter(|number| *number > 0)?,
                id: id.parse().ok()?,
                sender: sender.parse().ok()?,
                time_ms: time_ms.parse().ok()?,
                envelope: frame.payload()?.to_vec(),
            }),
            ["DEVICES", number] => Notice::Devices { number: number.parse().ok()? },
            ["ENROLLING", who @ ..] => Notice::Enrolling(Enrolling::from_words(who)?),
            ["UNLISTED", device, address] => {
                Notice::Unlisted { device: device.parse().ok()?, address: address.parse().ok()? }
            }
            ["SAY"] => Notice::Say(frame.text()?.into()),
            ["CLOSING", name, ..] => {
                Notice::Closing(*Closing::ALL.iter().find(|why| why.name() == *name)?)
            }
            _ => return None,
        })
    }
}

fn join(names: &[Username]) -> String {
    let names: Vec<&str> = names.iter().map(Username::as_str).collect();
    names.join(" ")
}

fn parse_all(words: &[&str]) -> Option<Vec<Username>> {
    words.iter().map(|word| word.parse().ok()).collect()
}
