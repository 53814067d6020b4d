//! A record of the broadcasts that have been shown and of those that are missing.
//!
//! A broadcast is *taken* when it is handed to the front end, and *displayed* when the front end
//! confirms it. Only the position of the displayed ones is saved for the next run.

use std::collections::{BTreeSet, HashSet, VecDeque};

use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::username::Username;

use crate::session::LogPosition;
use crate::watermark::{MAX_NUMBER, Watermark};

/// The most numbers remembered beyond the first gap. A server keeps at most 10,000 entries.
const MAX_BEYOND: usize = 16_384;
/// The most broadcasts remembered by sender and time, so that none is shown again under another
/// number.
const MAX_NAMED: usize = 16_384;

/// The shown part of a server's numbered log: all numbers up to one, and a few beyond it.
#[derive(Debug)]
pub(super) struct Shown {
    epoch: u64,
    come: Watermark,
    /// The highest number known to exist.
    head: u64,
    /// The numbers of broadcasts that are taken, but not displayed yet.
    waiting: BTreeSet<u64>,
    /// True if a broadcast was skipped since the last replay began.
    skipped: bool,
    /// The number of broadcasts that have arrived, each counted once.
    taken: u64,
    named: HashSet<(Username, u64)>,
    order: VecDeque<(Username, u64)>,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            epoch: 0,
            come: Watermark::new(0, MAX_BEYOND),
            head: 0,
            waiting: BTreeSet::new(),
            skipped: false,
            taken: 0,
            named: HashSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl Shown {
    /// Continues from the position where an earlier run stopped.
    pub(super) fn resume(&mut self, position: LogPosition) {
        if self.epoch != position.epoch || self.come.through() < position.through {
            self.follow(position.epoch, position.through);
        }
    }

    /// Notes a login: the server's log has this epoch and goes up to this number. Returns true for
    /// a new epoch, which is another log, of which nothing has been shown.
    pub(super) fn welcome(&mut self, epoch: u64, head: u64) -> bool {
        let is_new = self.epoch != epoch;
        if is_new {
            self.follow(epoch, 0);
        }
        self.learn(head);
        is_new
    }

    /// Notes that the log goes up to this number at least.
    pub(super) fn learn(&mut self, head: u64) {
        self.head = self.head.max(head.min(MAX_NUMBER));
    }

    /// Returns the epoch of the log.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the highest number known to exist.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Returns the number of broadcasts that have arrived.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Notes an arrived broadcast. Returns true if it is to be shown, which is the case once for
    /// each.
    pub(super) fn take(&mut self, entry: &Broadcast) -> bool {
        // Numbers in an abandoned gap count as taken, since the server no longer holds them.
        if !self.come.take(entry.number) {
            return false;
        }
        self.learn(entry.number);
        self.taken += 1;
        let is_new = self.name(&entry.sender, entry.time_ms);
        if is_new {
            self.waiting.insert(entry.number);
        }
        is_new
    }

    /// Notes that the front end has displayed this broadcast, or that it will not be displayed.
    pub(super) fn display(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Notes a broadcast that can't be shown now. It stays missing.
    pub(super) fn skip(&mut self, number: u64) {
        self.learn(number);
        self.skipped = true;
    }

    /// Notes that a replay begins.
    pub(super) fn replaying(&mut self) {
        self.skipped = false;
    }

    /// Notes the end of a replay. Missing numbers up to this one are gone for good.
    pub(super) fn replayed(&mut self, through: u64) {
        // Skipped broadcasts are still at the server.
        if !self.skipped {
            self.come.advance(through);
        }
    }

    /// Returns the first missing number.
    pub(super) fn missing(&self) -> Option<u64> {
        (self.come.through() < self.head).then_some(self.come.through() + 1)
    }

    /// Returns the position from which the next run continues.
    pub(super) fn position(&self) -> LogPosition {
        let through = self.come.through();
        let displayed = self.waiting.first().map_or(through, |first| first - 1);
        LogPosition { epoch: self.epoch, through: through.min(displayed) }
    }

    /// Starts with another log, or at another place in this one.
    fn follow(&mut self, epoch: u64, through: u64) {
        self.epoch = epoch;
        self.come = Watermark::new(through, MAX_BEYOND);
        self.head = self.come.through();
        self.waiting.clear();
    }

    fn name(&mut self, sender: &Username, time_ms: u64) -> bool {
        let name = (sender.clone(), time_ms);
        if !self.named.insert(name.clone()) {
            return false;
        }
        self.order.push_back(name);
        if self.order.len() > MAX_NAMED
            && let Some(oldest) = self.order.pop_front()
        {
            self.named.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u64) -> Broadcast {
        let sender = "alice".parse().unwrap();
        Broadcast { number, sender, time_ms: number.wrapping_add(1_000), text: String::new() }
    }

    #[test]
    fn same_sender_and_time_is_shown_once_under_any_number() {
        let mut shown = Shown::default();
        shown.welcome(1, 0);
        assert!(shown.take(&entry(1)));
        let again = Broadcast { number: 2, ..entry(1) };
        assert!(!shown.take(&again));
        assert_eq!(shown.missing(), None);
    }

    #[test]
    fn the_same_number_is_shown_once_even_under_another_time() {
        let mut shown = Shown::default();
        shown.welcome(1, 0);
        assert!(shown.take(&entry(1)));
        assert!(!shown.take(&Broadcast { time_ms: 5, ..entry(1) }));
    }

    #[test]
    fn the_position_stops_before_what_is_not_displayed() {
        let mut shown = Shown::default();
        shown.welcome(1, 3);
        for number in 1..=3 {
            assert!(shown.take(&entry(number)));
        }
        assert_eq!(shown.position().through, 0);
        shown.display(1);
        shown.display(3);
        assert_eq!(shown.position().through, 1);
        shown.display(2);
        assert_eq!(shown.position().through, 3);
    }

    #[test]
    fn a_skipped_broadcast_stays_missing_after_its_replay() {
        let mut shown = Shown::default();
        shown.welcome(1, 2);
        shown.replaying();
        assert!(shown.take(&entry(1)));
        shown.skip(2);
        shown.replayed(2);
        assert_eq!(shown.missing(), Some(2));
        shown.replaying();
        assert!(shown.take(&entry(2)));
        shown.replayed(2);
        assert_eq!(shown.missing(), None);
    }

    #[test]
    fn replay_closes_a_gap_even_if_a_number_is_gone() {
        let mut shown = Shown::default();
        shown.welcome(1, 0);
        assert!(shown.take(&entry(3)));
        assert_eq!(shown.missing(), Some(1));
        assert!(shown.take(&entry(2)));
        shown.replayed(3);
        assert_eq!(shown.missing(), None);
        assert!(!shown.take(&entry(1)), "what a replay passed over does not come later");
    }

    #[test]
    fn a_repeated_head_shows_the_loss_of_the_last_broadcast() {
        let mut shown = Shown::default();
        shown.welcome(1, 5);
        assert_eq!(shown.missing(), Some(1));
        shown.replayed(5);
        shown.learn(6);
        assert_eq!(shown.missing(), Some(6));
    }

    #[test]
    fn unfilled_gap_is_given_up_when_too_much_is_beyond_it() {
        let mut shown = Shown::default();
        shown.welcome(1, 0);
        let last = 2 + MAX_BEYOND as u64;
        assert!((3..=last).all(|number| shown.take(&entry(number))));
        assert_eq!(shown.missing(), Some(1));
        assert!(shown.take(&entry(last + 1)));
        assert_eq!(shown.missing(), None);
        (3..=last + 1).for_each(|number| shown.display(number));
        assert_eq!(shown.position().through, last + 1);
    }

    #[test]
    fn another_epoch_is_another_log() {
        let mut shown = Shown::default();
        shown.resume(LogPosition { epoch: 1, through: 9 });
        shown.welcome(1, 9);
        assert_eq!(shown.missing(), None);
        shown.welcome(2, 3);
        assert_eq!(shown.missing(), Some(1));
    }

    #[test]
    fn absurd_position_in_the_folder_does_no_harm() {
        let mut shown = Shown::default();
        shown.resume(LogPosition { epoch: 1, through: u64::MAX });
        shown.welcome(1, u64::MAX);
        for number in [u64::MAX / 2, u64::MAX] {
            assert!(!shown.take(&entry(number)));
            shown.replayed(number);
            assert_eq!(shown.missing(), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Compares with a model that remembers everything: repeated numbers, entries repeated
        /// under other numbers, heads, and replays that say what is gone.
        #[test]
        fn whatever_comes_is_shown_once_and_what_is_missing_is_known(
            steps in prop::collection::vec((0_u8..12, 1_u64..40, 1_u64..40), 0..50),
        ) {
            let mut shown = Shown::default();
            shown.welcome(1, 0);
            let (mut numbers, mut names, mut head) = (HashSet::new(), HashSet::new(), 0);
            for (step, number, time) in steps {
                match step {
                    0 => {
                        shown.learn(number);
                        head = head.max(number);
                    }
                    1 => {
                        shown.replayed(number);
                        numbers.extend(1..=number);
                    }
                    _ => {
                        // Most entries have a time of their own; some share one with another
                        // number.
                        let time = if step < 10 { number } else { time };
                        let entry = Broadcast { time_ms: time, ..entry(number) };
                        head = head.max(number);
                        let new = numbers.insert(number) && names.insert(time);
                        prop_assert_eq!(shown.take(&entry), new, "number {} time {}", number, time);
                    }
                }
                let missing = (1..=head).find(|number| !numbers.contains(number));
                prop_assert_eq!(shown.missing(), missing);
            }
        }
    }
}
