//! Standard output and standard error: writes whose failures count, and the width of a terminal.
//!
//! A reader that has gone (EPIPE) is no failure: whoever has read enough may hang up. Any other
//! failure ends a program with one sentence on standard error and status 1.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use rustix::termios::tcgetwinsize;

/// The columns of a terminal that does not tell how many it has.
const UNKNOWN_COLUMNS: usize = 60;

/// One of the two streams that a program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What was written did not get through.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be written: {source}", stream.name())]
pub struct OutputError {
    stream: Stream,
    source: io::Error,
}

impl OutputError {
    /// Whether it failed because nobody reads any more.
    pub fn is_not_read(&self) -> bool {
        self.source.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Output => "standard output",
            Stream::Error => "standard error",
        }
    }

    /// Writes a text and hands it to the system.
    ///
    /// # Errors
    ///
    /// The system refused it, or nobody reads any more.
    pub fn write(self, text: &str) -> Result<(), OutputError> {
        let written = match self {
            Stream::Output => {
                let mut output = io::stdout().lock();
                output.write_all(text.as_bytes()).and_then(|()| output.flush())
            }
            Stream::Error => io::stderr().lock().write_all(text.as_bytes()),
        };
        written.map_err(|source| OutputError { stream: self, source })
    }

    /// Writes a text and the end of its line, in one piece.
    ///
    /// # Errors
    ///
    /// The system refused it, or nobody reads any more.
    pub fn write_line(self, text: &str) -> Result<(), OutputError> {
        self.write(&format!("{text}\n"))
    }

    /// The columns of the terminal behind the stream; 0 if there is no terminal.
    pub fn columns(self) -> usize {
        if !self.is_terminal() {
            return 0;
        }
        let size = match self {
            Stream::Output => tcgetwinsize(io::stdout()),
            Stream::Error => tcgetwinsize(io::stderr()),
        };
        match size.map_or(0, |size| usize::from(size.ws_col)) {
            0 => UNKNOWN_COLUMNS,
            columns => columns,
        }
    }

    /// What is written to a pipe or a file, line by line, asks only once.
    fn is_terminal(self) -> bool {
        static OUTPUT: OnceLock<bool> = OnceLock::new();
        static ERROR: OnceLock<bool> = OnceLock::new();
        match self {
            Stream::Output => *OUTPUT.get_or_init(|| io::stdout().is_terminal()),
            Stream::Error => *ERROR.get_or_init(|| io::stderr().is_terminal()),
        }
    }
}

/// Prints what a program was asked for; well done, too, if nobody reads it to its end.
///
/// # Errors
///
/// The system refused it.
pub fn print(text: &str) -> Result<(), OutputError> {
    match Stream::Output.write(text) {
        Err(error) if error.is_not_read() => Ok(()),
        result => result,
    }
}

/// Says on standard error what is wrong. That this fails changes nothing: there is nowhere left to
/// say so.
pub fn complain(program: &str, what: impl Display) {
    let _ = Stream::Error.write_line(&format!("{program}: {what}"));
}
