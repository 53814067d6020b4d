//! Something at a steady pace.

use std::thread;
use std::time::{Duration, Instant};

/// Lets somebody go on at a steady pace; who is late does not wait, and so catches up.
pub struct Pace {
    next: Instant,
    interval: Duration,
}

impl Pace {
    /// The first step is at once.
    pub fn every(interval: Duration) -> Pace {
        Pace { next: Instant::now(), interval }
    }

    /// Returns when the next step is due.
    pub fn wait(&mut self) {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += self.interval;
    }
}
