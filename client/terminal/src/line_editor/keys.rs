//! Parses bytes from a terminal into keys. The sequences are those of ECMA-48 and xterm.

use std::str::from_utf8;

use super::MAX_TEXT_BYTES;

/// The time after which an escape without a continuation is the Escape key.
const LONE_ESCAPE_MS: u64 = 50;

/// The silence after which a paste or a sequence without its end is over.
const SILENCE_MS: u64 = 1_000;

/// The maximum length of a sequence.
const MAX_SEQUENCE_BYTES: usize = 4_096;

const ESCAPE: u8 = 0x1b;
const CTRL_C: u8 = 0x03;
const PASTE_END: &[u8] = b"\x1b[201~";

/// A key, or a pasted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// Ctrl with a lower-case letter or a sign.
    Ctrl(char),
    /// Alt with any character; `\r` is Enter and `\x7f` Backspace.
    Alt(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Esc,
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    PageUp,
    PageDown,
    /// Alt or Ctrl with an arrow.
    FarUp,
    FarDown,
    /// A function key.
    F(u8),
    /// A click of the mouse at this column and row, from 0.
    Click(u16, u16),
    WheelUp,
    WheelDown,
    /// The window has got the focus, or lost it.
    Focus(bool),
    /// A pasted text with `\n` as line ends. It may contain other control characters.
    Paste(String),
    /// A dropped paste of more than [`MAX_TEXT_BYTES`].
    PasteTooLong,
    /// A paste that Ctrl+C cancelled.
    PasteCalledOff,
}

/// The beginning of an incomplete key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    paste: Option<Paste>,
    /// Set after silence or Ctrl+C ended a paste: the rest of it, which may still come, is not typed.
    cut_short: Option<CutShort>,
    fed_ms: u64,
}

/// The treatment of the late rest of a paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutShort {
    /// It becomes another paste.
    BySilence,
    /// It is dropped.
    ByCtrlC,
}

#[derive(Debug, Default)]
struct Paste {
    bytes: Vec<u8>,
    is_too_long: bool,
    /// It was cancelled, or began before a question.
    is_dropped: bool,
}

/// A parsed piece of the input.
enum Token {
    Key(Key),
    PasteStart,
    Nothing,
}

impl Keys {
    /// Parses bytes, and returns the complete keys.
    pub(super) fn feed(&mut self, bytes: &[u8], now_ms: u64) -> Vec<Key> {
        self.fed_ms = now_ms;
        self.bytes.extend_from_slice(bytes);
        if let Some(cut_short) = self.cut_short {
            self.look_for_rest(cut_short);
        }
        let mut keys = Vec::new();
        loop {
            if self.paste.is_some() {
                let Some(key) = self.take_paste() else { break };
                keys.push(key);
                continue;
            }
            if self.bytes.is_empty() {
                break;
            }
            let Some((token, length)) = token(&self.bytes) else { break };
            self.bytes.drain(..length);
            match token {
                Token::Key(key) => keys.push(key),
                Token::PasteStart => self.paste = Some(Paste::default()),
                Token::Nothing => {}
            }
        }
        keys
    }

