//! The messages of people whom the user has not approved. They wait without being shown.

use std::collections::BTreeSet;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use crate::mail::{Held, Stream};

/// The most people whose messages are held.
pub(super) const MAX_STRANGERS: usize = 16;
/// The most held messages of one person.
pub(super) const MAX_OF_ONE: usize = 3;

/// The held messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct HeldMessages {
    messages: Vec<Held>,
    /// The people who have a held message.
    people: BTreeSet<Username>,
}

impl HeldMessages {
    pub(super) fn new(messages: Vec<Held>) -> HeldMessages {
        let people = messages.iter().map(|held| held.from.clone()).collect();
        HeldMessages { messages, people }
    }

    /// Returns the people who have a held message.
    pub(super) fn people(&self) -> &BTreeSet<Username> {
        &self.people
    }

    /// Returns the first held message of each person.
    pub(super) fn firsts(&self) -> impl Iterator<Item = &Held> {
        self.people.iter().filter_map(|who| self.messages.iter().find(|held| held.from == *who))
    }

    /// Returns the device whose message of this person was held first.
    pub(super) fn device(&self, who: &Username) -> Option<PublicKey> {
        self.messages.iter().find(|held| held.from == *who).map(|held| held.stream.device)
    }

    /// Returns a held message.
    pub(super) fn get(&self, stream: &Stream, number: u64) -> Option<&Held> {
        self.messages.iter().find(|held| held.stream == *stream && held.number == number)
    }

    /// Holds a message if there is room for it. Of a person's devices one is heard, and those that are in one list with
    /// it.
    pub(super) fn add(&mut self, held: Held, is_in_its_list: bool) -> bool {
        let has_room = match self.device(&held.from) {
            None => self.people.len() < MAX_STRANGERS,
            Some(device) => {
                let count = self.messages.iter().filter(|other| other.from == held.from).count();
                (device == held.stream.device || is_in_its_list) && count < MAX_OF_ONE
            }
        };
        if has_room {
            self.people.insert(held.from.clone());
            self.messages.push(held);
        }
        has_room
    }

    /// Removes and returns the held messages of a person.
    pub(super) fn take(&mut self, who: &Username) -> Vec<Held> {
        self.people.remove(who);
        let messages = std::mem::take(&mut self.messages);
        let (theirs, others) = messages.into_iter().partition(|held| held.from == *who);
        self.messages = others;
        theirs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::StreamSource;
    use letschat_protocol::identity::Identity;
    use letschat_protocol::message_id::MessageId;

    fn held(from: &str, device: u8, number: u64) -> Held {
        let device = Identity::from_seed(&[device; 32]).public_key();
        let source = StreamSource::Conversation("alice".into());
        Held {
            id: MessageId::in_conversation(&device, "alice", number),
            from: from.parse().unwrap(),
            stream: Stream { device, source },
            number,
            text: "hello".into(),
            file: None,
            sent_ms: 1,
            time_ms: 1,
        }
    }

    #[test]
    fn held_messages_are_bounded() {
        let mut messages = HeldMessages::default();
        let kept = (0..1_000_u64).filter(|n| {
            let who = format!("user{}", n % 100);
            messages.add(held(&who, (n % 100) as u8, *n), false)
        });
        assert_eq!(kept.count(), MAX_STRANGERS * MAX_OF_ONE);
    }

    #[test]
    fn one_device_of_a_person_is_held_and_those_in_its_list() {
        let mut messages = HeldMessages::default();
        assert!(messages.add(held("bob", 2, 1), false));
        assert!(!messages.add(held("bob", 3, 1), false));
        assert!(messages.add(held("bob", 4, 1), true));
        assert_eq!(messages.take(&"bob".parse().unwrap()).len(), 2);
        assert!(messages.people().is_empty());
        assert!(messages.add(held("bob", 3, 1), false));
    }
}
