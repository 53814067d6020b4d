//! Bounded lines from a terminal or a pipe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal as _, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

/// The longest line that a terminal passes on, longer than any valid command or text.
const MAX_LINE_BYTES: usize = 4 * 1024;

/// The interval of checks for the foreground, of which the system sends no notice.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

const STANDARD_INPUT: &str = "/proc/self/fd/0";

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    /// A line over the limit, none of which was kept.
    TooLong {
        bytes: u64,
    },
    NotUtf8,
}

/// Reads a line. Returns `None` at the end of the input.
pub(super) fn next_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut kept = Vec::new();
    let mut bytes = 0;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() && bytes == 0 {
            return Ok(None);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        let room = MAX_LINE_BYTES - kept.len();
        kept.extend_from_slice(&part[..part.len().min(room)]);
        bytes += part.len() as u64;
        let is_whole = end.is_some() || available.is_empty();
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if is_whole {
            return Ok(Some(line(kept, bytes)));
        }
    }
}

fn line(kept: Vec<u8>, bytes: u64) -> Line {
    if bytes > kept.len() as u64 {
        return Line::TooLong { bytes };
    }
    String::from_utf8(kept).map_or(Line::NotUtf8, Line::Text)
}

/// Standard input from a terminal or a pipe.
pub(super) struct Source {
    file: File,
    /// A writer of our own, so that a named FIFO stays open. It would be at its end whenever its
    /// last writer has gone.
    _writer: Option<File>,
}

impl Source {
    /// Returns standard input if it is a terminal or a pipe.
    pub(super) fn standard_input() -> io::Result<Option<Source>> {
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if file.is_terminal() {
            return Ok(Some(Source { file, _writer: None }));
        }
        if !file.metadata()?.file_type().is_fifo() {
            return Ok(None);
        }
        Ok(Some(Source { file, _writer: writer() }))
    }
}

impl Source {
    /// Returns true in a terminal's background. Reading there would stop the whole process
    /// (SIGTTIN), and the input is meant for the foreground process.
    fn is_in_background(&self) -> bool {
        // Without a terminal there is no foreground.
        tcgetpgrp(&self.file).is_ok_and(|foreground| foreground != getpgrp())
    }
}

/// Opens a named FIFO for writing. A pipe without a name (`pipe:[4026]`) simply ends, and so does a
/// FIFO without write permission after its last writer.
fn writer() -> Option<File> {
    let has_name = fs::read_link(STANDARD_INPUT).ok()?.is_absolute();
    let open = || OpenOptions::new().read(true).write(true).open(STANDARD_INPUT).ok();
    has_name.then(open)?
}

impl Read for Source {
    /// Reads from the input. Ctrl+D at a terminal is not the end, since more can be typed after it,
    /// but a terminal that is gone is. The input may have been opened non-blocking.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            poll(&mut [PollFd::new(&self.file, PollFlags::IN)], None)?;
            if self.is_in_background() {
                thread::sleep(LOOK_AGAIN);
                continue;
            }
            match self.file.read(buffer) {
                Ok(0) if self.file.is_terminal() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Line> {
        std::iter::from_fn(|| next_line(&mut input).unwrap()).collect()
    }

    fn text(text: &str) -> Line {
        Line::Text(text.into())
    }

    #[test]
    fn a_line_ends_where_it_ends_or_with_the_input() {
        assert_eq!(lines(b"one\n\ntwo"), [text("one"), text(""), text("two")]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_one_line() {
        let mut input = io::BufReader::with_capacity(3, &b"hello everybody\nlist\n"[..]);
        assert_eq!(next_line(&mut input).unwrap(), Some(text("hello everybody")));
        assert_eq!(next_line(&mut input).unwrap(), Some(text("list")));
        assert_eq!(next_line(&mut input).unwrap(), None);
    }

    #[test]
    fn a_longer_line_is_refused_whole_and_the_next_is_read() {
        let longest = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(lines(format!("{longest}\nlist\n").as_bytes()), [text(&longest), text("list")]);
        let over = lines(format!("{longest}y\nlist\n").as_bytes());
        assert_eq!(over, [Line::TooLong { bytes: MAX_LINE_BYTES as u64 + 1 }, text("list")]);
    }

    #[test]
    fn of_an_endless_line_no_more_is_kept_than_fits() {
        let endless = [&[b'x'; 100 * 1024], &b"\nlist"[..]].concat();
        let mut input = io::BufReader::with_capacity(1_000, endless.as_slice());
        let refused = Line::TooLong { bytes: 100 * 1024 };
        assert_eq!(next_line(&mut input).unwrap(), Some(refused));
        assert_eq!(next_line(&mut input).unwrap(), Some(text("list")));
    }

    #[test]
    fn what_is_not_utf_8_is_no_text() {
        assert_eq!(lines(b"caf\xe9\nlist\n"), [Line::NotUtf8, text("list")]);
    }
}