    /// Returns the time at which [`Keys::flush`] is due.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let wait_ms = match (&self.paste, &self.bytes[..]) {
            (Some(_), _) => SILENCE_MS,
            (None, []) => return None,
            (None, [ESCAPE] | [ESCAPE, _]) => LONE_ESCAPE_MS,
            (None, [ESCAPE, ..]) => SILENCE_MS,
            (None, _) => LONE_ESCAPE_MS,
        };
        Some(self.fed_ms + wait_ms)
    }

    /// Returns the key of the pending bytes, if their continuation is overdue.
    pub(super) fn flush(&mut self, now_ms: u64) -> Option<Key> {
        self.next_deadline().filter(|due_ms| *due_ms <= now_ms)?;
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(mut paste) = self.paste.take() {
            paste.push(&bytes);
            self.cut_short = Some(CutShort::BySilence);
            return Some(paste.into_key());
        }
        match bytes[..] {
            [ESCAPE] => Some(Key::Esc),
            [ESCAPE, letter] if letter.is_ascii() => Some(Key::Alt(letter.into())),
            [ESCAPE, ..] => None,
            _ => Some(Key::Char(char::REPLACEMENT_CHARACTER)),
        }
    }

    /// Drops the pending bytes, and all of a paste that has begun.
    pub(super) fn discard(&mut self) {
        self.bytes.clear();
        if let Some(paste) = &mut self.paste {
            paste.is_dropped = true;
        }
    }

    /// Recognises the late rest of a paste: bytes with the paste's end, or with a line end and more bytes after it,
    /// which are too fast for typing. A single line end at the end counts as typed.
    fn look_for_rest(&mut self, cut_short: CutShort) {
        let has_end = self.bytes.windows(PASTE_END.len()).any(|bytes| bytes == PASTE_END);
        let line_end = self.bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let is_typed = line_end.is_some_and(|end| end + 1 == self.bytes.len());
        if has_end || line_end.is_some() && !is_typed {
            let is_dropped = cut_short == CutShort::ByCtrlC;
            self.paste = Some(Paste { is_dropped, ..Paste::default() });
        }
        if has_end || is_typed {
            self.cut_short = None;
        }
    }

    /// Continues a paste, and returns it at its end. Ctrl+C as the last byte cancels it; within
    /// the pasted text it is a part of it.
    fn take_paste(&mut self) -> Option<Key> {
        let paste = self.paste.as_mut()?;
        let end = self.bytes.windows(PASTE_END.len()).position(|bytes| bytes == PASTE_END);
        if let Some(end) = end {
            paste.push(&self.bytes[..end]);
            self.bytes.drain(..end + PASTE_END.len());
            return self.paste.take().map(Paste::into_key);
        }
        if self.bytes.last() == Some(&CTRL_C) {
            self.bytes.clear();
            self.paste = None;
            self.cut_short = Some(CutShort::ByCtrlC);
            return Some(Key::PasteCalledOff);
        }
        let may_end = (0..PASTE_END.len()).rev();
        let kept = may_end.filter(|length| self.bytes.ends_with(&PASTE_END[..*length])).max();
        let taken = self.bytes.len() - kept.unwrap_or(0);
        paste.push(&self.bytes[..taken]);
        self.bytes.drain(..taken);
        None
    }
}

