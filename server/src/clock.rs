//! The only place where the server reads a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

pub use letschat_protocol::clock::Now;

/// This moment. The wall clock is asked by way of the C library, where it can be set for one process
/// alone.
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let boot_ms = seconds * 1_000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { boot_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
}
