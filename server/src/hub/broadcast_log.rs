//! The numbered log of broadcasts within their retention period.

use std::collections::{HashMap, VecDeque};

use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::username::Username;

use crate::store::{NewBroadcast, StoredEntry, StoredLog};
use letschat_protocol::clock::Now;

/// The most entries that are kept, whatever their age.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// The most bytes of text that are kept, whatever their age.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most senders whose last time is remembered individually.
const MAX_SENDERS: usize = 10_000;

/// The broadcasts that can still be replayed. The database assigns their numbers, which rise and
/// may have gaps.
#[derive(Debug)]
pub(super) struct BroadcastLog {
    epoch: u64,
    boot_id: u64,
    retention_ms: u64,
    /// The highest published number.
    head: u64,
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The senders' last times. They outlive the broadcasts, since the wall clock may be set back.
    last_times: HashMap<Username, u64>,
    /// A lower bound of new times for senders that are not remembered individually.
    floor_ms: u64,
}

#[derive(Debug)]
struct Kept {
    broadcast: Broadcast,
    /// The expiry on the boot clock.
    expires_ms: u64,
}

impl BroadcastLog {
    /// Restores the stored log. Entries of this boot are aged by the boot clock. Those of an
    /// earlier boot are aged by the wall clock, within bounds, since it may have been set.
    pub(super) fn restore(log: StoredLog, boot_id: u64, retention_ms: u64, now: Now) -> Self {
        let mut restored = BroadcastLog {
            epoch: log.epoch,
            boot_id,
            retention_ms,
            head: log.head,
            kept: VecDeque::new(),
            bytes: 0,
            last_times: HashMap::new(),
            floor_ms: 0,
        };
        for entry in log.entries {
            let expires_ms = restored.expiry_ms(&entry, now);
            restored.keep(entry.broadcast, expires_ms);
        }
        restored
    }

    /// Returns the expiry of an entry. One of another boot, or of another machine, is aged by the wall clock.
    fn expiry_ms(&self, entry: &StoredEntry, now: Now) -> u64 {
        let age = if entry.boot_id == self.boot_id {
            now.boot_ms.saturating_sub(entry.boot_ms)
        } else {
            now.wall_ms.saturating_sub(entry.broadcast.time_ms).min(self.retention_ms)
        };
        now.boot_ms.saturating_add(self.retention_ms.saturating_sub(age))
    }

    /// Returns the log's random id.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the highest published number.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Returns the lowest number that can be replayed, or the next number if there is none.
    pub(super) fn first(&self) -> u64 {
        self.kept.front().map_or(self.head + 1, |kept| kept.broadcast.number)
    }

    /// Returns the number of broadcasts that can be replayed.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Dates a text later than its sender's last one, whatever the wall clock says.
    pub(super) fn date(&mut self, sender: Username, text: String, now: Now) -> NewBroadcast {
        let last = self.last_times.get(&sender).copied().unwrap_or(self.floor_ms);
        let time_ms = now.wall_ms.max(last + 1);
        self.remember(&sender, time_ms);
        let (boot_ms, boot_id) = (now.boot_ms, self.boot_id);
        NewBroadcast { sender, time_ms, text, boot_ms, boot_id }
    }

    /// Adds a committed entry.
    pub(super) fn publish(&mut self, entry: &StoredEntry, now: Now) {
        self.head = entry.broadcast.number;
        self.keep(entry.broadcast.clone(), self.expiry_ms(entry, now));
    }

    /// Removes entries that are too old or too many. Returns the highest number removed, if any.
    pub(super) fn expire(&mut self, now_ms: u64) -> Option<u64> {
        let mut through = None;
        while let Some(oldest) = self.kept.front() {
            let over = self.kept.len() > MAX_ENTRIES || self.bytes > MAX_BYTES;
            if !over && oldest.expires_ms > now_ms {
                break;
            }
            through = Some(oldest.broadcast.number);
            self.bytes -= oldest.broadcast.text.len();
            self.kept.pop_front();
        }
        through
    }

    /// Returns the first number that was dated after this time.
    pub(super) fn first_since(&self, boot_ms: u64) -> u64 {
        let expired_ms = boot_ms.saturating_add(self.retention_ms);
        let older = self.kept.partition_point(|kept| kept.expires_ms <= expired_ms);
        self.kept.get(older).map_or(self.head + 1, |kept| kept.broadcast.number)
    }

