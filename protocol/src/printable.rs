//! Untrusted text, made safe for a terminal or a log.
//!
//! * `hidden` – the characters that a reader does not see, and the contexts that give them a use

use std::fmt::{self, Write as _};

mod hidden;
#[cfg(test)]
mod tests;

/// The replacement of a tab.
const TAB: &str = "    ";

/// A text shown with escapes for everything that could control a terminal or mislead a reader.
///
/// Escaped are control characters (C0, DEL, C1), line and paragraph separators, and the
/// bidirectional controls (Unicode UAX #9). So is every other invisible character: those that are
/// default-ignorable, of the category Format, or drawn blank. Private use, noncharacters and
/// unassigned code points are escaped because fonts may draw anything for them.
///
/// Some of them pass where Unicode gives them a use:
///
/// * joiners and selectors within an emoji (UTS #51)
/// * joiners between letters that they shape (RFC 5892, appendix A)
/// * selectors after an ideograph or a Mongolian letter
/// * the Braille blank beside Braille, and the filler after a Khitan letter
///
/// A tab is shown as blanks.
///
/// The result is one line. Backslashes are not escaped: the result is for reading, not for parsing.
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

/// Makes JSON safe for a terminal. JSON already escapes C0. Everything else that [`Printable`]
/// escapes becomes a JSON escape (RFC 8259, section 7), since such characters occur only in
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

/// Returns true if [`Printable`] shows the text unchanged.
pub fn is_printable(text: &str) -> bool {
    hidden::hidden(text).next().is_none()
}

/// Returns true if a reader sees nothing of the text: it is empty, or has only blanks, controls and
/// invisible characters.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(hidden::is_invisible)
}

/// Returns true if the text holds a control character (C0, DEL or C1) other than a tab. The server
/// refuses it in broadcasts, which are one line.
pub fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\t')
}

/// Returns true for a character that [`Printable`] escapes unless its context gives it a use, and
/// for an invisible one.
pub fn may_hide(c: char) -> bool {
    hidden::may_hide(c) || c != ' ' && hidden::is_invisible(c)
}
