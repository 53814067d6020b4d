//! The queue of events that `chat.wait` has not yet taken.

use std::collections::VecDeque;

use serde_json::Value;

use super::limits::MAX_EVENTS;

/// The last [`MAX_EVENTS`] events, oldest first.
#[derive(Default)]
pub(super) struct Mailbox {
    events: VecDeque<Value>,
    lost: u64,
}

impl Mailbox {
    /// Queues an event. A full queue evicts the oldest event about own messages, which few scripts wait
    /// for, else the oldest event.
    pub(super) fn put(&mut self, event: Value) {
        if self.events.len() == MAX_EVENTS {
            match self.events.iter().position(is_of_own_message) {
                Some(index) => drop(self.events.remove(index)),
                None => {
                    self.events.pop_front();
                    self.lost += 1;
                }
            }
        }
        self.events.push_back(event);
    }

    /// Removes and returns the oldest event that fits.
    pub(super) fn take<E>(
        &mut self,
        mut fits: impl FnMut(&Value) -> Result<bool, E>,
    ) -> Result<Option<Value>, E> {
        for index in 0..self.events.len() {
            if fits(&self.events[index])? {
                return Ok(self.events.remove(index));
            }
        }
        Ok(None)
    }

    /// Returns the number of events lost. Evicted events about own messages are not counted.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

/// Returns true for an own message, a text or the offer of a file.
pub(super) fn is_own_message(event: &Value) -> bool {
    matches!(event["event"].as_str(), Some("message" | "file_offered")) && event["own"] == true
}

fn is_of_own_message(event: &Value) -> bool {
    is_own_message(event) || event["event"] == "message_state"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn take(mailbox: &mut Mailbox, number: usize) -> Option<Value> {
        mailbox.take(|event| Ok::<_, ()>(event["number"] == number)).unwrap()
    }

    #[test]
    fn what_came_first_is_taken_first_and_once() {
        let mut mailbox = Mailbox::default();
        for (number, text) in [(1, "a"), (2, "b"), (1, "c")] {
            mailbox.put(json!({"number": number, "text": text}));
        }
        assert_eq!(take(&mut mailbox, 1).unwrap()["text"], "a");
        assert_eq!(take(&mut mailbox, 1).unwrap()["text"], "c");
        assert_eq!(take(&mut mailbox, 1), None);
        assert_eq!(take(&mut mailbox, 2).unwrap()["text"], "b");
    }

    #[test]
    fn when_it_is_full_the_oldest_goes_and_is_counted() {
        let mut mailbox = Mailbox::default();
        for number in 0..MAX_EVENTS + 3 {
            mailbox.put(json!({"number": number}));
        }
        assert_eq!(mailbox.lost(), 3);
        assert_eq!(take(&mut mailbox, 2), None);
        assert!(take(&mut mailbox, 3).is_some());
        assert!(take(&mut mailbox, MAX_EVENTS + 2).is_some());
    }
}
