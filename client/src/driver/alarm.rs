//! The one timer of a session, which is set as seldom as possible: each time costs a system call.

use std::time::Duration;

use async_io::Timer;

use crate::clock;

/// The boot clock runs on while the machine sleeps, and timers do not: after a sleep a deadline is
/// noticed at most this late.
const LONGEST_WAIT_MS: u64 = 60_000;

/// Rings at a deadline, or before it: who is woken looks whether anything is due. Every message
/// puts a deadline off, and the timer is only set anew once it has rung in vain.
pub(super) struct Alarm {
    timer: Timer,
    /// When it will ring, on the boot clock.
    rings_boot_ms: Option<u64>,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm { timer: Timer::never(), rings_boot_ms: None }
    }
}

impl Alarm {
    /// From now on it rings at this time at the latest.
    pub(super) fn set(&mut self, due_boot_ms: Option<u64>) {
        let Some(due) = due_boot_ms else {
            return;
        };
        if self.rings_boot_ms.is_some_and(|rings| rings <= due) {
            return;
        }
        let now = clock::now().boot_ms;
        let left = due.saturating_sub(now).min(LONGEST_WAIT_MS);
        self.timer.set_after(Duration::from_millis(left));
        self.rings_boot_ms = Some(now + left);
    }

    /// Returns when it rings.
    pub(super) async fn rung(&mut self) {
        (&mut self.timer).await;
        self.rings_boot_ms = None;
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
        assert_eq!(alarm.rings_boot_ms, None, "it can be set anew");
    }
}
