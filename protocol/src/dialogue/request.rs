//! Requests of a program to the server.

use std::fmt;
use std::net::SocketAddr;

use super::PROGRAM;
use super::meeting::MeetingToken;
use crate::code::Code;
use crate::devices::{DeviceEntry, DeviceName};
use crate::envelope::EnvelopeId;
use crate::frame::Frame;
use crate::identity::{PublicKey, Signature};
use crate::limits::MAX_ACKNOWLEDGED;
use crate::prekey::SignedPrekey;
use crate::username::Username;

/// A request of a program to the server. Names and passwords are sent as the user typed them. The
/// server validates them and has a reply code for each fault.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Starts the session as its first line.
    Hello,
    /// Creates an account. The payload is the password twice, on two lines.
    SignUp { username: String, password: Secret, repeated: Secret },
    /// Logs in with the password, which adds the key to the account's keys. The payload is the
    /// password.
    Login { username: String, credentials: Credentials, password: Secret },
    /// Logs in with a key that the account already has.
    Key { username: String, credentials: Credentials },
    /// Changes the account's password. The payload is the present one and the new one twice, on
    /// three lines. The account's other keys are removed.
    ChangePassword { password: Secret, new: Secret, repeated: Secret },
    /// Asks for a page of the active clients, sorted by name, from the first name after `after`.
    List { after: Option<Username> },
    /// Starts or stops the notices of users who come and go.
    Watch(bool),
    /// Asks for an introduction to a client. `who` is a username, an IP address, or an address with
    /// a port.
    Connect { who: String },
    /// Asks for an introduction to the device of an account that has this key.
    Locate { name: String, key: PublicKey },
    /// Asks for a meeting with the device of an account that has this key.
    Meet { name: String, key: PublicKey },
    /// Begins a connection for a meeting, as its first line. `local` is its address as this side sees it.
    Join { token: MeetingToken, local: SocketAddr },
    /// Asks the server to join this connection to the other side's, since no direct one came about.
    Relay,
    /// Sends a text to all clients. The text is the payload.
    Broadcast { text: String },
    /// Asks for the broadcasts from the number `from` on.
    Replay { from: u64 },
    /// Publishes this device's prekey, in place of an earlier one.
    Prekey(SignedPrekey),
    /// Asks for the devices of an account and their prekeys.
    Keys { name: String },
    /// Asks for the entries of an account's device list after this number.
    Devices { name: String, after: u64 },
    /// Asks the account's listed devices to add this one. `consent` is its signature over
    /// [`ConsentStatement`](crate::devices::ConsentStatement).
    Enrol { name: DeviceName, consent: Signature },
    /// Changes the account's device list. `number` is that of the new list.
    Change { number: u64, entry: Box<DeviceEntry> },
    /// Begins a new device list with this device alone, since the others are lost. The payload is the password.
    Recover { entry: Box<DeviceEntry>, password: Secret },
    /// Posts an envelope to the devices that its headers name. The envelope is the payload.
    Post { id: EnvelopeId, envelope: Vec<u8> },
    /// Confirms deliveries that this device has displayed or stored. The server deletes them.
    Acknowledge { numbers: Vec<u64> },
    /// Keeps the connection alive. The reply carries the log's head.
    Ping,
    /// Reports activity that the server does not see, such as a message in a chat.
    Active,
    /// Asks for the available requests.
    Help,
    /// Closes the connection.
    Quit,
}

/// The key, signature and receiver port of a program that logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account's key on this machine.
    pub key: PublicKey,
    /// The signature over [`LoginStatement`](crate::signing::LoginStatement).
    pub signature: Signature,
    /// The TCP port on which the program receives peers.
    pub port: u16,
    /// True if the login replaces a live session of the account that uses another key.
    pub take: bool,
}

/// A password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A frame that is no request: the reply's code, and the expected syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestError {
    /// [`Code::UnknownCommand`] or [`Code::BadArguments`].
    pub code: Code,
    /// The expected syntax in words, without any of the input.
    pub expected: &'static str,
}

