//! What stands in a line of a trace.

use serde::{Deserialize, Serialize};

use crate::clock::Now;
use crate::hub::{Birth, Input, Settings};
use crate::store::StoredLog;

/// By turns: what was heard, what was done.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// A server starts.
    Born(Box<Born>),
    /// The hub is handed this.
    Heard { now: Now, input: Input },
    /// The [outline](super::outline) of what it did.
    Did(String),
}

/// All that a hub knows at first.
#[derive(Serialize, Deserialize)]
pub(super) struct Born {
    /// Of the program: another one may decide otherwise.
    pub(super) version: String,
    pub(super) settings: Settings,
    pub(super) birth: Birth,
    pub(super) log: StoredLog,
    pub(super) now: Now,
}
