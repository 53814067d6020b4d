//! The own messages whose fate is not known yet. They are on disk before anything else happens to them.

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::body::Place;
use letschat_protocol::files::FileInfo;
use letschat_protocol::groups::{GroupId, GroupName};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::waiting::Waiting;
use crate::conversation::ConversationId;
use crate::failure::Failure;
use crate::mail::{Outgoing, OutgoingKey, Stage};
use crate::session::RequestId;

/// The most messages to people and groups that wait for a route. One to a group counts once.
pub(super) const MAX_WAITING: usize = 2_000;
/// The most messages to everyone that wait for one client, and the bytes of their texts: for one that is reached, and for
/// one that is away and does not get the later ones.
const WAITING_FOR_ONE: (usize, usize) = (2_000, 1024 * 1024);
const WAITING_FOR_ONE_AWAY: (usize, usize) = (1_000, 256 * 1024);
/// The most bytes of their texts.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;
/// The most copies that the server has taken and nobody has confirmed, and how many of the oldest are forgotten then.
const MAX_UNCONFIRMED: usize = 10_000;
const FORGOTTEN: usize = 1_000;

/// The outbox.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The last sequence number in each conversation.
    sequences: BTreeMap<String, u64>,
    /// The messages that wait for a route.
    waiting: Waiting,
    /// The messages that the server has taken.
    taken: BTreeMap<OutgoingKey, Outgoing>,
    /// The waiting messages that are not on disk yet.
    undurable: BTreeSet<MessageId>,
    /// The user's requests that are answered when the next thing happens to the message.
    requests: BTreeMap<MessageId, RequestId>,
}

impl Outbox {
    pub(super) fn new(sequences: BTreeMap<String, u64>, stored: Vec<Outgoing>) -> Outbox {
        let mut outbox = Outbox { sequences, ..Outbox::default() };
        for message in stored {
            match message.stage {
                Stage::Waiting => outbox.waiting.push(message),
                Stage::Sent { .. } | Stage::Kept { .. } => {
                    outbox.taken.insert(message.key(), message);
                }
            }
        }
        outbox
    }

    /// Fails if there is no room for a text of this length.
    pub(super) fn check_room(&self, bytes: usize) -> Result<(), Failure> {
        let (count, waiting_bytes) = self.waiting.to_people();
        let is_full = count >= MAX_WAITING || waiting_bytes + bytes > MAX_WAITING_BYTES;
        if is_full { Err(Failure::OutboxFull) } else { Ok(()) }
    }

    /// Adds a message of the user to a person, a text or the offer of a file, under the next number of the conversation.
    /// It waits for its record.
    pub(super) fn add(
        &mut self,
        author: &PublicKey,
        to: &Username,
        (text, file): (String, Option<FileInfo>),
        time_ms: u64,
    ) -> Outgoing {
        let (to, conversation) = (to.clone(), ConversationId::Person(to.clone()));
        let (id, place) = self.next_in(author, &conversation.to_string());
        let stage = Stage::Waiting;
        self.add_under(Outgoing { id, to, conversation, place, time_ms, text, file, stage })
    }

    /// Adds a message of the user to everyone, for each of these people, under the next number of the conversation. It
    /// waits for its record. `true` stands for a person who is reached. Returns the added messages, and those for which
    /// there is no room.
    pub(super) fn add_for_everyone(
        &mut self,
        author: &PublicKey,
        recipients: impl IntoIterator<Item = (Username, bool)>,
        text: &str,
        time_ms: u64,
    ) -> (Vec<Outgoing>, Vec<Outgoing>) {
        let conversation = ConversationId::Everyone;
        let (id, place) = self.next_in(author, &conversation.to_string());
        let (mut added, mut left_out) = (Vec::new(), Vec::new());
        for (to, is_reached) in recipients {
            let limit = if is_reached { WAITING_FOR_ONE } else { WAITING_FOR_ONE_AWAY };
            let has_room = self.waiting.has_room_for_everyone(&to, text.len(), limit);
            let (conversation, text, stage) =
                (conversation.clone(), text.to_owned(), Stage::Waiting);
            let file = None;
            let message = Outgoing { id, to, conversation, place, time_ms, text, file, stage };
            match has_room {
                true => added.push(self.add_under(message)),
                false => left_out.push(message),
            }
        }
        (added, left_out)
    }

