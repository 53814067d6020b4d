//! The exit status of a run. The first failure decides.

use letschat_core::codes::FailureCode;

/// All is well.
pub const SUCCESS: u8 = 0;
/// A command failed.
pub const FAILED: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// No server, or none with a place.
pub const NO_SERVER: u8 = 3;
/// The server, or the client on its user's behalf, refused.
pub const REFUSED: u8 = 4;

/// The exit status of a run whose first failure has this code.
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
