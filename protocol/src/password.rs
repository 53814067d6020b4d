//! What is accepted as a new password. Old ones are never judged, only compared.

use crate::limits::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS};
use crate::printable::has_control;
use crate::username::Username;

/// Why a password is not accepted at sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short to withstand guessing.
    #[error("a password has at least {MIN_PASSWORD_CHARS} characters")]
    TooShort,
    /// Too long.
    #[error("a password has at most {MAX_PASSWORD_CHARS} characters")]
    TooLong,
    /// Control characters can't be typed reliably.
    #[error("a password has no control characters")]
    ControlCharacter,
    /// Few different characters, the username, or one that everybody tries.
    #[error("that password is too easy to guess: it is among the first that are tried")]
    TooSimple,
}

/// Fewer different characters than this is a pattern, not a password.
const MIN_DIFFERENT_CHARS: usize = 4;

/// Judges a new password. By length first, as NIST SP 800-63B, section 5.1.1.2, has it, and
/// against what guessers try first; no rules of composition.
pub fn check(password: &str, username: &Username) -> Result<(), WeakPassword> {
    let length = password.chars().count();
    if length < MIN_PASSWORD_CHARS {
        return Err(WeakPassword::TooShort);
    }
    if length > MAX_PASSWORD_CHARS {
        return Err(WeakPassword::TooLong);
    }
    if has_control(password) {
        return Err(WeakPassword::ControlCharacter);
    }
    let folded = password.to_lowercase();
    let different: std::collections::BTreeSet<char> = folded.chars().collect();
    let is_common = COMMON.contains(&folded.as_str());
    if different.len() < MIN_DIFFERENT_CHARS || folded == username.as_str() || is_common {
        return Err(WeakPassword::TooSimple);
    }
    Ok(())
}

/// The guesses that come first in every list and are long enough to reach this check.
const COMMON: &[&str] = &[
    "12345678",
    "123456789",
    "1234567890",
    "87654321",
    "password",
    "password1",
    "password12",
    "password123",
    "passw0rd",
    "p@ssw0rd",
    "qwertyui",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r",
    "1qaz2wsx",
    "asdfghjk",
    "asdfghjkl",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "letmein1",
    "welcome1",
    "abcdefgh",
    "abcd1234",
    "letschat",
    "changeme",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(password: &str) -> Result<(), WeakPassword> {
        check(password, &"alice.cooper".parse().unwrap())
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(judge("sevenxy"), Err(WeakPassword::TooShort));
        assert_eq!(judge("eightxyz"), Ok(()));
        assert_eq!(judge("дванадцять"), Ok(()));
        assert_eq!(judge(&"abcdefgh".repeat(16)), Ok(()));
        assert_eq!(judge(&("abcdefgh".repeat(16) + "i")), Err(WeakPassword::TooLong));
    }

    #[test]
    fn what_guessers_try_first_is_refused() {
        for password in ["aaaaaaaa", "abababab", "Password", "12345678", "Alice.Cooper"] {
            assert_eq!(judge(password), Err(WeakPassword::TooSimple), "{password}");
        }
    }

    #[test]
    fn spaces_and_any_script_are_fine_but_control_characters_are_not() {
        assert_eq!(judge("correct horse battery +5"), Ok(()));
        assert_eq!(judge("correct\thorse"), Err(WeakPassword::ControlCharacter));
    }
}
