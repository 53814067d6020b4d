//! Signed bodies: the content of envelopes.
//!
//! A body names its sender, the sender's device, its recipients and its place in the conversation, and the device
//! signs all of that. Nobody can therefore re-address it, replay it as another message, or alter it. It is padded to
//! a power of two of at least 256 bytes, so that its length tells little about the text.

use crate::fields::{self, Reader};
use crate::files::FileInfo;
use crate::files::name::MAX_OFFERED_NAME_BYTES;
use crate::groups::{GroupId, RosterRef, Wish};
use crate::identity::{Fingerprint, Identity, PublicKey, Signature};
use crate::limits::{MAX_GROUP_MEMBERS, MAX_MESSAGE_BYTES, MAX_ROSTER_BYTES};
use crate::message_id::MessageId;
use crate::peer::ChatId;
use crate::prekey::Suite;
use crate::signing::Statement;
use crate::username::Username;

/// The size of the smallest padded body, in bytes.
const MIN_PADDED_BYTES: usize = 256;
/// The most recipients: one for each member of a group.
const MAX_RECIPIENTS: usize = MAX_GROUP_MEMBERS;
/// The most messages that one receipt confirms.
pub const MAX_RECEIPT_IDS: usize = 256;
/// The most people in one body.
pub const MAX_PEOPLE: usize = 256;

const TEXT: u8 = 1;
const RECEIPT: u8 = 2;
const PEOPLE: u8 = 3;
const ROSTER: u8 = 4;
const WISH: u8 = 5;
const FILE: u8 = 6;

const HAS_KEY: u8 = 1;
const IS_VERIFIED: u8 = 2;
const IS_BLOCKED: u8 = 4;

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The algorithms by which it is sealed, so that the outside of the envelope can't claim others.
    pub suite: Suite,
    /// The author.
    pub sender: Username,
    /// The author's device, which signs.
    pub device: PublicKey,
    /// The author's device list.
    pub list: DeviceListRef,
    /// All recipients.
    pub recipients: Vec<Username>,
    /// The conversation as the author sees it: the name of a person, or the id of a group.
    pub conversation: String,
    /// Its place in the conversation.
    pub place: Place,
    /// The author's time of day, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The content.
    pub content: Content,
}

/// A reference to a device list: its number and its hash. Number 0 with a zero hash stands for an account without a
/// list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceListRef {
    /// The list's number, from 1.
    pub number: u64,
    /// The SHA-256 of the list.
    pub hash: [u8; 32],
}

/// The place of a message in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The author device's count in this conversation, from 1. Receipts are not counted and have 0.
    Sequence(u64),
    /// The author device's count in a group, from 1.
    Group {
        /// The count.
        sequence: u64,
        /// The roster that the author knew.
        roster: RosterRef,
    },
    /// The number of a message in a direct chat that ended before the message was confirmed.
    Chat {
        /// The chat.
        chat: ChatId,
        /// The number, from 1.
        number: u64,
    },
}

/// The content of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text for people.
    Text(String),
    /// A confirmation that a device has displayed these messages of the recipient.
    Receipt(Vec<MessageId>),
    /// People as the sending device knows them, for the other devices of its account.
    People(Vec<Person>),
    /// A group's signed roster, not verified yet.
    Roster(Vec<u8>),
    /// What the sender wishes of a group, whose roster of this number they have.
    Wish(GroupId, Wish, u64),
    /// The offer of a file. The name is as the author's device has it.
    File(String, FileInfo),
    /// A kind of content that this version does not know.
    Unknown(u8),
}

/// A person as a device knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The username.
    pub name: Username,
    /// Their key, if it is known.
    pub key: Option<PublicKey>,
    /// True if the users compared the safety number.
    pub is_verified: bool,
    /// True if they are blocked.
    pub is_blocked: bool,
}

impl Person {
    fn write(&self, bytes: &mut Vec<u8>) {
        let Person { name, key, is_verified, is_blocked } = self;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(key.is_some(), HAS_KEY)
            | flag(*is_verified, IS_VERIFIED)
            | flag(*is_blocked, IS_BLOCKED);
        fields::write(bytes, name.as_str().as_bytes());
        bytes.push(flags);
        bytes.extend(key.iter().flat_map(PublicKey::as_bytes));
    }

