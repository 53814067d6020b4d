//! What programs put before a text.

/// U+FEFF, which editors and tools put before a text, and nobody sees. A file that went through two of
/// them may have two.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text without the byte order marks that it begins with.
pub fn without_marks(text: &str) -> &str {
    text.trim_start_matches(BYTE_ORDER_MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_at_the_beginning_goes_and_none_within() {
        for (given, left) in
            [("a", "a"), ("\u{feff}\u{feff}a\u{feff}", "a\u{feff}"), ("\u{feff}", "")]
        {
            assert_eq!(without_marks(given), left);
        }
    }
}
