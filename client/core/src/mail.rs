//! The state of an account's messages that outlives a run: the outbox, held messages, the record of received ones,
//! prekeys. The engine keeps it in `account.sqlite`.

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::body::{Body, Place};
use letschat_protocol::devices::DeviceList;
use letschat_protocol::envelope::OpenError;
use letschat_protocol::files::FileInfo;
use letschat_protocol::groups::{GroupId, GroupName, SignedRoster, Wish};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::ChatId;
use letschat_protocol::prekey::PrekeyPublic;
use letschat_protocol::username::Username;

use crate::conversation::ConversationId;
use crate::files::StoredFile;

/// The stored state, as read when the account opens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredMail {
    /// The last sequence number of this device in each conversation.
    pub sequences: BTreeMap<String, u64>,
    /// The own messages whose fate is not known yet, oldest first.
    pub outbox: Vec<Outgoing>,
    /// The records of received messages, in the order of the first message of each.
    pub received: Vec<Received>,
    /// The messages that wait for the user's approval of their author, oldest first.
    pub held: Vec<Held>,
    /// The messages whose display has to be confirmed to their authors.
    pub receipts: Vec<OwedReceipt>,
    /// The prekeys, oldest first. The engine keeps the private halves.
    pub prekeys: Vec<StoredPrekey>,
    /// The held device lists by account.
    pub lists: BTreeMap<Username, DeviceList>,
    /// The people about whom the account's other devices have to be told.
    pub people: BTreeSet<Username>,
    /// The groups.
    pub groups: BTreeMap<GroupId, StoredGroup>,
    /// The offered files, oldest first.
    pub files: Vec<StoredFile>,
}

/// A group of which this device has a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    /// The name by which this device calls it. No other one that was not left is called so.
    pub label: GroupName,
    /// The newest roster.
    pub roster: SignedRoster,
    /// How the user stands to it.
    pub membership: Membership,
    /// The people who have to be sent the roster. The own name stands for the account's other devices.
    pub owed: BTreeSet<Username>,
    /// The wish that the owner and the account's other devices have not been told yet.
    pub wish: Option<Wish>,
    /// The last changes by this device, oldest first. One that a newer roster does not build on is made again.
    pub changes: Vec<RosterChange>,
}

impl StoredGroup {
    /// Returns true if the user is invited, and undecided.
    pub fn is_invited(&self) -> bool {
        self.membership == Membership::Invited
    }

    /// Returns true if the user has joined.
    pub fn is_joined(&self) -> bool {
        self.membership == Membership::Joined
    }

    /// Returns true if the user is gone.
    pub fn is_left(&self) -> bool {
        self.membership == Membership::Left
    }
}

/// The user's membership of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// Invited, and undecided.
    Invited,
    /// Joined.
    Joined,
    /// Gone: the user has left or turned the invitation down, or was removed. The roster is kept, so that an older one
    /// is no invitation.
    Left,
}

impl Membership {
    /// All of them.
    pub const ALL: [Membership; 3] = [Membership::Invited, Membership::Joined, Membership::Left];
}

/// A change that a device of the owner has made to a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// The number of the roster that it made.
    pub number: u64,
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The person whom it is about.
    pub who: Username,
}

/// A kind of change to a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The owner invites a person.
    Invite,
    /// An invited person joins.
    Join,
    /// The owner removes a person.
    Remove,
    /// A person leaves, or turns the invitation down.
    Leave,
    /// The owner gives the group to a member.
    Give,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: [ChangeKind; 5] = [
        ChangeKind::Invite,
        ChangeKind::Join,
        ChangeKind::Remove,
        ChangeKind::Leave,
        ChangeKind::Give,
    ];
}

/// An own message to one recipient whose fate is not known yet. A message to a group or to everyone has one of these
/// for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The message's id.
    pub id: MessageId,
    /// The recipient.
    pub to: Username,
    /// The conversation: with the recipient, a group, or with everyone.
    pub conversation: ConversationId,
    /// Its place in the conversation.
    pub place: Place,
    /// The time at which the user sent it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The text, or nothing once the server has the message. That of an offer is the file's name.
    pub text: String,
    /// The file, if the message offers one.
    pub file: Option<FileInfo>,
    /// Its stage.
    pub stage: Stage,
}

