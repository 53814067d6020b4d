//! The time as a value, so that everything that decides is handed it.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// One moment on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the machine booted, sleep included: never set, so ages and timeouts are
    /// measured by it.
    pub boot_ms: u64,
    /// Milliseconds since the Unix epoch: what people are shown. May jump.
    pub wall_ms: u64,
}

impl Now {
    /// This moment. The wall clock is asked by way of the C library, where it can be set for one
    /// process alone.
    pub fn read() -> Now {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
        let boot_ms = seconds * 1_000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { boot_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }
}
