//! The time as a value: whatever decides is handed it.

/// One moment on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the machine booted, sleep included: never set, so ages and timeouts are
    /// measured by it.
    pub boot_ms: u64,
    /// Milliseconds since the Unix epoch: what people are shown. May jump.
    pub wall_ms: u64,
}
