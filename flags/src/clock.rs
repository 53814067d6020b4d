//! The only place where the programs read a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use letschat_protocol::clock::Now;
use rustix::time::{ClockId, clock_gettime};

/// Returns the current time. The boot clock counts while the machine sleeps and is never set. The
/// wall clock is read through the C library, where it can be set for a single process.
#[must_use]
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let boot_ms = seconds * 1_000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { boot_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
}
