//! The rate limit of the log's lines about failures of the store.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The interval of repeated reports of a lasting failure, which may affect every request.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// The failure that was reported last.
#[derive(Default)]
pub(super) struct FailureReports(Mutex<Option<Told>>);

struct Told {
    error: String,
    at: Instant,
    /// The number of occurrences that were not reported since.
    left_out: u64,
}

impl FailureReports {
    /// Records a failure. Returns the number of its unreported occurrences if it has to be
    /// reported, or else `None`.
    pub(super) fn note(&self, error: &str, now: Instant) -> Option<u64> {
        // Poisoning is ignored: no panic happens under this lock, and the state is always
        // consistent.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left_out = 0;
        if let Some(told) = told.as_mut().filter(|told| told.error == error) {
            if now.saturating_duration_since(told.at) < REPEAT_AFTER {
                told.left_out += 1;
                return None;
            }
            left_out = told.left_out;
        }
        *told = Some(Told { error: error.to_owned(), at: now, left_out: 0 });
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_failure_is_told_once_a_minute() {
        let failure_reports = FailureReports::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(failure_reports.note("gone", at(0)), Some(0));
        assert_eq!(failure_reports.note("gone", at(1)), None);
        assert_eq!(failure_reports.note("gone", at(59)), None);
        assert_eq!(failure_reports.note("gone", at(60)), Some(2));
        assert_eq!(failure_reports.note("gone", at(61)), None);
        assert_eq!(failure_reports.note("full", at(62)), Some(0));
        assert_eq!(failure_reports.note("gone", at(63)), Some(0));
    }
}