/// The verbs that [`Request::from_frame`] parses, with their usage.
pub const USAGE: &[(&str, &str)] = &[
    ("HELLO", "HELLO letschat/1"),
    ("SIGNUP", "SIGNUP NAME +N, the payload being the password twice, on two lines"),
    ("LOGIN", "LOGIN NAME KEY SIGNATURE PORT [TAKE] +N, the payload being the password"),
    ("KEY", "KEY NAME KEY SIGNATURE PORT [TAKE]"),
    ("PASSWD", "PASSWD +N, the payload being the password and the new one twice, on three lines"),
    ("LIST", "LIST [AFTER NAME]"),
    ("WATCH", "WATCH ON or WATCH OFF"),
    ("CONNECT", "CONNECT NAME, CONNECT ADDRESS or CONNECT ADDRESS:PORT"),
    ("LOCATE", "LOCATE NAME KEY"),
    ("MEET", "MEET NAME KEY"),
    ("JOIN", "JOIN TOKEN ADDRESS:PORT"),
    ("RELAY", "RELAY"),
    ("BROADCAST", "BROADCAST +N, the payload being the text"),
    ("REPLAY", "REPLAY FROM NUMBER"),
    ("PREKEY", "PREKEY KEY SUITES UNTIL_MS SIGNATURE"),
    ("KEYS", "KEYS NAME"),
    ("DEVICES", "DEVICES NAME AFTER NUMBER"),
    ("ENROL", "ENROL DEVICENAME CONSENT"),
    ("CHANGE", "CHANGE NUMBER ENTRY"),
    ("RECOVER", "RECOVER ENTRY +N, the payload being the password"),
    ("POST", "POST ID +N, the payload being an envelope"),
    ("ACK", "ACK NUMBER..., at most 64 numbers"),
    ("PING", "PING"),
    ("ACTIVE", "ACTIVE"),
    ("HELP", "HELP"),
    ("QUIT", "QUIT"),
];

