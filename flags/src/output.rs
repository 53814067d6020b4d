//! Standard output and standard error, with write errors reported, and the width of a terminal.
//!
//! A closed pipe (EPIPE) is no failure, because a reader such as `head` may stop early. Any other
//! failure ends a program with one sentence on standard error and status 1.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use rustix::termios::tcgetwinsize;

/// The width to assume for a terminal that does not report one.
const UNKNOWN_COLUMNS: usize = 60;

/// An output stream of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// A failed write to an output stream.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be written: {source}", stream.name())]
pub struct OutputError {
    stream: Stream,
    source: io::Error,
}

impl OutputError {
    /// Returns true if the write failed because the reader closed the pipe.
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

    /// Writes a text and flushes it.
    ///
    /// # Errors
    ///
    /// Fails if the system reports an error or the reader has closed the pipe.
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

    /// Writes a text and a line end in one piece.
    ///
    /// # Errors
    ///
    /// Fails if the system reports an error or the reader has closed the pipe.
    pub fn write_line(self, text: &str) -> Result<(), OutputError> {
        self.write(&format!("{text}\n"))
    }

    /// Returns the width of the terminal behind the stream, or 0 if there is no terminal.
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

    /// Returns true for a terminal. The answer is cached for writing line by line to a pipe or a
    /// file.
    fn is_terminal(self) -> bool {
        static OUTPUT: OnceLock<bool> = OnceLock::new();
        static ERROR: OnceLock<bool> = OnceLock::new();
        match self {
            Stream::Output => *OUTPUT.get_or_init(|| io::stdout().is_terminal()),
            Stream::Error => *ERROR.get_or_init(|| io::stderr().is_terminal()),
        }
    }
}

/// Prints the requested text. Succeeds too if the reader closes the pipe early.
///
/// # Errors
///
/// Fails if the system reports an error.
pub fn print(text: &str) -> Result<(), OutputError> {
    match Stream::Output.write(text) {
        Err(error) if error.is_not_read() => Ok(()),
        result => result,
    }
}

/// Prints an error to standard error. A failure to print is ignored: there is nowhere left to
/// report it.
pub fn complain(program: &str, what: impl Display) {
    let _ = Stream::Error.write_line(&format!("{program}: {what}"));
}
