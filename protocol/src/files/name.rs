//! The names of offered files.

use std::fmt;

use crate::printable::{escaped, is_blank, may_hide};

/// The most bytes of an offered name. File systems allow 255.
pub const MAX_OFFERED_NAME_BYTES: usize = 1_024;
/// The most bytes of a reduced name. A number and `.part` fit behind it within 255 bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// The longest extension that is kept when a name is shortened, in bytes with its point.
const MAX_EXTENSION_BYTES: usize = 16;
/// The fallback for a name of which nothing is left.
const NAMELESS: &str = "file";
/// Characters with a meaning in paths, shells or other file systems.
const RESERVED: &[char] = &[':', '*', '?', '"', '<', '>', '|'];

/// A file name that is safe to create in a folder and to show: one component of a path, not hidden, without controls
/// and invisible characters, and of at most [`MAX_NAME_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// Reduces an offered name. Only its last component counts, after `/` and `\` alike.
    pub fn reduced(offered: &str) -> FileName {
        let last = offered.rsplit(['/', '\\']).next().unwrap_or_default();
        let kept = last.chars().filter(|c| *c == ' ' || !(c.is_control() || may_hide(*c)));
        let kept: String = kept.map(|c| if RESERVED.contains(&c) { '_' } else { c }).collect();
        // A name that begins with a point is hidden, and one that begins with a hyphen looks like an option.
        let name = kept.trim_start_matches(|c: char| c == '.' || c == '-' || c.is_whitespace());
        let name = shortened(trimmed_end(name));
        // Without its neighbours a character may be one that is not shown.
        let is_shown = !is_blank(&name) && escaped(&name).next().is_none();
        FileName(if is_shown { name } else { NAMELESS.to_owned() })
    }

    /// Returns the name with a number before its extension, for a folder that has a file of this name: `photo (2).jpg`.
    pub fn numbered(&self, number: u32) -> String {
        let (stem, extension) = split(&self.0);
        format!("{stem} ({number}){extension}")
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits a name before its extension, which has its point. It is empty if there is none, or if it is too long for one.
fn split(name: &str) -> (&str, &str) {
    let at = name.rfind('.').filter(|at| *at > 0 && name.len() - at <= MAX_EXTENSION_BYTES);
    name.split_at(at.unwrap_or(name.len()))
}

fn shortened(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let room = MAX_NAME_BYTES - extension.len();
    let end = (0..=room).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or_default();
    format!("{}{extension}", trimmed_end(&stem[..end]))
}

/// Removes points and blanks at the end, which other systems drop.
fn trimmed_end(name: &str) -> &str {
    name.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reduced(offered: &str) -> String {
        FileName::reduced(offered).to_string()
    }

    #[test]
    fn only_the_last_component_is_kept() {
        for (offered, expected) in [
            ("photo.jpg", "photo.jpg"),
            ("../../x", "x"),
            ("C:\\x", "x"),
            ("C:x", "C_x"),
            (".ssh/config", "config"),
            ("a/b", "b"),
            ("/etc/passwd", "passwd"),
            ("..", "file"),
            (".", "file"),
            ("a/..", "file"),
            ("a/", "file"),
            ("", "file"),
            (" \t ", "file"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("name. . ", "name"),
            ("two words.txt", "two words.txt"),
            ("grüße.txt", "grüße.txt"),
            ("what?*.txt", "what__.txt"),
        ] {
            assert_eq!(reduced(offered), expected, "{offered:?}");
        }
    }

    #[test]
    fn controls_and_bidi_characters_are_left_out() {
        for (offered, expected) in [
            ("a\0b", "ab"),
            ("a\nb\r\x1b[2J", "ab[2J"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("a\u{200b}\u{feff}b", "ab"),
            ("\u{2066}\u{2069}", "file"),
            ("a\u{85}\u{2028}b", "ab"),
        ] {
            assert_eq!(reduced(offered), expected, "{offered:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = format!("{}.tar", "x".repeat(300));
        assert_eq!(reduced(&long), format!("{}.tar", "x".repeat(196)));
        let wide = reduced(&format!("{}.jpg", "ü".repeat(200)));
        assert!(wide.len() <= MAX_NAME_BYTES && wide.ends_with("ü.jpg"), "{wide}");
        assert_eq!(reduced(&"x".repeat(300)).len(), MAX_NAME_BYTES);
    }

    #[test]
    fn number_goes_before_the_extension() {
        assert_eq!(FileName::reduced("photo.jpg").numbered(2), "photo (2).jpg");
        assert_eq!(FileName::reduced("photo").numbered(3), "photo (3)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_name_becomes_a_safe_one(
            offered in prop_oneof![
                any::<String>(),
                "[./\\\\a:~ \u{202e}\u{0}\u{200d}-]{0,20}",
                "[a-zü.]{150,400}",
            ],
        ) {
            let name = reduced(&offered);
            prop_assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES);
            prop_assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with(['.', '-']));
            prop_assert!(crate::printable::is_printable(&name), "{:?}", name);
            prop_assert_eq!(reduced(&name), name.clone());
        }
    }
}
