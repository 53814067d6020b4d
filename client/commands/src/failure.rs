//! The failure of a command: a code for programs and a sentence for people.

use letschat_core::codes::FailureCode;
use serde::Serialize;

use crate::text;

/// The failure of a command, serialised as the `"error"` of a JSON reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A stable code for programs.
    pub code: FailureCode,
    /// A sentence that says what happened and what to do.
    pub message: String,
}

impl Failure {
    /// Creates a failure.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

/// Converts the failure of a request to the client.
impl From<letschat_core::failure::Failure> for Failure {
    fn from(why: letschat_core::failure::Failure) -> Failure {
        Failure { code: why.code(), message: text::failure(&why) }
    }
}
