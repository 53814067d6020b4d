//! What a script or plugin says, on its way to whoever reads it.

use letschat_flags::output::{OutputError, Stream};
use letschat_protocol::rows::{moved_in, wrap};

use super::failure::printable;
use super::limits::LINE_BYTES;
use letschat_core::event::format_rfc3339;
use letschat_flags::clock;

/// Something that a script or plugin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text for people.
    Text(String),
    /// A line for a log: how much it matters, and what.
    Log(&'static str, String),
    /// An error, with where it came from.
    Error(String),
    /// The bell.
    Bell,
}

/// How much a logged line matters, from the least.
pub(super) const LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

/// Where it goes.
pub(super) trait OutputSink {
    /// Says it. It fails if it does not get through to where it goes.
    fn say(&self, said: Said) -> Result<(), OutputError>;
}

/// Standard output for texts, standard error for the rest.
pub(super) struct Streams;

impl OutputSink for Streams {
    fn say(&self, said: Said) -> Result<(), OutputError> {
        let time = || format_rfc3339(clock::now().wall_ms);
        match said {
            Said::Text(text) => write(Stream::Output, &text),
            Said::Log(level, text) => write(Stream::Error, &format!("{} {level} {text}", time())),
            Said::Error(text) => write(Stream::Error, &format!("error: {text}")),
            Said::Bell => Ok(()),
        }
    }
}

/// At a terminal, a text that somebody else may have written begins no line of its own.
fn write(stream: Stream, text: &str) -> Result<(), OutputError> {
    match stream.columns() {
        0 => stream.write_line(text),
        columns => stream.write_line(&wrap(&moved_in(text), columns)),
    }
}

/// A text that is safe for a terminal, and no longer than a line may be.
pub(super) fn bounded(mut text: String) -> String {
    if text.len() > LINE_BYTES {
        let end = (0..=LINE_BYTES).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(" …");
    }
    printable(&text)
}
