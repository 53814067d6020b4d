//! The current time as a value, passed to all code that makes decisions.

/// A day, in milliseconds.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// One moment on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since boot, including sleep. This clock is never set, so ages and timeouts are
    /// measured with it.
    pub boot_ms: u64,
    /// Milliseconds since the Unix epoch, for display. May jump.
    pub wall_ms: u64,
}
