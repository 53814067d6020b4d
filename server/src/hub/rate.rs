//! Rate limits: a burst, then one in each interval.

use std::collections::HashMap;
use std::hash::Hash;

/// A token bucket, stored as the time at which it will be full (the generic cell rate algorithm of
/// ITU-T I.371). It is a single number and needs no refills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    burst: u64,
    interval_ms: u64,
    full_at_ms: u64,
}

impl Bucket {
    /// Returns a full bucket.
    pub(super) fn new(burst: u32, interval_ms: u64) -> Self {
        Bucket { burst: u64::from(burst.max(1)), interval_ms, full_at_ms: 0 }
    }

    /// Returns the milliseconds until there are this many tokens, or 0 if there are.
    fn wait_ms(&self, count: u64, now_ms: u64) -> u64 {
        let depth = self.full_at_after(count, now_ms).saturating_sub(now_ms);
        // An operator may set both numbers arbitrarily high: the product then saturates, and there
        // are always enough tokens.
        depth.saturating_sub(self.burst.saturating_mul(self.interval_ms))
    }

    /// Takes a token, or returns the milliseconds until the next one.
    pub(super) fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        self.take_several(1, now_ms)
    }

    /// Takes this many tokens, or returns the milliseconds until there are that many. Takes no more
    /// than the burst, so that a full bucket always has enough.
    fn take_several(&mut self, count: u64, now_ms: u64) -> Result<(), u64> {
        let count = count.min(self.burst);
        match self.wait_ms(count, now_ms) {
            0 => {
                self.full_at_ms = self.full_at_after(count, now_ms);
                Ok(())
            }
            wait_ms => Err(wait_ms),
        }
    }

    /// Returns the time at which the bucket will be full if this many tokens are taken now.
    fn full_at_after(&self, count: u64, now_ms: u64) -> u64 {
        self.full_at_ms.max(now_ms).saturating_add(count.saturating_mul(self.interval_ms))
    }
}

/// The most buckets that are stored.
pub(super) const MAX_BUCKETS: usize = 4_096;

/// A bucket for each sender, at most [`MAX_BUCKETS`] of them. A new sender always gets a bucket, if
/// need be that of the sender whose bucket is nearest to full. Many senders therefore never lock
/// out others.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    by_sender: HashMap<K, Bucket>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Buckets { by_sender: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Returns the milliseconds until the sender's next token, or 0 if there is one.
    pub(super) fn wait_ms(&self, sender: &K, now_ms: u64) -> u64 {
        self.by_sender.get(sender).map_or(0, |bucket| bucket.wait_ms(1, now_ms))
    }

    /// Takes a token of this sender, or returns the milliseconds until the next one. `first` is the
    /// initial bucket of a new sender.
    pub(super) fn take(&mut self, sender: K, first: Bucket, now_ms: u64) -> Result<(), u64> {
        self.take_several(1, sender, first, now_ms)
    }

    /// Takes several tokens of this sender as [`take`](Self::take) takes one, but no more than the
    /// burst.
    pub(super) fn take_several(
        &mut self,
        count: u64,
        sender: K,
        first: Bucket,
        now_ms: u64,
    ) -> Result<(), u64> {
        if self.by_sender.len() >= MAX_BUCKETS && !self.by_sender.contains_key(&sender) {
            self.make_room(now_ms);
        }
        self.by_sender.entry(sender).or_insert(first).take_several(count, now_ms)
    }

    /// Evicts the full buckets, which equal new ones, or else the one nearest to full.
    fn make_room(&mut self, now_ms: u64) {
        self.by_sender.retain(|_, bucket| bucket.full_at_ms > now_ms);
        if self.by_sender.len() >= MAX_BUCKETS {
            let fullest = self.by_sender.iter().min_by_key(|(_, bucket)| bucket.full_at_ms);
            if let Some(fullest) = fullest.map(|(sender, _)| sender.clone()) {
                self.by_sender.remove(&fullest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_one_in_each_interval() {
        let mut bucket = Bucket::new(3, 100);
        assert!((0..3).all(|_| bucket.take(1_000).is_ok()));
        assert_eq!(bucket.take(1_000), Err(100));
        assert_eq!(bucket.take(1_099), Err(1));
        assert_eq!(bucket.take(1_100), Ok(()));
        assert_eq!(bucket.take(1_100), Err(100));
    }

    #[test]
    fn after_a_rest_the_burst_is_there_again_and_no_more_than_it() {
        let mut bucket = Bucket::new(2, 100);
        assert!(bucket.take(0).is_ok() && bucket.take(0).is_ok());
        assert!((0..2).all(|_| bucket.take(1_000_000).is_ok()));
        assert!(bucket.take(1_000_000).is_err());
    }

    #[test]
    fn several_tokens_are_taken_at_once_or_not_at_all() {
        let mut bucket = Bucket::new(5, 100);
        assert_eq!(bucket.take_several(3, 1_000), Ok(()));
        assert_eq!(bucket.take_several(3, 1_000), Err(100));
        assert_eq!(bucket.take_several(2, 1_000), Ok(()), "the refusal took none");
        assert_eq!(bucket.take(1_000), Err(100));
        assert_eq!(bucket.take_several(9, 1_499), Err(1), "it takes the burst");
        assert_eq!(bucket.take_several(9, 1_500), Ok(()));
    }

    #[test]
    fn absurd_limits_let_everything_through() {
        for (burst, interval_ms) in [(1 << 31, 1 << 33), (u32::MAX, u64::MAX), (2, u64::MAX)] {
            let mut bucket = Bucket::new(burst, interval_ms);
            for now_ms in [0, 1, 1 << 40, u64::MAX] {
                for count in [1, u64::MAX] {
                    let taken = bucket.take_several(count, now_ms);
                    assert_eq!(taken, Ok(()), "{burst} {interval_ms} {now_ms} {count}");
                }
            }
        }
    }

    #[test]
    fn a_new_sender_gets_a_bucket_however_many_there_are() {
        let mut buckets = Buckets::default();
        let take = |buckets: &mut Buckets<usize>, sender, now_ms| {
            buckets.take(sender, Bucket::new(1, 1_000_000), now_ms)
        };
        for sender in 0..3 * MAX_BUCKETS {
            assert_eq!(take(&mut buckets, sender, sender as u64), Ok(()), "{sender}");
            assert!(take(&mut buckets, sender, sender as u64).is_err(), "{sender}");
        }
        assert_eq!(buckets.by_sender.len(), MAX_BUCKETS);
    }

    #[test]
    fn the_bucket_nearest_to_being_full_gives_way() {
        let mut buckets = Buckets::default();
        for sender in 0..MAX_BUCKETS {
            let _ = buckets.take(sender, Bucket::new(2, 1_000), 0);
        }
        let _ = buckets.take(0, Bucket::new(2, 1_000), 0);
        let _ = buckets.take(MAX_BUCKETS, Bucket::new(2, 1_000), 0);
        assert_eq!(buckets.wait_ms(&0, 0), 1_000, "this one has the least left, and stays");
    }
}
