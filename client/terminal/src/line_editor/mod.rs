//! A line editor for a terminal with output above the line.
//!
//! No library fits: reedline clears the rows above a line as tall as the window, and queries the terminal for its
//! cursor. reedline and rustyline both block while they wait for keys.
//!
//! * `keys` – bytes in, keys out
//! * `buffer` – the text, its cursor, and edits by grapheme
//! * `line` – a line with history, search and completion: a key in, an outcome out
//! * `screen` – rows on a terminal, drawn with relative moves only
//! * `tty` – the terminal itself: reads, writes, signals
//!
//! Deliberately absent: chats, commands, and any question to the terminal.

mod buffer;
mod keys;
mod line;
mod screen;
mod tty;

use std::ops::Range;

pub(crate) use keys::Key;
pub(crate) use line::{Line, Outcome};
use nu_ansi_term::Style;
pub(crate) use screen::symbol;
pub(crate) use tty::{BRACKETS_OFF, BRACKETS_ON, Input, Tty};

/// The maximum length of a typed or pasted text.
const MAX_TEXT_BYTES: usize = 4 * letschat_protocol::limits::MAX_MESSAGE_BYTES;

/// The styles of a line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    pub(crate) prompt: Style,
    pub(crate) hint: Style,
    pub(crate) known: Style,
    /// True if hints are shown. Without colours a hint would look like typed text.
    pub(crate) has_hints: bool,
}

/// A candidate of a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    /// True if a blank follows it.
    is_word: bool,
}

impl Candidate {
    /// Returns a whole word. A blank follows it when it is the only candidate.
    pub(crate) fn word(value: String, description: Option<String>) -> Candidate {
        Candidate { value, description, is_word: true }
    }

    /// Returns a candidate without a blank behind it, such as a path, which may have blanks itself.
    pub(crate) fn open(value: String) -> Candidate {
        Candidate { value, description: None, is_word: false }
    }
}

/// The language of the lines: completion, hints and highlighting. By default there is none.
pub(crate) trait Assistant {
    /// Returns the candidates for the end of a text, and the offset at which they begin.
    fn candidates(&self, typed: &str) -> (usize, Vec<Candidate>) {
        (typed.len(), Vec::new())
    }

    /// Returns the hint behind a line.
    fn hint(&self, _line: &str) -> Option<String> {
        None
    }

    /// Returns the range of a known word.
    fn known_word(&self, _line: &str) -> Range<usize> {
        0..0
    }
}

/// No completion.
impl Assistant for () {}
