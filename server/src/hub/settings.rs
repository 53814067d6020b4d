//! The hub's settings.

use super::admission::{MAX_WAITING_PER_ADDRESS, PRE_LOGIN_PLACES};
use super::connection::{COMMAND_RATE, PASTE_RATE};
use super::rate::Bucket;
use crate::clients_file::MAX_CLIENTS;
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
    /// The interval of an account's further broadcasts, or 0 for no limit.
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
    /// The most relays at a time.
    pub relays: usize,
    /// True in a classroom: a key's first login creates its account, and all clients know each
    /// other. See [`Settings::in_classroom`].
    pub classroom: bool,
}

impl Settings {
    /// Returns the settings of a classroom: no limit on broadcasts and on idle time, rare limits on
    /// new names, and as many places as there can be clients.
    pub fn in_classroom(self) -> Settings {
        Settings {
            places: self.places.min(MAX_CLIENTS),
            idle_ms: u64::MAX,
            broadcast_interval_ms: 0,
            sign_up_burst: 1_000,
            sign_up_interval_ms: 1_000,
            classroom: true,
            ..self
        }
    }

    /// Returns the rate limit of a connection's commands. A classroom's is wide enough for pasted
    /// text.
    pub(super) fn command_rate(&self) -> Bucket {
        let (burst, interval_ms) = if self.classroom { PASTE_RATE } else { COMMAND_RATE };
        Bucket::new(burst, interval_ms)
    }

    /// Returns the most connections from one address that wait for their login. All of a classroom
    /// may come from one machine, and at once.
    pub(super) fn waiting_per_address(&self) -> usize {
        if self.classroom { PRE_LOGIN_PLACES } else { MAX_WAITING_PER_ADDRESS }
    }
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
            relays: 64,
            classroom: false,
        }
    }
}
