//! The only place where the client reads a clock.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::session::Now;

/// This moment. The boot clock goes on while the machine sleeps and is never set.
pub(crate) fn now() -> Now {
    Now {
        boot_ms: milliseconds(clock_gettime(ClockId::Boottime)),
        wall_ms: milliseconds(clock_gettime(ClockId::Realtime)),
    }
}

fn milliseconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}
