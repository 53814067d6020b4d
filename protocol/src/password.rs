//! Passwords: their normal form, their format in files, and the rules for new ones.
//!
//! Existing passwords are only compared, never checked against the rules.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::limits::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS};
use crate::text::without_marks;
use crate::username::Username;

/// The reason why a new password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short to withstand guessing.
    #[error("a password has at least {MIN_PASSWORD_CHARS} characters")]
    TooShort,
    /// Too long.
    #[error("a password has at most {MAX_PASSWORD_CHARS} characters")]
    TooLong,
    /// A control character, which can't be typed reliably.
    #[error("a password has no control characters")]
    ControlCharacter,
    /// Too few different characters, the username, or a common password.
    #[error("that password is too easy to guess: it is among the first that are tried")]
    TooSimple,
}

/// The least number of different characters in a password.
const MIN_DIFFERENT_CHARS: usize = 4;

/// The most that NFC normalisation lengthens UTF-8 text (Unicode UAX #15, section 10).
const MAX_GROWTH: usize = 3;

/// Returns the form in which passwords are hashed and compared: the OpaqueString profile of RFC
/// 8265, section 4.2, without its refusals. Every space becomes U+0020, and the text is in NFC, so
/// that keyboards that write `é` differently produce the same password.
pub fn normalized(password: &str) -> Zeroizing<String> {
    // Growing the buffer would leave copies of the password in memory.
    let mut normal = Zeroizing::new(String::with_capacity(password.len() * MAX_GROWTH));
    if password.is_ascii() {
        normal.push_str(password);
    } else {
        normal.extend(password.chars().map(plain_space).nfc());
    }
    normal
}

/// Replaces every other space (category Zs) by U+0020.
fn plain_space(c: char) -> char {
    match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            ' '
        }
        c => c,
    }
}

/// Returns true if two passwords have the same normal form.
pub fn are_same(one: &str, other: &str) -> bool {
    normalized(one) == normalized(other)
}

/// Returns the password of a file: its first line, without the byte order marks and the carriage
/// return that editors add.
pub fn of_file(text: &str) -> &str {
    let text = without_marks(text);
    let line = text.split_once('\n').map_or(text, |(line, _)| line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Checks the normal form of a new password by its length first, then against common guesses (NIST
/// SP 800-63B, section 5.1.1.2). There are no rules of composition.
pub fn check(password: &str, username: &Username) -> Result<(), WeakPassword> {
    let password = normalized(password);
    let length = password.chars().count();
    if length < MIN_PASSWORD_CHARS {
        return Err(WeakPassword::TooShort);
    }
    if length > MAX_PASSWORD_CHARS {
        return Err(WeakPassword::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(WeakPassword::ControlCharacter);
    }
    let folded = Zeroizing::new(password.to_lowercase());
    let different: BTreeSet<char> = folded.chars().collect();
    let is_common = COMMON.contains(&folded.as_str());
    if different.len() < MIN_DIFFERENT_CHARS || *folded == username.as_str() || is_common {
        return Err(WeakPassword::TooSimple);
    }
    Ok(())
}

/// Common guesses that are long enough to pass the check of length.
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
    fn one_password_has_one_normal_form() {
        for (given, normal) in [
            ("plain ascii", "plain ascii"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("caf\u{e9}", "caf\u{e9}"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            ("a\u{a0}b\u{3000}c\u{2003}d", "a b c d"),
            // Normalisation keeps compatibility characters and case: they make passwords stronger.
            ("\u{fb01}Fi", "\u{fb01}Fi"),
            ("a\u{200b}b", "a\u{200b}b"),
        ] {
            assert_eq!(*normalized(given), normal, "{given:?}");
        }
    }

    #[test]
    fn passwords_are_compared_in_their_normal_form() {
        assert!(are_same("cafe\u{301} noir", "caf\u{e9}\u{a0}noir"));
        assert!(!are_same("cafe noir", "caf\u{e9} noir"));
    }

    #[test]
    fn normal_form_never_outgrows_its_memory() {
        for c in char::MIN..=char::MAX {
            let given = c.to_string();
            assert!(normalized(&given).len() <= given.len() * MAX_GROWTH, "{given:?}");
        }
    }

    #[test]
    fn new_password_is_judged_in_its_normal_form() {
        // Eight characters as typed are four in the normal form.
        assert_eq!(judge("e\u{301}o\u{301}a\u{301}i\u{301}"), Err(WeakPassword::TooShort));
        let spaced = "\u{a0}".repeat(4) + &" ".repeat(4);
        assert_eq!(judge(&spaced), Err(WeakPassword::TooSimple));
    }

    #[test]
    fn password_of_a_file_is_its_first_line() {
        for (text, password) in [
            ("a b \nc", "a b "),
            ("a\r\n", "a"),
            ("a", "a"),
            ("\u{feff}a\r\nb", "a"),
            ("\u{feff}", ""),
            ("\u{feff}\u{feff}\u{feff}a\n", "a"),
            ("\na", ""),
            ("", ""),
            ("a\rb\n", "a\rb"),
            ("a\u{feff}", "a\u{feff}"),
        ] {
            assert_eq!(of_file(text), password, "{text:?}");
        }
    }

    #[test]
    fn spaces_and_any_script_are_fine_but_no_control_characters() {
        assert_eq!(judge("correct horse battery +5"), Ok(()));
        assert_eq!(judge("correct\thorse"), Err(WeakPassword::ControlCharacter));
    }
}
