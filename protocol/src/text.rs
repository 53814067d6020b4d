//! Byte order marks, which programs put before a text.

/// U+FEFF, an invisible mark that editors and tools put before a text. A file edited twice may have
/// two.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the text without its leading byte order marks.
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
