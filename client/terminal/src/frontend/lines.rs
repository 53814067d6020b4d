//! Standard input, a line at a time.
//!
//! A thread reads, since terminals, pipes and files can't all be awaited. It reads only on request,
//! so that it takes no keys while a password is being asked for.

use std::io::{self, BufRead, Write as _};
use std::thread;

use async_channel::{Receiver, Sender};
use letschat_protocol::text::without_marks;

use super::{Entry, Input};
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// The maximum length of a line; longer ones are skipped. It fits the largest message with every character escaped.
const MAX_LINE_BYTES: usize = 128 * 1024;

/// A result of reading.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// A line without its end.
    Text(String),
    /// A line that is not accepted, and the expected form.
    Malformed(String),
}

/// The lines of standard input as entries.
pub(crate) struct Entries {
    lines: Lines,
    read: fn(&str) -> Option<Entry>,
}

impl Entries {
    /// Starts to read. `read` parses a line into an entry, or ignores it.
    pub(crate) fn start(read: fn(&str) -> Option<Entry>) -> Entries {
        Entries { lines: Lines::start(), read }
    }
}

impl Input for Entries {
    async fn next(&mut self) -> Option<Entry> {
        loop {
            match self.lines.next().await? {
                Line::Malformed(what) => {
                    let failure = Failure::new(FailureCode::Malformed, what);
                    return Some(Entry::Malformed { id: None, failure });
                }
                Line::Text(text) => {
                    if let Some(entry) = (self.read)(&text) {
                        return Some(entry);
                    }
                }
            }
        }
    }

    /// Shows the question on standard error, which is a terminal when a person types.
    async fn ask(&mut self, question: &str) -> Option<String> {
        let mut terminal = io::stderr().lock();
        writeln!(terminal, "{question}").and_then(|()| terminal.flush()).ok()?;
        drop(terminal);
        match self.lines.next().await? {
            Line::Text(text) => Some(text),
            Line::Malformed(_) => None,
        }
    }
}

/// Standard input.
struct Lines {
    wanted: Sender<()>,
    lines: Receiver<Line>,
    /// True while a line is requested and has not been received.
    is_asked: bool,
}

impl Lines {
    /// Starts the thread. It ends with the process or its input, since a read can't be cancelled.
    fn start() -> Lines {
        let (wanted, asked) = async_channel::bounded(1);
        let (lines_in, lines) = async_channel::bounded(1);
        let read = move || {
            let mut input = io::stdin().lock();
            while asked.recv_blocking().is_ok() {
                // A read error ends the input.
                let Ok(Some(line)) = read_line(&mut input) else {
                    return;
                };
                if lines_in.send_blocking(line).is_err() {
                    return;
                }
            }
        };
        // If no thread starts, the receiver sees the end of input.
        let _ = thread::Builder::new().name("input".into()).spawn(read);
        Lines { wanted, lines, is_asked: false }
    }

    /// Returns the next line, or `None` at the end. The future may be dropped.
    async fn next(&mut self) -> Option<Line> {
        if !self.is_asked {
            self.wanted.send(()).await.ok()?;
            self.is_asked = true;
        }
        let line = self.lines.recv().await.ok()?;
        self.is_asked = false;
        Some(line)
    }
}

/// Reads a line of at most [`MAX_LINE_BYTES`]. Returns `None` at the end.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut is_too_long = false;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(chunk.len());
        if chunk.is_empty() && line.is_empty() && !is_too_long {
            return Ok(None);
        }
        is_too_long |= line.len() + taken > MAX_LINE_BYTES;
        if is_too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(&chunk[..taken]);
        }
        let is_last = end.is_some() || chunk.is_empty();
        let consumed = taken + usize::from(end.is_some());
        input.consume(consumed);
        if is_last {
            break;
        }
    }
    Ok(Some(if is_too_long {
        Line::Malformed(format!("Expected a line of at most {MAX_LINE_BYTES} bytes."))
    } else {
        match String::from_utf8(line) {
            // Nobody types it; it is half a character of UTF-16.
            Ok(text) if text.contains('\0') => {
                Line::Malformed("Expected a line without NULs.".into())
            }
            Ok(text) => Line::Text(without_marks(&text).to_owned()),
            Err(_) => Line::Malformed("Expected a line of UTF-8 text.".into()),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Read};

    /// All lines of an input that comes in chunks of this size.
    fn lines(input: &[u8], chunk_bytes: usize) -> Vec<Line> {
        let mut input = BufReader::with_capacity(chunk_bytes, input);
        std::iter::from_fn(|| read_line(&mut input).unwrap()).collect()
    }

    fn text(line: &str) -> Line {
        Line::Text(line.into())
    }

    #[test]
    fn lines_are_the_same_in_any_chunking() {
        for chunk_bytes in [1, 3, 100] {
            let expected = [text("one"), text(""), text("two"), text("no end")];
            assert_eq!(lines(b"one\n\ntwo\nno end", chunk_bytes), expected);
            assert_eq!(lines(b"", chunk_bytes), []);
            assert_eq!(lines(b"\n", chunk_bytes), [text("")]);
        }
    }

    #[test]
    fn line_that_is_too_long_or_no_text_is_skipped() {
        let long = [&vec![b'x'; MAX_LINE_BYTES + 1][..], b"\nnext"].concat();
        let read = lines(&long, 4096);
        assert!(matches!(&read[..], [Line::Malformed(_), next] if *next == text("next")));
        let longest = vec![b'x'; MAX_LINE_BYTES];
        assert!(matches!(&lines(&longest, 4096)[..], [Line::Text(_)]));
        for no_text in [&b"\xff\xfe\nnext"[..], b"\xff\xfel\0i\0\nnext", b"\0l\0i\nnext"] {
            let read = lines(no_text, 4096);
            assert!(matches!(&read[..], [Line::Malformed(_), next] if *next == text("next")));
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let read = lines("\u{feff}list\n\u{feff}\u{feff}{\na\u{feff}b".as_bytes(), 4096);
        assert_eq!(read, [text("list"), text("{"), text("a\u{feff}b")]);
    }

    #[test]
    fn an_endless_line_is_an_error_and_not_growth() {
        let endless = std::io::repeat(b'x').take(64 * 1024 * 1024);
        let mut input = BufReader::new(endless);
        assert!(matches!(read_line(&mut input), Ok(Some(Line::Malformed(_)))));
        assert!(matches!(read_line(&mut input), Ok(None)));
    }
}
