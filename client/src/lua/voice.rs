//! What a script or plugin says, on its way to whoever reads it.

use std::io::{self, Write};

use super::failure::printable;
use super::limits::LINE_BYTES;
use crate::clock;
use crate::event::format_rfc3339;

/// Something that a script or plugin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
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
pub(super) trait Voice {
    fn say(&self, said: Said);
}

/// Standard output for texts, standard error for the rest.
pub(super) struct Streams;

impl Voice for Streams {
    /// Whoever does not read what is said misses it: a script has no other way to end well.
    fn say(&self, said: Said) {
        let time = || format_rfc3339(clock::now().wall_ms);
        let _ = match said {
            Said::Text(text) => write(&mut io::stdout().lock(), &text),
            Said::Log(level, text) => {
                write(&mut io::stderr().lock(), &format!("{} {level} {text}", time()))
            }
            Said::Error(text) => write(&mut io::stderr().lock(), &format!("error: {text}")),
            Said::Bell => Ok(()),
        };
    }
}

fn write(output: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(output, "{text}")?;
    output.flush()
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
