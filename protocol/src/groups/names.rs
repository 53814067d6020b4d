//! The ids and names of groups.

use std::fmt;
use std::str::FromStr;

use crate::identity::Fingerprint;

/// The longest name of a group, in characters (all of them ASCII).
const MAX_NAME_CHARS: usize = 32;

/// The id of a group: the SHA-256 of its founding. Written as `#` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub(super) [u8; 32]);

/// A text that is no id of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a group's id is `#` and 64 hexadecimal digits")]
pub struct NotAGroupId;

impl GroupId {
    /// Returns the id with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> GroupId {
        GroupId(bytes)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", Fingerprint::from_bytes(self.0))
    }
}

impl FromStr for GroupId {
    type Err = NotAGroupId;

    fn from_str(text: &str) -> Result<Self, NotAGroupId> {
        let hash = text.strip_prefix('#').and_then(|hash| hash.parse::<Fingerprint>().ok());
        hash.map(|hash| GroupId(*hash.as_bytes())).ok_or(NotAGroupId)
    }
}

/// The name of a group: 1 to 32 of the characters `a-z`, `0-9`, `_`, `-` and `.`. Parsing ignores case, as in
/// usernames. The `#` before it is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(pub(super) String);

/// A text that is no name of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a group's name has 1 to 32 of the characters a-z, 0-9, `_`, `-` and `.`")]
pub struct NotAGroupName;

impl GroupName {
    /// Returns the name as text, without a `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl FromStr for GroupName {
    type Err = NotAGroupName;

    /// Parses a name with or without a `#`.
    fn from_str(text: &str) -> Result<Self, NotAGroupName> {
        let name = text.strip_prefix('#').unwrap_or(text).to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
        let is_name = (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(fits);
        is_name.then_some(GroupName(name)).ok_or(NotAGroupName)
    }
}
