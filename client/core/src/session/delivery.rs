//! The messages of one chat: numbered, acknowledged cumulatively, and sent again after a break.
//!
//! This module does not know links. On any path, direct or later relayed, each message arrives once
//! and in order, or is reported as undelivered.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// The most unconfirmed messages.
pub const MAX_UNCONFIRMED: usize = 4_096;
/// The most bytes of unconfirmed messages.
pub const MAX_UNCONFIRMED_BYTES: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// The number of the last message sent.
    sent: u64,
    /// The messages after the last confirmed one, up to `sent`.
    unconfirmed: VecDeque<String>,
    unconfirmed_bytes: usize,
    /// The number of the last message received.
    received: u64,
    /// The number of the last message that the front end has displayed. Only displayed messages are
    /// acknowledged.
    displayed: u64,
    /// The number that was last acknowledged.
    acknowledged: u64,
}

/// The way to handle a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Show it.
    Next,
    /// It was shown before.
    Again,
    /// One before it is missing, so the link can't be trusted.
    Gap,
}

/// The number of displayed messages that are acknowledged without delay. That many of the largest
/// size are half of what the other side may have unconfirmed.
const ACKNOWLEDGED_AT_ONCE: u64 = 32;

/// The error for a message beyond the limits of unconfirmed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Delivery {
    /// Queues a message and gives it its number.
    pub(super) fn push(&mut self, text: String) -> Result<u64, Full> {
        let too_many = self.unconfirmed.len() >= MAX_UNCONFIRMED;
        if too_many || self.unconfirmed_bytes + text.len() > MAX_UNCONFIRMED_BYTES {
            return Err(Full);
        }
        self.sent += 1;
        self.unconfirmed_bytes += text.len();
        self.unconfirmed.push_back(text);
        Ok(self.sent)
    }

    /// Handles the peer's acknowledgement up to this number. Returns the numbers that it confirms,
    /// or `None` if the number was never sent.
    pub(super) fn confirm(&mut self, through: u64) -> Option<RangeInclusive<u64>> {
        if through > self.sent {
            return None;
        }
        let first = self.sent - self.unconfirmed.len() as u64 + 1;
        for _ in first..=through {
            if let Some(text) = self.unconfirmed.pop_front() {
                self.unconfirmed_bytes -= text.len();
            }
        }
        Some(first..=through)
    }

    /// Handles a received message.
    pub(super) fn receive(&mut self, number: u64) -> Arrival {
        if number <= self.received {
            return Arrival::Again;
        }
        if number > self.received + 1 {
            return Arrival::Gap;
        }
        self.received = number;
        Arrival::Next
    }

    /// Notes that the front end has displayed everything up to this number.
    pub(super) fn display(&mut self, number: u64) {
        self.displayed = self.displayed.max(number.min(self.received));
    }

    /// Returns true if an acknowledgement is due without delay.
    pub(super) fn owes_much(&self) -> bool {
        self.displayed - self.acknowledged >= ACKNOWLEDGED_AT_ONCE
    }

    /// Returns the number of the last displayed message, and counts it as acknowledged.
    pub(super) fn acknowledge(&mut self) -> u64 {
        self.acknowledged = self.displayed;
        self.displayed
    }

    /// Returns the messages to send again on a new link, with their numbers.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = (u64, &String)> {
        let first = self.sent - self.unconfirmed.len() as u64 + 1;
        (first..).zip(&self.unconfirmed)
    }

    /// Returns the numbers of the last message received and of the last one displayed.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.received, self.displayed)
    }

    /// Returns the number of unconfirmed messages.
    pub(super) fn waiting(&self) -> usize {
        self.unconfirmed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_confirmed_is_not_sent_again() {
        let mut delivery = Delivery::default();
        for text in ["one", "two", "three"] {
            delivery.push(text.into()).unwrap();
        }
        assert_eq!(delivery.confirm(2), Some(1..=2));
        let old = delivery.confirm(1).unwrap();
        assert!(old.is_empty(), "an old confirmation changes nothing");
        assert_eq!(delivery.unconfirmed().collect::<Vec<_>>(), [(3, &"three".to_owned())]);
        assert_eq!(delivery.confirm(4), None);
    }

    #[test]
    fn repeated_message_is_not_shown_and_a_gap_is_seen() {
        let mut delivery = Delivery::default();
        assert_eq!(delivery.receive(1), Arrival::Next);
        assert_eq!(delivery.receive(1), Arrival::Again);
        assert_eq!(delivery.receive(3), Arrival::Gap);
        assert_eq!(delivery.receive(2), Arrival::Next);
    }

    #[test]
    fn only_displayed_messages_are_acknowledged() {
        let mut delivery = Delivery::default();
        for number in 1..=3 {
            assert_eq!(delivery.receive(number), Arrival::Next);
        }
        assert_eq!(delivery.acknowledge(), 0);
        delivery.display(2);
        assert_eq!(delivery.acknowledge(), 2);
        assert_eq!(delivery.receive(3), Arrival::Again, "it waits to be displayed");
    }

    #[test]
    fn unconfirmed_messages_are_bounded_in_number_and_bytes() {
        let mut delivery = Delivery::default();
        let taken = (0..).take_while(|_| delivery.push(String::from("x")).is_ok()).count();
        assert_eq!(taken, MAX_UNCONFIRMED);
        let mut delivery = Delivery::default();
        let taken = (0..).take_while(|_| delivery.push("x".repeat(10_000)).is_ok()).count();
        assert_eq!(taken, MAX_UNCONFIRMED_BYTES / 10_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Links break at any message or confirmation, and both sides continue where they were.
        #[test]
        fn breaks_neither_lose_nor_double_nor_reorder_messages(
            breaks in prop::collection::vec((0_u64..8, 0_usize..20, 0_usize..20), 0..20),
        ) {
            let (mut sender, mut receiver) = (Delivery::default(), Delivery::default());
            let (mut said, mut shown) = (Vec::new(), Vec::new());
            for (say, arrive, confirm) in breaks.into_iter().chain([(1, usize::MAX, usize::MAX)]) {
                for _ in 0..say {
                    said.push(said.len().to_string());
                    prop_assert_eq!(sender.push(said[said.len() - 1].clone()), Ok(said.len() as u64));
                }
                // On a new link the receiver acknowledges, and the sender sends the rest.
                prop_assert!(sender.confirm(receiver.acknowledge()).is_some());
                let again: Vec<(u64, String)> =
                    sender.unconfirmed().map(|(n, text)| (n, text.clone())).collect();
                for (index, (number, text)) in again.into_iter().take(arrive).enumerate() {
                    // Messages received but not displayed before the break arrive again.
                    if receiver.receive(number) == Arrival::Next {
                        shown.push(text);
                    }
                    if index < confirm {
                        receiver.display(number);
                        prop_assert!(sender.confirm(receiver.acknowledge()).is_some());
                    }
                }
            }
            prop_assert_eq!(shown, said);
            receiver.display(u64::MAX);
            prop_assert!(sender.confirm(receiver.acknowledge()).is_some());
            prop_assert_eq!(sender.waiting(), 0);
        }
    }
}