/// Identifies an [`Outgoing`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutgoingKey {
    /// The message's id.
    pub id: MessageId,
    /// The recipient.
    pub to: Username,
}

impl Outgoing {
    /// Returns the key of this entry.
    pub fn key(&self) -> OutgoingKey {
        OutgoingKey { id: self.id, to: self.to.clone() }
    }

    /// Returns true if this is the entry with this key.
    pub fn is(&self, key: &OutgoingKey) -> bool {
        self.id == key.id && self.to == key.to
    }
}

/// The stage of an own message whose fate is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for a route.
    Waiting,
    /// The server handed it to a device that was here. It keeps the message until this time, in milliseconds since
    /// the Unix epoch.
    Sent {
        /// The end of the retention.
        until_ms: u64,
    },
    /// The server keeps it, until this time.
    Kept {
        /// The end of the retention.
        until_ms: u64,
    },
}

/// A sequence of messages by one device: a conversation, or a direct chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// The author's device.
    pub device: PublicKey,
    /// The source of the numbers.
    pub source: StreamSource,
}

/// The source of the numbers in a [`Stream`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamSource {
    /// A conversation by the name that the author uses.
    Conversation(String),
    /// A direct chat.
    Chat(ChatId),
}

impl Stream {
    /// Returns true for the stream of a direct chat.
    pub fn is_chat(&self) -> bool {
        matches!(self.source, StreamSource::Chat(_))
    }

    /// Returns the stream of a message, and its number there.
    pub fn of(body: &Body) -> (Stream, u64) {
        let (source, number) = match body.place {
            Place::Sequence(number) | Place::Group { sequence: number, .. } => {
                (StreamSource::Conversation(body.conversation.clone()), number)
            }
            Place::Chat { chat, number } => (StreamSource::Chat(chat), number),
        };
        (Stream { device: body.device, source }, number)
    }
}

/// The record of the received messages of a stream: all numbers up to `through`, and those of `beyond`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The stream.
    pub stream: Stream,
    /// The number up to which nothing is missing.
    pub through: u64,
    /// The numbers beyond the first gap, ascending.
    pub beyond: Vec<u64>,
}

/// A message of somebody whom the user has not approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The message's id.
    pub id: MessageId,
    /// The author.
    pub from: Username,
    /// The stream of the message, with the author's device.
    pub stream: Stream,
    /// Its number in the stream.
    pub number: u64,
    /// The text, or the name of the offered file.
    pub text: String,
    /// The file, if the message offers one.
    pub file: Option<FileInfo>,
    /// The author's time of day, in milliseconds since the Unix epoch.
    pub sent_ms: u64,
    /// The time of its arrival, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// A displayed message that has to be confirmed to its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedReceipt {
    /// The author.
    pub to: Username,
    /// The message.
    pub id: MessageId,
}

/// A prekey without its private half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPrekey {
    /// The public half.
    pub key: PrekeyPublic,
    /// The time of its creation, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// The end of its validity, in milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// The time at which the server first confirmed it, and the epoch of that server's log. A server that lost its
    /// database has another epoch.
    pub published: Option<(u64, u64)>,
}

