//! The time as a value, so that everything that decides is handed it.

use serde::{Deserialize, Serialize};

/// One moment on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since the machine booted, sleep included: never set, so ages and timeouts are
    /// measured by it.
    pub boot_ms: u64,
    /// Milliseconds since the Unix epoch: what people are shown. May jump.
    pub wall_ms: u64,
}

impl Now {
    /// This moment.
    pub fn read() -> Now {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Now { boot_ms: milliseconds(boot), wall_ms: milliseconds(wall) }
    }
}

fn milliseconds(time: rustix::time::Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}
