//! A failed command: a code for programs, a sentence for people.

use letschat_core::codes::FailureCode;
use serde::Serialize;

use crate::text;

/// Why a command failed. Serialised as the `"error"` of a JSON reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A stable word for programs.
    pub code: FailureCode,
    /// One sentence that says what happened and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

/// A request to the client failed.
impl From<letschat_core::failure::Failure> for Failure {
    fn from(why: letschat_core::failure::Failure) -> Failure {
        Failure { code: why.code(), message: text::failure(&why) }
    }
}
