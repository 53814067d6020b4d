//! The output of scripts and plugins.

use letschat_flags::output::{OutputError, Stream};
use letschat_protocol::rows::{moved_in, wrap};

use super::failure::printable;
use super::limits::LINE_BYTES;
use letschat_core::event::format_rfc3339;
use letschat_flags::clock;

/// One piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Text for people.
    Text(String),
    /// A log line: its level and its text.
    Log(&'static str, String),
    /// An error with its traceback.
    Error(String),
    /// The terminal's bell.
    Bell,
}

/// The log levels, lowest first.
pub(super) const LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

/// A destination for output.
pub(super) trait OutputSink {
    /// Writes one piece of output. Fails if the destination is closed or returns an error.
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

/// Writes text. At a terminal its continuation lines are indented: they may come from other people.
fn write(stream: Stream, text: &str) -> Result<(), OutputError> {
    match stream.columns() {
        0 => stream.write_line(text),
        columns => stream.write_line(&wrap(&moved_in(text), columns)),
    }
}

/// Makes a text safe for a terminal and cuts it to the length of a line.
pub(super) fn bounded(mut text: String) -> String {
    if text.len() > LINE_BYTES {
        let end = (0..=LINE_BYTES).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(" …");
    }
    printable(&text)
}