    /// Adds a message of the user to a group, for each of these members, under the next number. It waits for its record.
    pub(super) fn add_for_group(
        &mut self,
        author: &PublicKey,
        (group, label): (&GroupId, &GroupName),
        members: impl IntoIterator<Item = Username>,
        (text, file): (&str, Option<FileInfo>),
        time_ms: u64,
    ) -> Vec<Outgoing> {
        let conversation = ConversationId::Group(label.clone());
        let (id, place) = self.next_in(author, &group.to_string());
        let add = |to| {
            let (conversation, text) = (conversation.clone(), text.to_owned());
            let stage = Stage::Waiting;
            self.add_under(Outgoing { id, to, conversation, place, time_ms, text, file, stage })
        };
        members.into_iter().map(add).collect()
    }

    /// Returns the id and the place of the next message in the conversation that its recipients call so.
    fn next_in(&mut self, author: &PublicKey, name: &str) -> (MessageId, Place) {
        let last = self.sequences.entry(name.to_owned()).or_default();
        *last += 1;
        (MessageId::in_conversation(author, name, *last), Place::Sequence(*last))
    }

    /// Adds a message that has its id already. It waits for its record.
    pub(super) fn add_under(&mut self, message: Outgoing) -> Outgoing {
        self.undurable.insert(message.id);
        self.waiting.push(message.clone());
        message
    }

    /// Lets a request wait for the next change of a message.
    pub(super) fn await_change(&mut self, id: MessageId, request: RequestId) {
        self.requests.insert(id, request);
    }

    /// Returns true if a request waits for the next change of a message.
    pub(super) fn is_awaited(&self, id: &MessageId) -> bool {
        self.requests.contains_key(id)
    }

    /// Returns the request that waits for the next change of a message.
    pub(super) fn take_request(&mut self, id: &MessageId) -> Option<RequestId> {
        self.requests.remove(id)
    }

    /// Notes that a message is on disk.
    pub(super) fn durable(&mut self, id: &MessageId) {
        self.undurable.remove(id);
    }

    pub(super) fn get(&self, key: &OutgoingKey) -> Option<&Outgoing> {
        self.waiting.get(key).or_else(|| self.taken.get(key))
    }

    /// Returns the entries of a message that wait for a route: one for each recipient.
    pub(super) fn waiting_of(&self, id: &MessageId) -> impl Iterator<Item = &Outgoing> {
        self.waiting.of(id)
    }

    /// Returns the oldest message for the server to somebody who is ready. Messages to one person keep their order.
    pub(super) fn next(&self, is_ready: impl Fn(&Username) -> bool) -> Option<&Outgoing> {
        let firsts = self.waiting.firsts(|message| self.is_for_server(message));
        let ready = firsts.filter(|(_, message)| is_ready(&message.to));
        ready.min_by_key(|(order, _)| *order).map(|(_, message)| message)
    }

    /// Returns the recipients that a message for the server can go to now: those who have no earlier one.
    pub(super) fn recipients_of(
        &self,
        message: &Outgoing,
        is_ready: impl Fn(&Username) -> bool,
    ) -> Vec<Username> {
        let firsts = self.waiting.firsts(|message| self.is_for_server(message));
        let same = firsts.filter(|(_, first)| first.id == message.id && is_ready(&first.to));
        same.map(|(_, first)| first.to.clone()).collect()
    }

