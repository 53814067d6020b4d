//! The hub's settings.

use letschat_protocol::clock::DAY_MS;

/// The hub's settings, set by the operator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most sessions that can be logged in at once.
    pub places: usize,
    /// The time without a command, a message or a broadcast after which a client is dropped.
    pub idle_ms: u64,
    /// The retention period of broadcasts.
    pub retention_ms: u64,
    /// The number of broadcasts that an account may send at once.
    pub broadcast_burst: u32,
    /// The interval of an account's further broadcasts.
    pub broadcast_interval_ms: u64,
    /// The number of envelopes that an account may post at once. One with many headers counts as
    /// several.
    pub post_burst: u32,
    /// The interval of an account's further envelopes.
    pub post_interval_ms: u64,
    /// The retention period of envelopes that a device has not acknowledged.
    pub mail_retention_ms: u64,
    /// The number of accounts that may be created from one address at once.
    pub sign_up_burst: u32,
    /// The interval of further accounts from one address.
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
            post_burst: 30,
            post_interval_ms: 200,
            mail_retention_ms: 14 * DAY_MS,
            sign_up_burst: 50,
            sign_up_interval_ms: 10_000,
        }
    }
}
