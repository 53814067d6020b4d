//! A line editor for a terminal that other things write to as well.
//!
//! It is our own because reedline clears the rows above a line as tall as the window and asks the terminal where its
//! cursor is, and because reedline and rustyline both block while they wait for keys.
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
pub(crate) use tty::{BRACKETS_OFF, Input, Tty};

/// A text in bytes, typed or pasted. A longer one is refused.
const MAX_TEXT_BYTES: usize = 4 * letschat_protocol::limits::MAX_MESSAGE_BYTES;

/// The styles of a line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    pub(crate) prompt: Style,
    pub(crate) hint: Style,
    pub(crate) known: Style,
    /// Without colours a hint could be taken for something typed, so that there is none.
    pub(crate) has_hints: bool,
}

/// A word that a line could go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) value: String,
    pub(crate) description: Option<String>,
}

/// The knowledge that an editor lacks about the language of its lines. By default there is none.
pub(crate) trait Assistant {
    /// Returns the words that could stand at the end of a text, and the offset at which they would begin.
    fn candidates(&self, typed: &str) -> (usize, Vec<Candidate>) {
        (typed.len(), Vec::new())
    }

    /// Returns the text to show behind a whole line.
    fn hint(&self, _line: &str) -> Option<String> {
        None
    }

    /// Returns the part of a line that is a known word.
    fn known_word(&self, _line: &str) -> Range<usize> {
        0..0
    }
}

/// No knowledge at all.
impl Assistant for () {}
