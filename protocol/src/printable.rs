//! Text from elsewhere, made safe for a terminal or a log.
//!
//! * `hidden` – which characters are not seen, and where they have a use

use std::fmt::{self, Write as _};

mod hidden;
#[cfg(test)]
mod tests;

/// A tab, as it is shown.
const TAB: &str = "    ";

/// Shows a text with everything that could steer a terminal or mislead a reader as an escape.
///
/// Escaped are control characters (C0, DEL, C1), line and paragraph separators, the bidirectional
/// controls (Unicode UAX #9), every other character that nobody sees (default-ignorable or of the
/// category Format, or drawn blank), private use, noncharacters and what Unicode has not assigned:
/// nobody knows what a font draws for these.
///
/// Some of them pass where Unicode gives them a use: joiners and selectors within an emoji (UTS
/// #51), joiners between letters that they shape (RFC 5892, appendix A), selectors after an
/// ideograph or a Mongolian letter, the blank of Braille beside Braille, and the filler after a
/// Khitan letter. A tab is shown as blanks.
///
/// The result is one line. A backslash stays as it is: the result is for eyes, not for parsing.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = 0;
        for (at, c) in hidden::hidden(self.0) {
            f.write_str(&self.0[written..at])?;
            written = at + c.len_utf8();
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str(TAB)?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
        }
        f.write_str(&self.0[written..])
    }
}

/// Returns the characters that [`Printable`] does not show as they are, with their offsets.
pub fn escaped(text: &str) -> impl Iterator<Item = (usize, char)> {
    hidden::hidden(text)
}

/// Makes JSON safe for a terminal. JSON escapes C0 by itself; everything else that [`Printable`]
/// escapes becomes an escape of JSON's (RFC 8259, section 7): such characters stand nowhere but in
/// strings.
pub fn printable_json(json: String) -> String {
    if is_printable(&json) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    let mut written = 0;
    for (at, c) in hidden::hidden(&json) {
        escaped.push_str(&json[written..at]);
        written = at + c.len_utf8();
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String can't fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped.push_str(&json[written..]);
    escaped
}

/// Whether [`Printable`] shows a text as it is.
pub fn is_printable(text: &str) -> bool {
    hidden::hidden(text).next().is_none()
}

/// Whether a reader sees nothing of a text: it is empty, or has only blanks, controls and
/// characters that are drawn as nothing.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(hidden::is_invisible)
}

/// Whether the text holds a control character (C0, DEL or C1) other than a tab. The server refuses it
/// in broadcasts, which are one line.
pub fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\t')
}

/// Whether a character is one that [`Printable`] escapes unless its neighbours give it a use, or
/// one that is drawn as nothing.
pub fn may_hide(c: char) -> bool {
    hidden::may_hide(c) || c != ' ' && hidden::is_invisible(c)
}
