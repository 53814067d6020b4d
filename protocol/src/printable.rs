//! Text from elsewhere, made safe for a terminal or a log.

use std::fmt;

/// Shows a text with everything that could steer a terminal or mislead a reader as an escape.
///
/// Escaped are the control characters (C0, DEL, C1), the line and paragraph separators, the
/// bidirectional controls (Unicode UAX #9) and characters of no width that hide in words. What
/// comes out is one line. A backslash stays as it is: the result is for eyes, not for parsing.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = 0;
        for (at, c) in self.0.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            f.write_str(&self.0[written..at])?;
            written = at + c.len_utf8();
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
        }
        f.write_str(&self.0[written..])
    }
}

/// Makes JSON safe for a terminal. JSON escapes C0 by itself; everything else that a terminal or a
/// reader could fall for becomes an escape too (RFC 8259, section 7): such characters stand
/// nowhere but in strings.
pub fn printable_json(json: String) -> String {
    if !json.contains(is_unsafe) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether the text holds a control character (C0, DEL or C1), which the server refuses in names
/// and broadcasts because a session typed by hand shows its bytes raw.
pub fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether a character could steer a terminal or mislead a reader: what [`Printable`] escapes.
pub fn is_unsafe(c: char) -> bool {
    // Nearly all text; the rest is only looked at for what is none of this.
    if matches!(c, ' '..='~') {
        return false;
    }
    c.is_control()
        || matches!(c,
            '\u{ad}'                      // soft hyphen
            | '\u{34f}'                   // combining grapheme joiner
            | '\u{61c}'                   // Arabic letter mark
            | '\u{115f}' | '\u{1160}'     // Hangul fillers
            | '\u{17b4}' | '\u{17b5}'     // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}'     // Mongolian selectors and separator
            | '\u{200b}' | '\u{200c}'     // zero width space and non-joiner
            | '\u{200e}' | '\u{200f}'     // left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}'     // separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}'     // word joiner, isolates, deprecated controls
            | '\u{3164}' | '\u{ffa0}'     // Hangul fillers
            | '\u{feff}'                  // byte order mark
            | '\u{fff9}'..='\u{fffb}'     // interlinear annotation
            | '\u{e0000}'..='\u{e007f}')  // tags
        || c == '\u{200d}' // zero width joiner: emoji families fall apart, words can't hide
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_arrive_as_text() {
        assert_eq!(Printable("\x1b[2J\x07").to_string(), "\\u{1b}[2J\\u{7}");
        assert_eq!(Printable("a\u{9b}31mb\x7f").to_string(), "a\\u{9b}31mb\\u{7f}");
    }

    #[test]
    fn lines_stay_one_line() {
        assert_eq!(Printable("a\r\nb\u{2028}c").to_string(), "a\\r\\nb\\u{2028}c");
    }

    #[test]
    fn bidi_and_zero_width_are_visible() {
        assert_eq!(Printable("a\u{202e}b\u{200b}c").to_string(), "a\\u{202e}b\\u{200b}c");
    }

    #[test]
    fn json_stays_what_it_was_and_holds_nothing_unsafe() {
        let json = printable_json("\"a\u{7f}\u{9b}\u{202e}\u{e0041}ß\"".into());
        assert_eq!(json, r#""a\u007f\u009b\u202e\udb40\udc41ß""#);
    }

    #[test]
    fn ordinary_text_of_any_script_is_untouched() {
        let text = "Grüße, Привет, 你好, مرحبا 👍🏽 — \\ok";
        assert_eq!(Printable(text).to_string(), text);
    }

    proptest! {
        #[test]
        fn nothing_unsafe_comes_out(text in "\\PC*|[\\x00-\\x1f\u{7f}-\u{9f}\u{200b}-\u{2064}]*") {
            let shown = Printable(&text).to_string();
            prop_assert!(!shown.chars().any(is_unsafe));
        }
    }
}
