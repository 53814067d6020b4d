//! So many at once, then one in each interval.

/// A token bucket, kept as the time at which it would be full again (the generic cell rate
/// algorithm of ITU-T I.371): one number, and nothing to refill.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    burst: u64,
    interval_ms: u64,
    full_at_ms: u64,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(burst: u32, interval_ms: u64) -> Self {
        Bucket { burst: u64::from(burst.max(1)), interval_ms, full_at_ms: 0 }
    }

    /// Whether it is full, so that a new one would do as well.
    pub(super) fn is_full(&self, now_ms: u64) -> bool {
        self.full_at_ms <= now_ms
    }

    /// Takes a token, or says in how many milliseconds there will be one.
    pub(super) fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        let full_at = self.full_at_ms.max(now_ms) + self.interval_ms;
        let depth = full_at - now_ms;
        let room = self.burst * self.interval_ms;
        if depth > room {
            return Err(depth - room);
        }
        self.full_at_ms = full_at;
        Ok(())
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
}
