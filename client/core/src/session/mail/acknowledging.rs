//! Acknowledgements of deliveries: one line at a time, and no more than 20 in a second, whatever arrives. A server
//! reads no more from a client, and closes the connection of one that sends many more.

use letschat_protocol::limits::MAX_ACKNOWLEDGED;

use crate::session::backoff::{Backoff, SOON};

/// The shortest interval of two acknowledgements.
const INTERVAL_MS: u64 = 50;

/// The deliveries that can be acknowledged.
#[derive(Debug, Default)]
pub(super) struct Acknowledging {
    ready: Vec<u64>,
    /// The numbers of the line that the server has not answered.
    asked: Vec<u64>,
    /// The earliest time of the next line.
    next_ms: u64,
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
        self.next_ms = now_ms + INTERVAL_MS;
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
        (self.asked.is_empty() && !self.ready.is_empty()).then_some(self.next_ms)
    }
}