    fn read(reader: &mut Reader<'_>) -> Option<Person> {
        let name = reader.text()?.parse().ok()?;
        let [flags] = reader.array()?;
        let is = |flag: u8| flags & flag != 0;
        let key = match is(HAS_KEY) {
            true => Some(PublicKey::from_bytes(reader.array()?)),
            false => None,
        };
        Some(Person { name, key, is_verified: is(IS_VERIFIED), is_blocked: is(IS_BLOCKED) })
    }
}

impl Body {
    /// Returns the id of the message, which its author and all recipients derive alike.
    pub fn message_id(&self) -> MessageId {
        match self.place {
            Place::Sequence(sequence) | Place::Group { sequence, .. } => {
                MessageId::in_conversation(&self.device, &self.conversation, sequence)
            }
            Place::Chat { chat, number } => MessageId::in_chat(chat, &self.device, number),
        }
    }

    /// Signs the body, and returns its padded bytes. `identity` is the device's.
    pub fn sign(&self, identity: &Identity, server: &Fingerprint) -> Vec<u8> {
        let fields = self.fields();
        let signature = identity.sign(&BodyStatement { server, fields: &fields });
        let mut bytes = Vec::new();
        fields::write(&mut bytes, &fields);
        bytes.extend_from_slice(signature.as_bytes());
        let padded = bytes.len().next_power_of_two().max(MIN_PADDED_BYTES);
        bytes.resize(padded, 0);
        bytes
    }

    /// Parses padded bytes, and checks that the device that the body names has signed it.
    ///
    /// # Errors
    ///
    /// Returns the reason for which it is no valid body.
    pub fn verify(bytes: &[u8], server: &Fingerprint) -> Result<Body, BodyError> {
        let mut reader = Reader(bytes);
        let fields = reader.field().ok_or(BodyError::Malformed)?;
        let signature = reader.array().ok_or(BodyError::Malformed)?;
        let is_padding = reader.0.iter().all(|byte| *byte == 0);
        let body = Body::read(fields).filter(|_| is_padding).ok_or(BodyError::Malformed)?;
        let statement = BodyStatement { server, fields };
        match body.device.verifies(&Signature::from_bytes(signature), &statement) {
            true => Ok(body),
            false => Err(BodyError::Forged),
        }
    }

    fn fields(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        fields::write(&mut bytes, &[self.suite.0]);
        fields::write(&mut bytes, self.sender.as_str().as_bytes());
        fields::write(&mut bytes, self.device.as_bytes());
        fields::write(&mut bytes, &self.list.number.to_be_bytes());
        fields::write(&mut bytes, &self.list.hash);
        let mut recipients = Vec::new();
        for recipient in &self.recipients {
            fields::write(&mut recipients, recipient.as_str().as_bytes());
        }
        fields::write(&mut bytes, &recipients);
        fields::write(&mut bytes, self.conversation.as_bytes());
        fields::write(&mut bytes, &self.place.to_bytes());
        fields::write(&mut bytes, &self.time_ms.to_be_bytes());
        let (kind, content) = self.content.to_bytes();
        fields::write(&mut bytes, &[kind]);
        fields::write(&mut bytes, &content);
        bytes
    }

    fn read(fields: &[u8]) -> Option<Body> {
        let mut reader = Reader(fields);
        let [suite] = reader.fixed()?;
        let sender = reader.text()?.parse().ok()?;
        let device = PublicKey::from_bytes(reader.fixed()?);
        let list = DeviceListRef { number: reader.number()?, hash: reader.fixed()? };
        let recipients = read_recipients(reader.field()?)?;
        let conversation = reader.text()?.to_owned();
        let place = Place::read(reader.field()?)?;
        let time_ms = reader.number()?;
        let [kind] = reader.fixed()?;
        let content = Content::read(kind, reader.field()?)?;
        let suite = Suite(suite);
        let body =
            Body { suite, sender, device, list, recipients, conversation, place, time_ms, content };
        reader.0.is_empty().then_some(body)
    }
}

/// The reason for which bytes are no valid body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The bytes have another form.
    #[error("expected a signed body")]
    Malformed,
    /// The device that the body names did not sign it for this server.
    #[error("the signature is not that of the device that the body names")]
    Forged,
}

