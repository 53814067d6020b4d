//! The hub's settings.

/// The settings that an operator can change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sessions that can be logged in at once.
    pub places: usize,
    /// A client is dropped after this long without a command, a message or a broadcast.
    pub idle_ms: u64,
    /// A broadcast is kept for this long.
    pub retention_ms: u64,
    /// Broadcasts that an account may send at once.
    pub broadcast_burst: u32,
    /// After that, one in each such time.
    pub broadcast_interval_ms: u64,
    /// Accounts that may be made from one address at once.
    pub sign_up_burst: u32,
    /// After that, one in each such time.
    pub sign_up_interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            places: 50,
            idle_ms: 60 * 60_000,
            retention_ms: 30 * 60_000,
            broadcast_burst: 5,
            broadcast_interval_ms: 2_000,
            sign_up_burst: 50,
            sign_up_interval_ms: 10_000,
        }
    }
}
