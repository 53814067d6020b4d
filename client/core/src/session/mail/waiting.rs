//! The own messages that wait for a route: a queue for each recipient.

use std::collections::{BTreeMap, VecDeque};

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
    /// The bytes of all texts.
    bytes: usize,
    len: usize,
}

#[derive(Debug)]
struct Entry {
    /// The place among all messages.
    order: u64,
    message: Outgoing,
}

impl Waiting {
    pub(super) fn push(&mut self, message: Outgoing) {
        self.added += 1;
        self.bytes += message.text.len();
        self.len += 1;
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
        self.bytes -= message.text.len();
        self.len -= 1;
        Some(message)
    }

    pub(super) fn get(&self, key: &OutgoingKey) -> Option<&Outgoing> {
        self.to(&key.to).find(|message| message.id == key.id)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the messages to this person, oldest first.
    pub(super) fn to(&self, who: &Username) -> impl Iterator<Item = &Outgoing> {
        self.queues.get(who).into_iter().flatten().map(|entry| &entry.message)
    }

    /// Returns all messages, oldest first.
    pub(super) fn all(&self) -> Vec<&Outgoing> {
        let mut all: Vec<&Entry> = self.queues.values().flatten().collect();
        all.sort_by_key(|entry| entry.order);
        all.into_iter().map(|entry| &entry.message).collect()
    }

    /// Returns the entries of a message: one for each recipient.
    pub(super) fn of(&self, id: &MessageId) -> impl Iterator<Item = &Outgoing> {
        let id = *id;
        let entries = self.queues.values().flatten().map(|entry| &entry.message);
        entries.filter(move |message| message.id == id)
    }

    /// Returns the number of messages to people, without those to everyone.
    pub(super) fn to_people(&self) -> usize {
        let is_to_person =
            |entry: &&Entry| matches!(entry.message.conversation, ConversationId::Person(_));
        self.queues.values().flatten().filter(is_to_person).count()
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
