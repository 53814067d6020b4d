//! The exit status of a run. The first failure determines it.

use letschat_core::codes::FailureCode;

/// No command failed.
pub const SUCCESS: u8 = 0;
/// A command failed.
pub const FAILED: u8 = 1;
/// The command line is invalid.
pub const USAGE: u8 = 2;
/// There is no server, or none with a free place.
pub const NO_SERVER: u8 = 3;
/// The server refused, or the client refused on its user's behalf.
pub const REFUSED: u8 = 4;

/// Returns the exit status for a run's first failure.
pub fn of_failure(code: FailureCode) -> u8 {
    match code {
        FailureCode::NoServer | FailureCode::Busy => NO_SERVER,
        FailureCode::WrongPassword
        | FailureCode::KeyRefused
        | FailureCode::Banned
        | FailureCode::Nobody
        | FailureCode::Yourself
        | FailureCode::ServerKeyChanged
        | FailureCode::ServerKeyUnknown
        | FailureCode::LoggedInElsewhere
        | FailureCode::KeyChanged
        | FailureCode::NoKey => REFUSED,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_is_nothing_special_is_a_failed_command() {
        assert_eq!(of_failure(FailureCode::NoServer), 3);
        assert_eq!(of_failure(FailureCode::Banned), 4);
        let others = [FailureCode::NameTaken, FailureCode::BadArguments, FailureCode::NotHere];
        for code in others {
            assert_eq!(of_failure(code), 1, "{code}");
        }
    }
}
