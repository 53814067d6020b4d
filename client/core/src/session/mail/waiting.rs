//! The own messages that wait for a route: a queue for each recipient.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::conversation::ConversationId;
use crate::mail::{Outgoing, OutgoingKey};

/// The queues.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queues: BTreeMap<Username, VecDeque<Entry>>,
    /// The number of messages added so far.
    added: u64,
}

#[derive(Debug)]
struct Entry {
    /// The place among all messages.
    order: u64,
    message: Outgoing,
}

impl Entry {
    fn is_for_everyone(&self) -> bool {
        self.message.conversation == ConversationId::Everyone
    }

    fn bytes(&self) -> usize {
        self.message.text.len()
    }
}

impl Waiting {
    pub(super) fn push(&mut self, message: Outgoing) {
        self.added += 1;
        let entry = Entry { order: self.added, message };
        self.queues.entry(entry.message.to.clone()).or_default().push_back(entry);
    }

    /// Removes and returns a message.
    pub(super) fn remove(&mut self, key: &OutgoingKey) -> Option<Outgoing> {
        let queue = self.queues.get_mut(&key.to)?;
        let place = queue.iter().position(|entry| entry.message.id == key.id)?;
        let Entry { message, .. } = queue.remove(place)?;
        if queue.is_empty() {
            self.queues.remove(&key.to);
        }
        Some(message)
    }

    pub(super) fn get(&self, key: &OutgoingKey) -> Option<&Outgoing> {
        self.to(&key.to).find(|message| message.id == key.id)
    }

    /// Returns the messages to this person, oldest first.
    pub(super) fn to(&self, who: &Username) -> impl Iterator<Item = &Outgoing> {
        self.queues.get(who).into_iter().flatten().map(|entry| &entry.message)
    }

    /// Returns the entries of a message: one for each recipient.
    pub(super) fn of(&self, id: &MessageId) -> impl Iterator<Item = &Outgoing> {
        let id = *id;
        let entries = self.queues.values().flatten().map(|entry| &entry.message);
        entries.filter(move |message| message.id == id)
    }

    /// Returns all messages.
    pub(super) fn all(&self) -> impl Iterator<Item = &Outgoing> {
        self.queues.values().flatten().map(|entry| &entry.message)
    }

    /// Returns the number of messages to people and groups, without those to everyone, and the bytes of their texts. A
    /// message to a group is one, with a text for each member.
    pub(super) fn to_people(&self) -> (usize, usize) {
        let (mut count, mut bytes, mut in_groups) = (0, 0, BTreeSet::new());
        for entry in self.queues.values().flatten().filter(|entry| !entry.is_for_everyone()) {
            bytes += entry.bytes();
            match entry.message.conversation.person() {
                Some(_) => count += 1,
                None => drop(in_groups.insert(entry.message.id)),
            }
        }
        (count + in_groups.len(), bytes)
    }

    /// Returns true if a person's messages to everyone leave room for another one within this number and these bytes.
    pub(super) fn has_room_for_everyone(
        &self,
        to: &Username,
        bytes: usize,
        (most, most_bytes): (usize, usize),
    ) -> bool {
        let entries = self.queues.get(to).into_iter().flatten();
        let texts = entries.filter(|entry| entry.is_for_everyone()).map(Entry::bytes);
        let (count, sum) = texts.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        count < most && sum + bytes <= most_bytes
    }

    /// Returns the oldest fitting message of each person, in the order of the names.
    pub(super) fn firsts(
        &self,
        fits: impl Fn(&Outgoing) -> bool,
    ) -> impl Iterator<Item = (u64, &Outgoing)> {
        self.queues.values().filter_map(move |queue| {
            let first = queue.iter().find(|entry| fits(&entry.message))?;
            Some((first.order, &first.message))
        })
    }
}