    /// Returns the deadline of the oldest entry.
    pub(super) fn next_expiry_ms(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.expires_ms)
    }

    /// Returns the entries from this number on.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = &Broadcast> {
        let start = self.kept.partition_point(|kept| kept.broadcast.number < number);
        self.kept.range(start..).map(|kept| &kept.broadcast)
    }

    fn keep(&mut self, broadcast: Broadcast, expires_ms: u64) {
        self.remember(&broadcast.sender, broadcast.time_ms);
        self.bytes += broadcast.text.len();
        // An entry never outlives a later one, so that the oldest expires first.
        let expires_ms = expires_ms.max(self.kept.back().map_or(0, |kept| kept.expires_ms));
        self.kept.push_back(Kept { broadcast, expires_ms });
    }

    /// Remembers a sender's last time. Senders beyond the limit share the latest of their times.
    fn remember(&mut self, sender: &Username, time_ms: u64) {
        if self.last_times.len() >= MAX_SENDERS && !self.last_times.contains_key(sender) {
            let latest = self.last_times.drain().map(|(_, time_ms)| time_ms).max();
            self.floor_ms = latest.unwrap_or(0).max(self.floor_ms);
        }
        let last = self.last_times.entry(sender.clone()).or_default();
        *last = time_ms.max(*last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RETENTION_MS: u64 = 1_000;
    const START: Now = Now { boot_ms: 50_000, wall_ms: 1_700_000_000_000 };

    fn empty() -> BroadcastLog {
        let log = StoredLog { epoch: 1, head: 0, entries: Vec::new() };
        BroadcastLog::restore(log, 7, RETENTION_MS, START)
    }

    fn alice() -> Username {
        "alice".parse().unwrap()
    }

    /// Commits a broadcast as the database would.
    fn commit(log: &mut BroadcastLog, text: String, now: Now) -> StoredEntry {
        let number = log.head() + 1;
        log.date(alice(), text, now).numbered(number)
    }

    fn later(ms: u64) -> Now {
        Now { boot_ms: START.boot_ms + ms, wall_ms: START.wall_ms + ms }
    }

    fn numbers(log: &BroadcastLog, from: u64) -> Vec<u64> {
        log.from(from).map(|entry| entry.number).collect()
    }

    #[test]
    fn an_entry_is_kept_for_the_retention_and_no_longer() {
        let mut log = empty();
        let entry = commit(&mut log, "hi".into(), START);
        log.publish(&entry, START);
        assert_eq!(log.expire(START.boot_ms + RETENTION_MS - 1), None);
        assert_eq!(log.expire(START.boot_ms + RETENTION_MS), Some(1));
        assert_eq!(log.first(), 2);
    }

    #[test]
    fn a_sender_has_no_time_twice_even_when_the_clock_goes_back() {
        let mut log = empty();
        let back = Now { wall_ms: START.wall_ms - 86_400_000, ..START };
        let times: Vec<u64> = [START, START, back]
            .map(|now| {
                let entry = commit(&mut log, "hi".into(), now);
                log.publish(&entry, START);
                entry.broadcast.time_ms
            })
            .into();
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    }

    #[test]
    fn senders_times_increase_when_the_clock_goes_back() {
        let mut log = empty();
        let entry = commit(&mut log, "hi".into(), START);
        log.publish(&entry, START);
        assert_eq!(log.expire(START.boot_ms + RETENTION_MS), Some(1));
        let back = Now { wall_ms: START.wall_ms - 86_400_000, ..later(RETENTION_MS) };
        assert!(commit(&mut log, "hi".into(), back).broadcast.time_ms > entry.broadcast.time_ms);
    }

    #[test]
    fn senders_times_increase_when_too_many_to_be_remembered() {
        let mut log = empty();
        let first = commit(&mut log, "hi".into(), START);
        for number in 0..MAX_SENDERS {
            log.date(format!("sender{number}").parse().unwrap(), "hi".into(), START);
        }
        assert!(log.last_times.len() <= MAX_SENDERS);
        let second = commit(&mut log, "hi".into(), START);
        assert!(second.broadcast.time_ms > first.broadcast.time_ms);
    }

    #[test]
    fn a_number_whose_commit_failed_is_skipped() {
        let mut log = empty();
        log.date(alice(), "lost".into(), START);
        let entry = log.date(alice(), "kept".into(), START).numbered(2);
        log.publish(&entry, START);
        assert_eq!((log.first(), log.head()), (2, 2));
        assert_eq!(numbers(&log, 1), [2]);
    }

    #[test]
    fn age_goes_by_boot_clock_and_over_a_reboot_by_wall_clock() {
        let mut log = empty();
        let entry = commit(&mut log, "hi".into(), START);
        let stored = || StoredLog { epoch: 9, head: 1, entries: vec![entry.clone()] };
        let wall_set = Now { wall_ms: START.wall_ms + 86_400_000, ..later(400) };
        let same_boot = BroadcastLog::restore(stored(), 7, RETENTION_MS, wall_set);
        assert_eq!(same_boot.next_expiry_ms(), Some(START.boot_ms + RETENTION_MS));
        assert_eq!(same_boot.epoch(), 9);
        let rebooted = Now { boot_ms: 10, wall_ms: START.wall_ms + 400 };
        let rebooted = BroadcastLog::restore(stored(), 8, RETENTION_MS, rebooted);
        assert_eq!(rebooted.next_expiry_ms(), Some(10 + 600));
        let set_back = Now { boot_ms: 10, wall_ms: 5 };
        let set_back = BroadcastLog::restore(stored(), 8, RETENTION_MS, set_back);
        assert_eq!(set_back.next_expiry_ms(), Some(10 + RETENTION_MS));
    }

    #[test]
    fn as_many_bytes_as_may_be_kept_are_kept() {
        let mut log = empty();
        for (text, forgotten) in [("x".repeat(MAX_BYTES), None), ("y".into(), Some(1))] {
            let entry = commit(&mut log, text, START);
            log.publish(&entry, START);
            assert_eq!(log.expire(START.boot_ms), forgotten);
        }
    }

    #[test]
    fn the_log_is_bounded_in_entries_and_bytes() {
        let mut log = empty();
        for _ in 0..MAX_ENTRIES + 5 {
            let entry = commit(&mut log, "x".into(), START);
            log.publish(&entry, START);
            log.expire(START.boot_ms);
        }
        assert_eq!(log.kept.len(), MAX_ENTRIES);
        assert_eq!(log.first(), 6);
        for _ in 0..MAX_ENTRIES {
            let entry = commit(&mut log, "x".repeat(900), START);
            log.publish(&entry, START);
            log.expire(START.boot_ms);
        }
        assert!(log.bytes <= MAX_BYTES);
    }

    proptest! {
        #[test]
        fn asking_from_a_number_on_gives_what_is_kept_from_there(
            fails in prop::collection::vec(any::<bool>(), 1..50),
            from in 0_u64..60,
        ) {
            let mut log = empty();
            let mut published = Vec::new();
            for (number, fail) in (1..).zip(fails) {
                let entry = log.date(alice(), "x".into(), START).numbered(number);
                if !fail {
                    log.publish(&entry, START);
                    published.push(entry.broadcast.number);
                }
            }
            let expected: Vec<u64> = published.into_iter().filter(|number| *number >= from).collect();
            prop_assert_eq!(numbers(&log, from), expected);
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Compares the log with a naive model over failed commits, jumps of the wall clock and
        /// restarts. Every entry is kept for exactly the retention period by the boot clock.
        #[test]
        fn everything_is_kept_just_as_long_as_it_should_be(
            steps in prop::collection::vec((0_u8..8, 0_u64..700), 0..60),
        ) {
            let (mut log, mut now) = (empty(), START);
            let mut model: Vec<StoredEntry> = Vec::new();
            let (mut drawn, mut head) = (0, 0);
            for (step, by) in steps {
                match step {
                    0..3 => {
                        drawn += 1;
                        let entry = log.date(alice(), "x".into(), now).numbered(drawn);
                        if step < 2 {
                            log.publish(&entry, now);
                            head = drawn;
                            model.push(entry);
                        }
                    }
                    3..6 => now.boot_ms += by,
                    6 => now.wall_ms = START.wall_ms - 350 + by,
                    _ => {
                        let entries = model.clone();
                        let stored = StoredLog { epoch: 1, head, entries };
                        log = BroadcastLog::restore(stored, 7, RETENTION_MS, now);
                        drawn = head;
                    }
                }
                let is_old = |entry: &StoredEntry| entry.boot_ms + RETENTION_MS <= now.boot_ms;
                let gone = model.iter().filter(|entry| is_old(entry));
                let gone = gone.map(|entry| entry.broadcast.number).max();
                prop_assert_eq!(log.expire(now.boot_ms), gone);
                model.retain(|entry| !is_old(entry));
                let kept: Vec<u64> = model.iter().map(|entry| entry.broadcast.number).collect();
                prop_assert_eq!(numbers(&log, 0), kept);
                let due = model.first().map(|entry| entry.boot_ms + RETENTION_MS);
                prop_assert_eq!(log.next_expiry_ms(), due);
            }
        }

        /// Restores the log after a reboot, which resets the boot clock, with any wall clock. An
        /// entry is kept for the remainder by the wall clock, and never longer than the retention
        /// period.
        #[test]
        fn over_a_reboot_nothing_is_kept_longer_than_the_retention(
            times in prop::collection::vec(0_u64..3_000, 1..20),
            wall_ms in prop_oneof![0_u64..6_000, any::<u64>()],
            boot_ms in 0_u64..100_000,
        ) {
            let now = Now { boot_ms, wall_ms };
            let entries: Vec<StoredEntry> = (1_u64..).zip(&times).map(|(number, time_ms)| {
                let sender = alice();
                let broadcast = Broadcast { number, sender, time_ms: *time_ms, text: "x".into() };
                StoredEntry { broadcast, boot_ms: 77, boot_id: 6 }
            }).collect();
            let head = times.len() as u64;
            let mut log = BroadcastLog::restore(StoredLog { epoch: 1, head, entries }, 7, RETENTION_MS, now);
            let left = |time_ms: &u64| RETENTION_MS - wall_ms.saturating_sub(*time_ms).min(RETENTION_MS);
            // An entry with less time left than an earlier one stays with it: the oldest expires
            // first.
            let mut stays = 0;
            for (number, time_ms) in (1_u64..).zip(&times) {
                stays = left(time_ms).max(stays);
                log.expire(boot_ms + stays.saturating_sub(1));
                prop_assert!(stays == 0 || log.from(number).next().is_some_and(|entry| entry.number == number));
            }
            log.expire(boot_ms + RETENTION_MS);
            prop_assert_eq!(log.kept(), 0);
        }
    }
}
