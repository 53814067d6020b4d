//! The time that requests take.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the buckets, in microseconds.
pub const BUCKETS_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000];

/// The number of steps of one kind, by their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The number of those within each of [`BUCKETS_US`] and no earlier one.
    pub buckets: [u64; BUCKETS_US.len()],
    /// The number of all.
    pub count: u64,
    /// The sum of their times, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    fn note(&mut self, time: Duration) {
        let time_us = time.as_micros() as u64;
        if let Some(bucket) = BUCKETS_US.iter().position(|bound| time_us <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum_us += time_us;
    }
}

/// The histograms, by the name of the step.
#[derive(Debug, Default)]
pub(super) struct Latencies(Mutex<BTreeMap<&'static str, Histogram>>);

impl Latencies {
    pub(super) fn note(&self, what: &'static str, time: Duration) {
        // No panic happens under this lock.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(what).or_default().note(time);
    }

    pub(super) fn all(&self) -> BTreeMap<&'static str, Histogram> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_their_buckets() {
        let latencies = Latencies::default();
        for time_us in [0, 250, 251, 3_000_000] {
            latencies.note("a step", Duration::from_micros(time_us));
        }
        let all = latencies.all();
        let histogram = all["a step"];
        assert_eq!(histogram.buckets[..3], [2, 1, 0]);
        assert_eq!((histogram.count, histogram.buckets.iter().sum::<u64>()), (4, 3));
        assert_eq!(histogram.sum_us, 3_000_501);
    }
}