impl Paste {
    fn push(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.bytes.len() + bytes.len() > MAX_TEXT_BYTES;
        if !self.is_too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn into_key(self) -> Key {
        if self.is_dropped {
            return Key::PasteCalledOff;
        }
        if self.is_too_long {
            return Key::PasteTooLong;
        }
        let text = String::from_utf8_lossy(&self.bytes);
        Key::Paste(text.replace("\r\n", "\n").replace('\r', "\n"))
    }
}

/// Parses the first key, and returns its length too. Returns `None` if more bytes are needed.
fn token(bytes: &[u8]) -> Option<(Token, usize)> {
    let key = match bytes[0] {
        ESCAPE => return escape(bytes),
        0 => return Some((Token::Nothing, 1)),
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x08 | 0x7f => Key::Backspace,
        letter @ 1..=0x1a => Key::Ctrl((letter + b'a' - 1).into()),
        sign @ 0x1c..=0x1f => Key::Ctrl((sign + b'@').into()),
        _ => {
            let (letter, length) = letter(bytes)?;
            return Some((Token::Key(Key::Char(letter)), length));
        }
    };
    Some((Token::Key(key), 1))
}

/// Returns the first character, or U+FFFD for invalid bytes.
fn letter(bytes: &[u8]) -> Option<(char, usize)> {
    let first = &bytes[..bytes.len().min(4)];
    let valid = match from_utf8(first) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() == 0 => {
            return Some((char::REPLACEMENT_CHARACTER, error.error_len()?));
        }
        Err(error) => from_utf8(&first[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map(|letter| (letter, letter.len_utf8()))
}

fn escape(bytes: &[u8]) -> Option<(Token, usize)> {
    match bytes.get(1)? {
        b'[' => control_sequence(bytes),
        b'O' => Some((named(*bytes.get(2)?, 1, false), 3)),
        b']' | b'P' | b'X' | b'^' | b'_' => string(bytes),
        b'\r' | b'\n' => Some((Token::Key(Key::Alt('\r')), 2)),
        0x08 | 0x7f => Some((Token::Key(Key::Alt('\x7f')), 2)),
        0..0x20 => Some((Token::Key(Key::Esc), 1)),
        _ => {
            let (letter, length) = letter(&bytes[1..])?;
            Some((Token::Key(Key::Alt(letter)), 1 + length))
        }
    }
}

/// Parses a CSI sequence. A control character within it ends it.
fn control_sequence(bytes: &[u8]) -> Option<(Token, usize)> {
    if bytes.get(2) == Some(&b'[') {
        // A function key of the Linux console.
        return bytes.get(3).map(|letter| {
            let key = match letter {
                b'A'..=b'E' => Token::Key(Key::F(letter - b'A' + 1)),
                _ => Token::Nothing,
            };
            (key, 4)
        });
    }
    let is_last = |byte: &u8| !matches!(byte, 0x20..=0x3f);
    let Some(length) = bytes[2..].iter().position(is_last) else {
        return is_endless(bytes).then_some((Token::Nothing, bytes.len()));
    };
    let (parameters, last) = (&bytes[2..2 + length], bytes[2 + length]);
    if last == b'M' && parameters.is_empty() {
        // A mouse event in the old form: three bytes follow.
        return bytes.get(5).map(|_| (Token::Nothing, 6));
    }
    if !matches!(last, 0x40..=0x7e) {
        return Some((Token::Nothing, 2 + length));
    }
    let parameters = from_utf8(parameters).unwrap_or_default();
    if let Some(mouse) = parameters.strip_prefix('<') {
        return Some((mouse_event(mouse, last), 3 + length));
    }
    let mut numbers = parameters.split(';').map(|number| number.parse().unwrap_or(1_u16));
    let (first, modifiers) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    // Alt and Ctrl; Shift is ignored.
    let is_modified = modifiers.saturating_sub(1) & 0b110 != 0;
    Some((named(last, first, is_modified), 3 + length))
}

/// Parses a mouse event in xterm's SGR form: the button, the column and the row, from 1.
fn mouse_event(parameters: &str, last: u8) -> Token {
    let numbers: Vec<u16> =
        parameters.split(';').filter_map(|number| number.parse().ok()).collect();
    let key = match (&numbers[..], last) {
        ([0, column, row], b'M') => Key::Click(column.saturating_sub(1), row.saturating_sub(1)),
        ([64, ..], b'M') => Key::WheelUp,
        ([65, ..], b'M') => Key::WheelDown,
        _ => return Token::Nothing,
    };
    Token::Key(key)
}

fn named(last: u8, number: u16, is_modified: bool) -> Token {
    let key = match (last, number) {
        (b'A', _) if is_modified => Key::FarUp,
        (b'B', _) if is_modified => Key::FarDown,
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if is_modified => Key::WordRight,
        (b'D', _) if is_modified => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'I', _) => Key::Focus(true),
        (b'O', _) => Key::Focus(false),
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 3) if is_modified => Key::Alt('d'),
        (b'~', 3) => Key::Delete,
        (b'~', 5) => Key::PageUp,
        (b'~', 6) => Key::PageDown,
        (b'P'..=b'S', 1) => Key::F(last - b'P' + 1),
        (b'~', 11..=15) => Key::F(number as u8 - 10),
        (b'~', 17..=21) => Key::F(number as u8 - 11),
        (b'~', 23 | 24) => Key::F(number as u8 - 12),
        (b'M', _) => Key::Enter,
        (b'~', 200) => return Token::PasteStart,
        _ => return Token::Nothing,
    };
    Token::Key(key)
}

/// Skips a string sequence, such as OSC, to its terminator.
fn string(bytes: &[u8]) -> Option<(Token, usize)> {
    let is_end = |byte: &u8| *byte < 0x20;
    let Some(length) = bytes[2..].iter().position(is_end) else {
        return is_endless(bytes).then_some((Token::Nothing, bytes.len()));
    };
    let end = 2 + length;
    match bytes[end] {
        0x07 => Some((Token::Nothing, end + 1)),
        ESCAPE if *bytes.get(end + 1)? == b'\\' => Some((Token::Nothing, end + 2)),
        _ => Some((Token::Nothing, end)),
    }
}

fn is_endless(bytes: &[u8]) -> bool {
    bytes.len() > MAX_SEQUENCE_BYTES
}

#[cfg(test)]
mod tests;
