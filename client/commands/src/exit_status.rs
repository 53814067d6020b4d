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
        FailureCode::SlowDown
        | FailureCode::StoreUnavailable
        | FailureCode::NotHere
        | FailureCode::Ambiguous
        | FailureCode::NoReceiver
        | FailureCode::Malformed
        | FailureCode::BadArguments
        | FailureCode::UnknownCommand
        | FailureCode::WrongPhase
        | FailureCode::NameInvalid
        | FailureCode::NameTaken
        | FailureCode::PasswordWeak
        | FailureCode::PasswordsDiffer
        | FailureCode::TextTooLong
        | FailureCode::TextInvalid
        | FailureCode::Lost
        | FailureCode::Terminated
        | FailureCode::Idle
        | FailureCode::Replaced
        | FailureCode::Kicked
        | FailureCode::Penalty
        | FailureCode::WrongAnswers
        | FailureCode::TooSlow
        | FailureCode::NotReading
        | FailureCode::Flood
        | FailureCode::Silent
        | FailureCode::NoAccount
        | FailureCode::WhichAccount
        | FailureCode::AccountInUse
        | FailureCode::AlreadyLoggedIn
        | FailureCode::AlreadyLoggingIn
        | FailureCode::NotLoggedIn
        | FailureCode::TooManyWaiting
        | FailureCode::Cancelled
        | FailureCode::Quitting
        | FailureCode::Ended
        | FailureCode::Folder
        | FailureCode::NotSaved
        | FailureCode::NotListed
        | FailureCode::Blocked
        | FailureCode::TooMany
        | FailureCode::UnknownPeer
        | FailureCode::NothingToTrust
        | FailureCode::Denied
        | FailureCode::NoAnswer
        | FailureCode::PeerBusy
        | FailureCode::NotIntroduced
        | FailureCode::Unreachable
        | FailureCode::WrongKey
        | FailureCode::HungUp
        | FailureCode::Protocol
        | FailureCode::Withdrawn
        | FailureCode::ChatOpen
        | FailureCode::NoChat
        | FailureCode::NobodySuch
        | FailureCode::WhichOne
        | FailureCode::TooManyUnconfirmed
        | FailureCode::PasswordFile
        | FailureCode::NoPassword
        | FailureCode::HeldBack
        | FailureCode::NoPlugins
        | FailureCode::Plugin
        | FailureCode::Limit
        | FailureCode::Lua
        | FailureCode::Module
        | FailureCode::Store
        | FailureCode::Client => FAILED,
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
