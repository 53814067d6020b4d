//! A steady pace.

use std::thread;
use std::time::{Duration, Instant};

/// A pacer for steps at a steady interval. A late step does not wait, so it catches up.
pub struct Pace {
    next: Instant,
    interval: Duration,
}

impl Pace {
    /// Creates a pacer. The first step is due at once.
    pub fn every(interval: Duration) -> Pace {
        Pace { next: Instant::now(), interval }
    }

    /// Waits until the next step is due.
    pub fn wait(&mut self) {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += self.interval;
    }
}
