//! Acknowledgements of deliveries: one line at a time, each full or 50 ms after the one before, and few in a second,
//! whatever arrives. A server reads 20 lines a second, and closes the connection of a client that sends many more.

use letschat_protocol::limits::MAX_ACKNOWLEDGED;

use crate::session::backoff::{Backoff, SOON};

/// The shortest interval of two lines if the second one is not full.
const INTERVAL_MS: u64 = 50;
/// The shortest interval of lines over a longer time.
const SUSTAINED_MS: u64 = 75;
/// The number of lines that may come at once after a pause: enough for a full mailbox.
const BURST: u64 = 32;

/// The deliveries that can be acknowledged.
#[derive(Debug, Default)]
pub(super) struct Acknowledging {
    ready: Vec<u64>,
    /// The numbers of the line that the server has not answered.
    asked: Vec<u64>,
    /// The earliest time of the next line.
    next_ms: u64,
    /// The earliest time of the next line that is not full.
    next_short_ms: u64,
    /// The time at which as many lines may come at once as after a pause.
    rested_ms: u64,
    backoff: Backoff,
}

impl Acknowledging {
    pub(super) fn add(&mut self, deliveries: Vec<u64>) {
        self.ready.extend(deliveries);
    }

    /// Takes the numbers of the next line, if one can be sent now.
    pub(super) fn begin(&mut self, now_ms: u64) -> Option<Vec<u64>> {
        if self.next_deadline().is_none_or(|due_ms| due_ms > now_ms) {
            return None;
        }
        self.asked = self.ready.drain(..self.ready.len().min(MAX_ACKNOWLEDGED)).collect();
        self.next_short_ms = now_ms + INTERVAL_MS;
        self.rested_ms = self.rested_ms.max(now_ms) + SUSTAINED_MS;
        self.next_ms = self.rested_ms.saturating_sub((BURST - 1) * SUSTAINED_MS);
        Some(self.asked.clone())
    }

    /// Handles the server's answer. After a failure the numbers are sent again, since the server waits for them.
    pub(super) fn answered(&mut self, is_done: bool, now_ms: u64, jitter: f64) {
        let asked = std::mem::take(&mut self.asked);
        if is_done {
            self.backoff = Backoff::default();
        } else if let Some(wait_ms) = self.backoff.fail(now_ms, &SOON, jitter) {
            self.ready.splice(..0, asked);
            self.next_ms = now_ms + wait_ms;
        }
    }

    /// Returns true if a line waits to be sent or answered.
    pub(super) fn is_busy(&self) -> bool {
        !(self.ready.is_empty() && self.asked.is_empty())
    }

    /// Returns the time at which a line can be sent.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let can_go = self.asked.is_empty() && !self.ready.is_empty();
        let is_full = self.ready.len() >= MAX_ACKNOWLEDGED;
        let next_short_ms = if is_full { 0 } else { self.next_short_ms };
        can_go.then_some(self.next_ms.max(next_short_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_mailbox_is_acknowledged_at_once_but_a_flood_is_not() {
        let (mut acknowledging, mut now_ms, mut times) = (Acknowledging::default(), 9_000, vec![]);
        acknowledging.add((0..64 * 200).collect());
        while let Some(due_ms) = acknowledging.next_deadline() {
            now_ms = now_ms.max(due_ms);
            assert_eq!(acknowledging.begin(now_ms).map(|numbers| numbers.len()), Some(64));
            times.push(now_ms);
            acknowledging.answered(true, now_ms, 0.5);
        }
        assert_eq!(times.iter().filter(|time| **time == 9_000).count() as u64, BURST);
        assert_eq!(now_ms, 9_000 + (200 - BURST) * SUSTAINED_MS);
    }

    #[test]
    fn short_lines_keep_their_interval() {
        let mut acknowledging = Acknowledging::default();
        acknowledging.add(vec![1]);
        assert_eq!(acknowledging.begin(1_000), Some(vec![1]));
        acknowledging.answered(true, 1_000, 0.5);
        acknowledging.add(vec![2, 3]);
        assert_eq!(acknowledging.begin(1_049), None);
        assert_eq!(acknowledging.begin(1_050), Some(vec![2, 3]));
    }
}
