//! The only timer of a session. It is set rarely, since setting it costs a system call.

use std::time::{Duration, Instant};

use async_io::Timer;

use letschat_flags::clock;

/// The longest wait. The boot clock runs on while the machine sleeps, but timers do not: after a
/// sleep a deadline is noticed at most this late.
const LONGEST_WAIT_MS: u64 = 60_000;

/// A timer that rings at a deadline or earlier, so its user has to check the deadline. Every
/// message moves the deadline, but the timer is set again only after it has rung.
pub(super) struct Alarm {
    timer: Timer,
    /// The time at which it rings, on the clock of timers, which stops while the machine sleeps.
    rings: Option<Instant>,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm { timer: Timer::never(), rings: None }
    }
}

impl Alarm {
    /// Sets the latest time at which it rings.
    pub(super) fn set(&mut self, due_boot_ms: Option<u64>) {
        let Some(due) = due_boot_ms else {
            return;
        };
        let left_ms = due.saturating_sub(clock::now().boot_ms).min(LONGEST_WAIT_MS);
        let at = Instant::now() + Duration::from_millis(left_ms);
        if self.rings.is_some_and(|rings| rings <= at) {
            return;
        }
        self.timer.set_at(at);
        self.rings = Some(at);
    }

    /// Waits until it rings.
    pub(super) async fn rung(&mut self) {
        (&mut self.timer).await;
        self.rings = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::time::Instant;

    #[test]
    fn an_earlier_deadline_is_kept_and_a_later_one_puts_nothing_off() {
        let begin = Instant::now();
        let mut alarm = Alarm::default();
        for due_boot_ms in [None, Some(u64::MAX), Some(0), Some(u64::MAX)] {
            alarm.set(due_boot_ms);
        }
        block_on(alarm.rung());
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_millis(LONGEST_WAIT_MS / 2), "{elapsed:?}");
        assert_eq!(alarm.rings, None, "it can be set anew");
    }
}