impl Request {
    /// Returns the request as a frame.
    pub fn to_frame(&self) -> Frame {
        match self {
            Request::Hello => Frame::line(format!("HELLO {PROGRAM}")),
            Request::SignUp { username, password, repeated } => Frame::with_payload(
                format!("SIGNUP {username}"),
                format!("{}\n{}", password.0, repeated.0),
            ),
            Request::Login { username, credentials, password } => Frame::with_payload(
                format!("LOGIN {username} {credentials}"),
                password.0.as_bytes(),
            ),
            Request::Key { username, credentials } => {
                Frame::line(format!("KEY {username} {credentials}"))
            }
            Request::ChangePassword { password, new, repeated } => {
                Frame::with_payload("PASSWD", format!("{}\n{}\n{}", password.0, new.0, repeated.0))
            }
            Request::List { after: None } => Frame::line("LIST"),
            Request::List { after: Some(name) } => Frame::line(format!("LIST AFTER {name}")),
            Request::Watch(on) => Frame::line(if *on { "WATCH ON" } else { "WATCH OFF" }),
            Request::Connect { who } => Frame::line(format!("CONNECT {who}")),
            Request::Locate { name, key } => Frame::line(format!("LOCATE {name} {key}")),
            Request::Meet { name, key } => Frame::line(format!("MEET {name} {key}")),
            Request::Join { token, local } => Frame::line(format!("JOIN {token} {local}")),
            Request::Relay => Frame::line("RELAY"),
            Request::Broadcast { text } => Frame::with_payload("BROADCAST", text.as_bytes()),
            Request::Replay { from } => Frame::line(format!("REPLAY FROM {from}")),
            Request::Prekey(prekey) => Frame::line(format!("PREKEY {prekey}")),
            Request::Keys { name } => Frame::line(format!("KEYS {name}")),
            Request::Devices { name, after } => {
                Frame::line(format!("DEVICES {name} AFTER {after}"))
            }
            Request::Enrol { name, consent } => Frame::line(format!("ENROL {name} {consent}")),
            Request::Change { number, entry } => Frame::line(format!("CHANGE {number} {entry}")),
            Request::Recover { entry, password } => {
                Frame::with_payload(format!("RECOVER {entry}"), password.0.as_bytes())
            }
            Request::Post { id, envelope } => {
                Frame::with_payload(format!("POST {id}"), envelope.as_slice())
            }
            Request::Acknowledge { numbers } => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                Frame::line(format!("ACK {}", numbers.join(" ")))
            }
            Request::Ping => Frame::line("PING"),
            Request::Active => Frame::line("ACTIVE"),
            Request::Help => Frame::line("HELP"),
            Request::Quit => Frame::line("QUIT"),
        }
    }

    /// Parses the request of a frame. Verbs and fixed words are case-insensitive.
    pub fn from_frame(frame: &Frame) -> Result<Request, RequestError> {
        let words: Vec<&str> = frame.words().collect();
        let verb = words.first().map(|verb| verb.to_ascii_uppercase()).unwrap_or_default();
        let Some((_, usage)) = USAGE.iter().find(|(name, _)| *name == verb) else {
            let expected = "expected a command; HELP lists them";
            return Err(RequestError { code: Code::UnknownCommand, expected });
        };
        Request::from_words(&verb, &words[1..], frame)
            .ok_or(RequestError { code: Code::BadArguments, expected: usage })
    }

    fn from_words(verb: &str, words: &[&str], frame: &Frame) -> Option<Request> {
        let wants_payload =
            matches!(verb, "SIGNUP" | "LOGIN" | "PASSWD" | "BROADCAST" | "RECOVER" | "POST");
        if frame.payload().is_some() != wants_payload {
            return None;
        }
        let is = |word: &str, fixed: &str| word.eq_ignore_ascii_case(fixed);
        Some(match (verb, words) {
            ("HELLO", [version]) if is(version, PROGRAM) => Request::Hello,
            ("SIGNUP", [username]) => {
                let (password, repeated) = frame.text()?.split_once('\n')?;
                Request::SignUp {
                    username: (*username).into(),
                    password: Secret(password.into()),
                    repeated: Secret(repeated.into()),
                }
            }
            ("LOGIN", [username, credentials @ ..]) => Request::Login {
                username: (*username).into(),
                credentials: Credentials::from_words(credentials)?,
                password: Secret(frame.text()?.into()),
            },
            ("KEY", [username, credentials @ ..]) => Request::Key {
                username: (*username).into(),
                credentials: Credentials::from_words(credentials)?,
            },
            ("PASSWD", []) => {
                let (password, new) = frame.text()?.split_once('\n')?;
                let (new, repeated) = new.split_once('\n')?;
                Request::ChangePassword {
                    password: Secret(password.into()),
                    new: Secret(new.into()),
                    repeated: Secret(repeated.into()),
                }
            }
            ("LIST", []) => Request::List { after: None },
            ("LIST", [after, name]) if is(after, "AFTER") => {
                Request::List { after: Some(name.parse().ok()?) }
            }
            ("WATCH", [on]) if is(on, "ON") => Request::Watch(true),
            ("WATCH", [off]) if is(off, "OFF") => Request::Watch(false),
            ("CONNECT", [who]) => Request::Connect { who: (*who).into() },
            ("LOCATE", [name, key]) => {
                Request::Locate { name: (*name).into(), key: key.parse().ok()? }
            }
            ("MEET", [name, key]) => Request::Meet { name: (*name).into(), key: key.parse().ok()? },
            ("JOIN", [token, local]) => {
                Request::Join { token: token.parse().ok()?, local: local.parse().ok()? }
            }
            ("RELAY", []) => Request::Relay,
            ("BROADCAST", []) => Request::Broadcast { text: frame.text()?.into() },
            ("REPLAY", [from, number]) if is(from, "FROM") => {
                Request::Replay { from: number.parse().ok()? }
            }
            ("PREKEY", words) => Request::Prekey(SignedPrekey::from_words(words)?),
            ("KEYS", [name]) => Request::Keys { name: (*name).into() },
            ("DEVICES", [name, after, number]) if is(after, "AFTER") => {
                Request::Devices { name: (*name).into(), after: number.parse().ok()? }
            }
            ("ENROL", [name, consent]) => {
                Request::Enrol { name: name.parse().ok()?, consent: consent.parse().ok()? }
            }
            ("CHANGE", [number, entry @ ..]) => Request::Change {
                number: number.parse().ok().filter(|number| *number > 0)?,
                entry: Box::new(DeviceEntry::from_words(entry)?),
            },
            ("RECOVER", entry) => Request::Recover {
                entry: Box::new(DeviceEntry::from_words(entry)?),
                password: Secret(frame.text()?.into()),
            },
            ("POST", [id]) => {
                Request::Post { id: id.parse().ok()?, envelope: frame.payload()?.to_vec() }
            }
            ("ACK", numbers) if (1..=MAX_ACKNOWLEDGED).contains(&numbers.len()) => {
                let numbers: Result<Vec<u64>, _> =
                    numbers.iter().map(|number| number.parse()).collect();
                Request::Acknowledge { numbers: numbers.ok()? }
            }
            ("PING", []) => Request::Ping,
            ("ACTIVE", []) => Request::Active,
            ("HELP", []) => Request::Help,
            ("QUIT", []) => Request::Quit,
            _ => return None,
        })
    }
}

impl Credentials {
    fn from_words(words: &[&str]) -> Option<Credentials> {
        let (words, take) = match words {
            [words @ .., last] if last.eq_ignore_ascii_case("TAKE") => (words, true),
            words => (words, false),
        };
        let [key, signature, port] = words else {
            return None;
        };
        Some(Credentials {
            key: key.parse().ok()?,
            signature: signature.parse().ok()?,
            port: port.parse().ok().filter(|port| *port != 0)?,
            take,
        })
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.key, self.signature, self.port)?;
        if self.take { f.write_str(" TAKE") } else { Ok(()) }
    }
}
