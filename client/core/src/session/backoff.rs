//! The retry policy of every loop that a server or a peer could drive.
//!
//! Waits grow while attempts fail. A link that lives less than [`STABLE_MS`] counts as a failed
//! attempt. Otherwise a peer could make the client spin by cutting every link at once.
//!
//! | loop | schedule | a row of failures ends |
//! |---|---|---|
//! | return to the server | [`SOON`] | when a login has lived for 10 s, or the user asks |
//! | a server that is busy or absent | [`LATER`] | the same |
//! | redial the peer of a chat | [`AT_ONCE`] | when a link has lived for 10 s, or with the chat |
//! | let one caller ring | [`AT_ONCE`] | when a chat has opened, or the caller could have rung for 10 s but did not |
//! | fetch a file | [`SOON`] | when a chunk has come, or when its sender or the server is back |
//! | request missed broadcasts | [`SOON`] | when a replay reached the head and brought something, or none failed for 10 s |
//!
//! Pages of a list are requested without a wait. Each has to advance, and their number is bounded.
//!
//! Every wait is jittered by a fifth, so that many clients do not come back at the same time.

/// A link that lives for less time counts as a failed attempt.
pub(super) const STABLE_MS: u64 = 10_000;

/// The time without success after which attempts become rare.
const RARE_AFTER_MS: u64 = 120_000;
const RARE_MS: u64 = 30_000;

/// The waits after the first failure, the second, and so on.
#[derive(Debug)]
pub(super) struct Schedule {
    waits_ms: &'static [u64],
    /// True if the last wait repeats. Otherwise the client gives up after it.
    is_endless: bool,
}

/// Retry soon, without a limit.
pub(super) static SOON: Schedule =
    Schedule { waits_ms: &[500, 1_000, 2_000, 4_000], is_endless: true };

/// Retry at once, then as in [`SOON`].
pub(super) static AT_ONCE: Schedule =
    Schedule { waits_ms: &[0, 1_000, 2_000, 4_000], is_endless: true };

/// Retry a few times, then give up.
pub(super) static LATER: Schedule =
    Schedule { waits_ms: &[5_000, 15_000, 45_000, 120_000, 240_000], is_endless: false };

/// A row of failures and its start.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Backoff {
    failures: u32,
    since_ms: Option<u64>,
}

impl Backoff {
    /// Notes a failure. Returns the wait before the next attempt, or `None` to give up. `jitter` is
    /// from 0 to 1.
    pub(super) fn fail(&mut self, now_ms: u64, schedule: &Schedule, jitter: f64) -> Option<u64> {
        let since_ms = *self.since_ms.get_or_insert(now_ms);
        let index = self.failures as usize;
        self.failures = self.failures.saturating_add(1);
        let waits_ms = schedule.waits_ms;
        let wait_ms = match waits_ms.get(index).or(waits_ms.last()).copied()? {
            _ if index >= waits_ms.len() && !schedule.is_endless => return None,
            _ if schedule.is_endless && now_ms.saturating_sub(since_ms) >= RARE_AFTER_MS => RARE_MS,
            wait_ms => wait_ms,
        };
        let factor = 0.8 + 0.4 * jitter.clamp(0.0, 1.0);
        Some((wait_ms as f64 * factor) as u64)
    }

    /// Notes a period of success, such as the life of a link. If it was long enough, earlier
    /// failures are forgotten.
    pub(super) fn lived(&mut self, now_ms: u64, since_ms: u64) {
        if now_ms.saturating_sub(since_ms) >= STABLE_MS {
            *self = Backoff::default();
        }
    }

    /// Returns the number of failures in the row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the time of the first failure in the row.
    pub(super) fn since_ms(&self) -> Option<u64> {
        self.since_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_server_is_tried_five_times_in_ten_minutes() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..).map_while(|_| backoff.fail(0, &LATER, 1.0)).collect();
        assert_eq!(waits.len(), 5);
        assert!(waits.iter().sum::<u64>() <= 600_000, "{waits:?}");
        let first = |jitter| Backoff::default().fail(0, &LATER, jitter);
        assert!(first(0.0) < first(1.0));
    }

    #[test]
    fn lost_server_is_tried_soon_then_rarely_without_end() {
        let mut backoff = Backoff::default();
        assert!(backoff.fail(0, &SOON, 1.0) <= Some(600));
        for _ in 0..1_000 {
            let wait_ms = backoff.fail(RARE_AFTER_MS - 1, &SOON, 1.0);
            assert!(wait_ms.is_some_and(|wait_ms| wait_ms <= 4_800), "{wait_ms:?}");
        }
        assert!(backoff.fail(RARE_AFTER_MS, &SOON, 0.0) >= Some(24_000));
    }

    #[test]
    fn only_a_link_that_lived_ends_a_row_of_failures() {
        let mut backoff = Backoff::default();
        backoff.fail(1_000, &SOON, 0.5);
        backoff.lived(1_000 + STABLE_MS - 1, 1_000);
        assert_eq!((backoff.failures(), backoff.since_ms()), (1, Some(1_000)));
        backoff.lived(1_000 + STABLE_MS, 1_000);
        assert_eq!((backoff.failures(), backoff.since_ms()), (0, None));
    }
}