fn read_recipients(bytes: &[u8]) -> Option<Vec<Username>> {
    let (mut reader, mut recipients) = (Reader(bytes), Vec::new());
    while !reader.0.is_empty() {
        if recipients.len() == MAX_RECIPIENTS {
            return None;
        }
        recipients.push(reader.text()?.parse().ok()?);
    }
    Some(recipients)
}

impl Place {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Place::Sequence(sequence) => sequence.to_be_bytes().to_vec(),
            Place::Group { sequence, roster: RosterRef { number, hash } } => {
                [&sequence.to_be_bytes()[..], &number.to_be_bytes(), &hash].concat()
            }
            Place::Chat { chat, number } => {
                [&chat.0.to_be_bytes()[..], &number.to_be_bytes()].concat()
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Place> {
        let mut reader = Reader(bytes);
        let place = match bytes.len() {
            8 => Place::Sequence(u64::from_be_bytes(reader.array()?)),
            48 => Place::Group {
                sequence: u64::from_be_bytes(reader.array()?),
                roster: RosterRef {
                    number: u64::from_be_bytes(reader.array()?),
                    hash: reader.array()?,
                },
            },
            24 => Place::Chat {
                chat: ChatId(u128::from_be_bytes(reader.array()?)),
                number: u64::from_be_bytes(reader.array()?),
            },
            _ => return None,
        };
        Some(place)
    }
}

impl Content {
    fn to_bytes(&self) -> (u8, Vec<u8>) {
        match self {
            Content::Text(text) => (TEXT, text.as_bytes().to_vec()),
            Content::Receipt(ids) => (RECEIPT, ids.iter().flat_map(|id| id.to_bytes()).collect()),
            Content::People(people) => {
                let mut bytes = Vec::new();
                people.iter().for_each(|person| person.write(&mut bytes));
                (PEOPLE, bytes)
            }
            Content::Roster(roster) => (ROSTER, roster.clone()),
            Content::Wish(group, wish, roster) => {
                let fields = [&group.as_bytes()[..], &[wish.number()], &roster.to_be_bytes()];
                (WISH, fields.concat())
            }
            Content::File(name, file) => {
                let mut bytes = Vec::new();
                fields::write(&mut bytes, name.as_bytes());
                file.write(&mut bytes);
                (FILE, bytes)
            }
            Content::Unknown(kind) => (*kind, Vec::new()),
        }
    }

    fn read(kind: u8, bytes: &[u8]) -> Option<Content> {
        match kind {
            TEXT => {
                let text = std::str::from_utf8(bytes).ok()?;
                (text.len() <= MAX_MESSAGE_BYTES).then(|| Content::Text(text.to_owned()))
            }
            RECEIPT => {
                let ids = bytes.chunks(16).map(|id| id.try_into().ok().map(MessageId::from_bytes));
                let ids: Vec<MessageId> = ids.collect::<Option<_>>()?;
                (ids.len() <= MAX_RECEIPT_IDS).then_some(Content::Receipt(ids))
            }
            PEOPLE => {
                let (mut reader, mut people) = (Reader(bytes), Vec::new());
                while !reader.0.is_empty() {
                    if people.len() == MAX_PEOPLE {
                        return None;
                    }
                    people.push(Person::read(&mut reader)?);
                }
                Some(Content::People(people))
            }
            ROSTER => (bytes.len() <= MAX_ROSTER_BYTES).then(|| Content::Roster(bytes.to_vec())),
            WISH => {
                let mut reader = Reader(bytes);
                let group = GroupId::from_bytes(reader.array()?);
                let [wish] = reader.array()?;
                let roster = u64::from_be_bytes(reader.array()?);
                let wish = Wish::from_number(wish).filter(|_| reader.0.is_empty())?;
                Some(Content::Wish(group, wish, roster))
            }
            FILE => {
                let mut reader = Reader(bytes);
                let name = reader.text().filter(|name| name.len() <= MAX_OFFERED_NAME_BYTES)?;
                let file = FileInfo::read(&mut reader).filter(|_| reader.0.is_empty())?;
                Some(Content::File(name.to_owned(), file))
            }
            kind => Some(Content::Unknown(kind)),
        }
    }
}

/// The statement by which a device signs a body.
struct BodyStatement<'a> {
    server: &'a Fingerprint,
    fields: &'a [u8],
}

impl Statement for BodyStatement<'_> {
    const PURPOSE: &'static str = "body";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.fields);
    }
}

#[cfg(test)]
mod tests;