/// A change of the stored state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailChange {
    /// Add an own message, or replace it. The sequence of its conversation advances to its number.
    Outgoing(Outgoing),
    /// Remove an own message, whose fate is known.
    Settled(OutgoingKey),
    /// Replace the record of a stream.
    Received(Received),
    /// Remove the record of a stream, since there are too many.
    Unrecorded(Stream),
    /// Add a held message.
    Held(Held),
    /// Remove a held message.
    Released(MessageId),
    /// Add an owed receipt.
    Owed(OwedReceipt),
    /// Remove owed receipts, since they were sent or can't be.
    Confirmed(Vec<MessageId>),
    /// Note that the server has the prekey: at this time, in a log of this epoch.
    Published {
        /// The prekey.
        key: PrekeyPublic,
        /// The time, in milliseconds since the Unix epoch.
        at_ms: u64,
        /// The epoch of the server's log.
        epoch: u64,
    },
    /// Delete a prekey with its private half, so that nothing on disk opens what was sealed to it.
    Forgotten(PrekeyPublic),
    /// Hold this device list of an account, in place of an earlier one.
    List(Username, Box<DeviceList>),
    /// Hold no device list of an account.
    NoList(Username),
    /// Note that the other devices have to be told about these people.
    PeopleOwed(Vec<Username>),
    /// Note that they have been told.
    PeopleTold(Vec<Username>),
    /// Note that this device has used this number in a group, whose id is the name.
    Counted(String, u64),
    /// Keep a group, in place of an earlier state of it.
    Group(Box<StoredGroup>),
    /// Forget a group.
    NoGroup(GroupId),
    /// Keep an offered file, in place of an earlier state of it.
    File(Box<StoredFile>),
    /// Forget an offered file.
    NoFile(MessageId),
}

impl StoredMail {
    /// Applies a change. A store on disk does the same to its tables.
    pub fn apply(&mut self, change: &MailChange) {
        match change {
            MailChange::Outgoing(message) => {
                // Those to a group are counted by its id.
                if let Place::Sequence(number) = message.place
                    && !matches!(message.conversation, ConversationId::Group(_))
                {
                    let conversation = message.conversation.to_string();
                    let last = self.sequences.entry(conversation).or_default();
                    *last = number.max(*last);
                }
                match self.outbox.iter_mut().find(|other| other.is(&message.key())) {
                    Some(other) => *other = message.clone(),
                    None => self.outbox.push(message.clone()),
                }
            }
            MailChange::Settled(key) => self.outbox.retain(|message| !message.is(key)),
            MailChange::Received(row) => {
                self.received.retain(|other| other.stream != row.stream);
                self.received.push(row.clone());
            }
            MailChange::Unrecorded(stream) => self.received.retain(|row| row.stream != *stream),
            MailChange::Held(held) => self.held.push(held.clone()),
            MailChange::Released(id) => self.held.retain(|held| held.id != *id),
            MailChange::Owed(owed) => self.receipts.push(owed.clone()),
            MailChange::Confirmed(ids) => self.receipts.retain(|owed| !ids.contains(&owed.id)),
            MailChange::Published { key, at_ms, epoch } => {
                let found = self.prekeys.iter_mut().find(|prekey| prekey.key == *key);
                found.into_iter().for_each(|prekey| prekey.published = Some((*at_ms, *epoch)));
            }
            MailChange::Forgotten(key) => self.prekeys.retain(|prekey| prekey.key != *key),
            MailChange::List(who, list) => drop(self.lists.insert(who.clone(), (**list).clone())),
            MailChange::NoList(who) => drop(self.lists.remove(who)),
            MailChange::PeopleOwed(names) => self.people.extend(names.iter().cloned()),
            MailChange::PeopleTold(names) => self.people.retain(|name| !names.contains(name)),
            MailChange::Counted(name, number) => {
                let last = self.sequences.entry(name.clone()).or_default();
                *last = (*number).max(*last);
            }
            MailChange::Group(group) => {
                self.groups.insert(group.roster.group(), (**group).clone());
            }
            MailChange::NoGroup(id) => drop(self.groups.remove(id)),
            MailChange::File(file) => {
                match self.files.iter_mut().find(|other| other.id == file.id) {
                    Some(other) => *other = (**file).clone(),
                    None => self.files.push((**file).clone()),
                }
            }
            MailChange::NoFile(id) => self.files.retain(|file| file.id != *id),
        }
    }
}

/// An envelope from the server, opened if it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The number to acknowledge.
    pub number: u64,
    /// The account that posted it, as the server says. If it opened, the body says the same.
    pub sender: Username,
    /// The size of the envelope, in bytes.
    pub bytes: usize,
    /// The body, or the reason for which there is none.
    pub opened: Result<Body, OpenError>,
}