    /// Returns the recipients of the messages for the server that are ready.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Username> {
        self.waiting.firsts(|message| self.is_for_server(message)).map(|(_, message)| &message.to)
    }

    /// Returns the people to whom messages can go straight: those to everyone and, perhaps, those to people.
    pub(super) fn for_peers(&self, with_people: bool) -> Vec<Username> {
        let firsts = self.waiting.firsts(|message| self.is_for_peer(message, with_people));
        firsts.map(|(_, message)| message.to.clone()).collect()
    }

    /// Returns the oldest such messages to a person that are not among `except`, at most `limit`.
    pub(super) fn for_peer(
        &self,
        who: &Username,
        with_people: bool,
        except: &[MessageId],
        limit: usize,
    ) -> Vec<&Outgoing> {
        let is_ready = |message: &&Outgoing| {
            self.is_for_peer(message, with_people) && !except.contains(&message.id)
        };
        self.waiting.to(who).filter(is_ready).take(limit).collect()
    }

    fn is_for_server(&self, message: &Outgoing) -> bool {
        message.conversation != ConversationId::Everyone && self.is_durable(message)
    }

    fn is_for_peer(&self, message: &Outgoing, with_people: bool) -> bool {
        let is_meant = with_people || message.conversation == ConversationId::Everyone;
        is_meant && self.is_durable(message)
    }

    /// Returns true if a message is on disk.
    pub(super) fn is_durable(&self, message: &Outgoing) -> bool {
        !self.undurable.contains(&message.id)
    }

    /// Returns the messages that wait for a route to this person, oldest first.
    pub(super) fn waiting_to(&self, who: &Username) -> Vec<Outgoing> {
        self.waiting.to(who).cloned().collect()
    }

    /// Returns the messages to this person, not to a group or to everyone, that wait for a route.
    pub(super) fn waiting_to_person(&self, who: &Username) -> Vec<Outgoing> {
        let is_personal = |message: &&Outgoing| message.conversation.person().is_some();
        self.waiting.to(who).filter(is_personal).cloned().collect()
    }

    /// Returns the keys of the messages in a group to people who are not members any more.
    pub(super) fn keys_in(
        &self,
        conversation: &ConversationId,
        is_gone: impl Fn(&Username) -> bool,
    ) -> Vec<OutgoingKey> {
        let taken = self.taken.values().chain(self.waiting.all());
        let of_it =
            taken.filter(|message| message.conversation == *conversation && is_gone(&message.to));
        of_it.map(Outgoing::key).collect()
    }

    /// Returns the messages for the server to this person that wait for a route, oldest first. Those to everyone never
    /// go through the server.
    pub(super) fn waiting_to_alone(&self, who: &Username) -> Vec<Outgoing> {
        let is_alone = |message: &&Outgoing| message.conversation != ConversationId::Everyone;
        self.waiting.to(who).filter(is_alone).cloned().collect()
    }

    /// Returns the people for whom messages in this conversation wait.
    pub(super) fn recipients_in(&self, conversation: &ConversationId) -> Vec<Username> {
        let firsts = self.waiting.firsts(|message| message.conversation == *conversation);
        firsts.map(|(_, message)| message.to.clone()).collect()
    }

    /// Returns the messages whose request waits for the next change.
    pub(super) fn awaited(&self) -> Vec<Outgoing> {
        self.requests.keys().filter_map(|id| self.waiting_of(id).next().cloned()).collect()
    }

    /// Notes that the server has taken a message. Its text is not needed any more, unless it is a file's name. Returns
    /// the new entry.
    pub(super) fn take(&mut self, key: &OutgoingKey, stage: Stage) -> Option<Outgoing> {
        let mut message = Outgoing { stage, ..self.waiting.remove(key)? };
        if message.file.is_none() {
            message.text.clear();
        }
        self.taken.insert(key.clone(), message.clone());
        Some(message)
    }

    /// Removes the oldest of too many messages that nobody has confirmed. Returns their keys.
    pub(super) fn forget_oldest(&mut self) -> Vec<OutgoingKey> {
        if self.taken.len() <= MAX_UNCONFIRMED {
            return Vec::new();
        }
        let mut oldest: Vec<&Outgoing> = self.taken.values().collect();
        oldest.sort_by_key(|message| message.time_ms);
        let keys: Vec<OutgoingKey> =
            oldest.into_iter().take(FORGOTTEN).map(Outgoing::key).collect();
        for key in &keys {
            self.taken.remove(key);
        }
        keys
    }

    /// Removes a message whose fate is known.
    pub(super) fn settle(&mut self, key: &OutgoingKey) -> Option<Outgoing> {
        self.taken.remove(key).or_else(|| self.waiting.remove(key))
    }

    /// Removes a message that could not be recorded. Its number is given to the next one in its conversation, which its
    /// recipients know by the name that `name_of` returns.
    pub(super) fn take_back(
        &mut self,
        id: &MessageId,
        name_of: impl Fn(&ConversationId) -> String,
    ) -> Vec<Outgoing> {
        self.undurable.remove(id);
        let keys: Vec<OutgoingKey> = self.waiting_of(id).map(Outgoing::key).collect();
        let taken: Vec<Outgoing> = keys.iter().filter_map(|key| self.waiting.remove(key)).collect();
        if let Some(Outgoing { place: Place::Sequence(number), conversation, .. }) = taken.first()
            && let Some(last) = self.sequences.get_mut(&name_of(conversation))
            && last == number
        {
            *last -= 1;
        }
        taken
    }

    /// Removes and returns the messages that the server has given up by this time of day.
    pub(super) fn expire(&mut self, wall_ms: u64) -> Vec<Outgoing> {
        let is_over = |message: &Outgoing| match message.stage {
            Stage::Sent { until_ms } | Stage::Kept { until_ms } => until_ms <= wall_ms,
            Stage::Waiting => false,
        };
        let over: Vec<OutgoingKey> =
            self.taken.values().filter(|message| is_over(message)).map(Outgoing::key).collect();
        over.iter().filter_map(|key| self.taken.remove(key)).collect()
    }

    /// Forgets everything. Returns the requests that wait, with their messages.
    pub(super) fn close(&mut self) -> Vec<(RequestId, Option<Outgoing>)> {
        let requests = std::mem::take(&mut self.requests);
        let closed = requests
            .into_iter()
            .map(|(id, request)| (request, self.waiting_of(&id).next().cloned()))
            .collect();
        *self = Outbox::default();
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::identity::Identity;

    fn key() -> PublicKey {
        Identity::from_seed(&[1; 32]).public_key()
    }

    fn bob() -> Username {
        "bob".parse().unwrap()
    }

    fn add(outbox: &mut Outbox, text: &str) -> Outgoing {
        let message = outbox.add(&key(), &bob(), (text.into(), None), 1);
        outbox.durable(&message.id);
        message
    }

    #[test]
    fn message_is_ready_once_it_is_on_disk() {
        let mut outbox = Outbox::default();
        let message = outbox.add(&key(), &bob(), ("hello".into(), None), 1);
        assert_eq!(outbox.next(|_| true), None);
        outbox.durable(&message.id);
        assert_eq!(outbox.next(|_| true), Some(&message));
        assert_eq!(outbox.next(|who| *who != bob()), None);
    }

    #[test]
    fn number_of_an_unrecorded_message_is_used_again() {
        let mut outbox = Outbox::default();
        let first = outbox.add(&key(), &bob(), ("lost".into(), None), 1);
        let taken = outbox.take_back(&first.id, ConversationId::to_string);
        assert_eq!(taken, std::slice::from_ref(&first));
        assert_eq!(add(&mut outbox, "kept").place, first.place);
    }

    fn add_for_group(outbox: &mut Outbox, members: usize) -> Vec<Outgoing> {
        let (group, label) = (GroupId::from_bytes([7; 32]), "team".parse().unwrap());
        let people = (0..members).map(|n| format!("user{n}").parse().unwrap());
        let added = outbox.add_for_group(&key(), (&group, &label), people, ("x", None), 1);
        outbox.durable(&added[0].id);
        added
    }

    #[test]
    fn unrecorded_message_to_a_group_gives_its_number_back() {
        let mut outbox = Outbox::default();
        let lost = add_for_group(&mut outbox, 3);
        let name = GroupId::from_bytes([7; 32]).to_string();
        assert_eq!(outbox.take_back(&lost[0].id, |_| name.clone()), lost);
        assert_eq!(add_for_group(&mut outbox, 3)[0].place, lost[0].place);
    }

    #[test]
    fn message_to_a_group_counts_once() {
        let mut outbox = Outbox::default();
        for _ in 0..MAX_WAITING {
            assert!(outbox.check_room(1).is_ok());
            add_for_group(&mut outbox, 3);
        }
        assert!(outbox.check_room(1).is_err());
    }

    #[test]
    fn oldest_of_many_unconfirmed_copies_are_forgotten() {
        let mut outbox = Outbox::default();
        for n in 0..=MAX_UNCONFIRMED {
            assert_eq!(outbox.forget_oldest(), []);
            let message = outbox.add(&key(), &bob(), ("x".into(), None), n as u64);
            outbox.take(&message.key(), Stage::Kept { until_ms: 100 });
        }
        assert_eq!(outbox.forget_oldest().len(), FORGOTTEN);
        assert!(outbox.check_room(1).is_ok());
        assert!(outbox.taken.values().all(|message| message.time_ms >= FORGOTTEN as u64));
    }

    #[test]
    fn waiting_messages_are_bounded() {
        let mut outbox = Outbox::default();
        let taken = (0..).take_while(|_| {
            let has_room = outbox.check_room(1).is_ok();
            has_room.then(|| add(&mut outbox, "x")).is_some()
        });
        assert_eq!(taken.count(), MAX_WAITING);
        let outbox = Outbox::default();
        assert!(outbox.check_room(MAX_WAITING_BYTES).is_ok());
        assert!(outbox.check_room(MAX_WAITING_BYTES + 1).is_err());
    }

    #[test]
    fn taken_message_expires_at_its_time() {
        let mut outbox = Outbox::default();
        let message = add(&mut outbox, "hello");
        let taken = outbox.take(&message.key(), Stage::Kept { until_ms: 100 }).unwrap();
        assert_eq!((taken.text.as_str(), outbox.waiting_to(&bob())), ("", Vec::new()));
        assert_eq!(outbox.expire(99), []);
        assert_eq!(outbox.expire(100), [taken]);
        assert_eq!(outbox.settle(&message.key()), None);
    }

    #[test]
    fn stored_outbox_continues_its_sequences() {
        let mut outbox = Outbox::default();
        let message = add(&mut outbox, "one");
        let stored = outbox.waiting_to(&bob());
        let mut outbox = Outbox::new(BTreeMap::from([("bob".into(), 1)]), stored);
        assert_eq!(outbox.next(|_| true), Some(&message));
        assert_eq!(add(&mut outbox, "two").place, Place::Sequence(2));
    }
}
