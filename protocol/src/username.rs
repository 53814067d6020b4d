//! Usernames, valid by construction.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_USERNAME_CHARS;

/// An account's name: 1 to 32 of `a`–`z`, `0`–`9`, `_`, `-` and `.`, upper case folded to lower.
///
/// The alphabet is ASCII, so that names in different scripts can't look alike. A name starts with a
/// letter or digit, so that it can't pass for an option or a hidden file. It has a letter or is made of
/// digits alone, so that it can't pass for an address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(Box<str>);

/// The reason why a text is no username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// The text is empty.
    #[error("a username has at least one character")]
    Empty,
    /// The text is longer than [`MAX_USERNAME_CHARS`].
    #[error("a username has at most {MAX_USERNAME_CHARS} characters")]
    TooLong,
    /// The text has a character outside the alphabet.
    #[error("a username is made of the letters a to z, digits, '_', '-' and '.'")]
    ForbiddenCharacter,
    /// The text begins with `_`, `-` or `.`.
    #[error("a username begins with a letter or a digit")]
    BadStart,
    /// The text has no letter but other signs than digits, so it could be read as an address.
    #[error(
        "a username has a letter or is made of digits alone, so that it can't be taken for an address"
    )]
    NoLetter,
}

impl Username {
    /// Returns the name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, UsernameError> {
        if text.is_empty() {
            return Err(UsernameError::Empty);
        }
        if text.chars().nth(MAX_USERNAME_CHARS).is_some() {
            return Err(UsernameError::TooLong);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !text.chars().all(allowed) {
            return Err(UsernameError::ForbiddenCharacter);
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(UsernameError::BadStart);
        }
        let is_number = text.chars().all(|c| c.is_ascii_digit());
        if !is_number && !text.contains(|c: char| c.is_ascii_alphabetic()) {
            return Err(UsernameError::NoLetter);
        }
        Ok(Username(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Username, UsernameError> {
        text.parse()
    }

    #[test]
    fn upper_case_is_the_same_name() {
        assert_eq!(parse("Alice"), parse("alice"));
        let alice = parse("Alice").unwrap();
        assert_eq!((alice.as_str(), format!("{alice:?}").as_str()), ("alice", "\"alice\""));
    }

    #[test]
    fn look_alikes_from_other_scripts_are_refused() {
        // Cyrillic "а", a zero-width joiner, a full-width letter.
        for name in ["\u{430}lice", "al\u{200d}ice", "\u{ff41}lice"] {
            assert_eq!(parse(name), Err(UsernameError::ForbiddenCharacter), "{name:?}");
        }
    }

    #[test]
    fn the_length_is_bounded_on_both_ends() {
        assert_eq!(parse(""), Err(UsernameError::Empty));
        assert!(parse(&"a".repeat(MAX_USERNAME_CHARS)).is_ok());
        assert_eq!(parse(&"a".repeat(MAX_USERNAME_CHARS + 1)), Err(UsernameError::TooLong));
    }

    #[test]
    fn a_name_is_never_an_option_a_hidden_file_or_an_address() {
        assert_eq!(parse("-take"), Err(UsernameError::BadStart));
        assert_eq!(parse("..a"), Err(UsernameError::BadStart));
        assert_eq!(parse("10.0.0.1"), Err(UsernameError::NoLetter));
        assert_eq!(parse("1-2"), Err(UsernameError::NoLetter));
    }

    #[test]
    fn name_may_be_a_number() {
        for name in ["1", "42", "007"] {
            assert_eq!(parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn control_characters_and_spaces_are_refused() {
        for name in ["a b", "a\tb", "a\nb", "a\x1b[31m", "a/b", "a\0"] {
            assert_eq!(parse(name), Err(UsernameError::ForbiddenCharacter), "{name:?}");
        }
    }
}
