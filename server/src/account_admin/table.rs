//! Reads a CSV file (RFC 4180) of accounts, row by row.
//!
//! Rows and cells are bounded, so that a hostile file can't exhaust memory. The buffers hold
//! passwords and are wiped.

use std::io::{self, ErrorKind, Read};
use std::str::Utf8Error;

use csv_core::{ReadRecordResult, Reader};
use zeroize::Zeroizing;

/// The longest row, in bytes. A name with its password or hash needs less than a sixth.
const MAX_ROW_BYTES: usize = 4 * 1024;
/// The most cells of a row. Only three columns are known; more cells are an error.
const MAX_CELLS: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// The reason why a file can't be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    #[error("line {line}: the row has more than {MAX_ROW_BYTES} bytes; is a quote left open?")]
    LongRow { line: u64 },
    #[error("line {line}: the row has more than {MAX_CELLS} cells")]
    ManyCells { line: u64 },
}

/// A row, and the number of its first line.
pub(super) struct Row<'a> {
    pub(super) line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl Row<'_> {
    /// Returns the cells without their quotes.
    pub(super) fn cells(&self) -> Result<Vec<&str>, Utf8Error> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(self.ends).map(|(begin, end)| str::from_utf8(&self.text[begin..*end])).collect()
    }
}

/// The rows of a file. Empty lines are skipped.
pub(super) struct Table<R> {
    source: R,
    chunk: Zeroizing<Vec<u8>>,
    /// The start of the chunk's unread part.
    begin: usize,
    end: usize,
    /// The line of the next byte, from 1.
    line: u64,
    parser: Reader,
    row: Zeroizing<Vec<u8>>,
    ends: [usize; MAX_CELLS],
}

impl<R: Read> Table<R> {
    /// Starts to read, after any byte order marks.
    pub(super) fn new(source: R) -> Result<Table<R>, TableError> {
        let mut table = Table {
            source,
            chunk: Zeroizing::new(vec![0; CHUNK_BYTES]),
            begin: 0,
            end: 0,
            line: 1,
            parser: Reader::new(),
            row: Zeroizing::new(vec![0; MAX_ROW_BYTES]),
            ends: [0; MAX_CELLS],
        };
        table.fill_to(UTF8_MARK.len())?;
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] =
            &table.chunk[..table.end]
        {
            return Err(TableError::Utf16);
        }
        while table.chunk[..table.end].starts_with(UTF8_MARK) {
            table.chunk.copy_within(UTF8_MARK.len()..table.end, 0);
            table.end -= UTF8_MARK.len();
            table.fill_to(UTF8_MARK.len())?;
        }
        Ok(table)
    }

    /// Reads until this many bytes are buffered or the file ends.
    fn fill_to(&mut self, bytes: usize) -> io::Result<()> {
        while self.end < bytes && self.fill()? {}
        Ok(())
    }

    /// Returns the next row, or `None` at the end.
    pub(super) fn next_row(&mut self) -> Result<Option<Row<'_>>, TableError> {
        self.skip_line_ends()?;
        let line = self.line;
        let (mut length, mut cells) = (0, 0);
        loop {
            if self.begin == self.end {
                self.begin = 0;
                self.end = 0;
                // The parser takes an empty input for the end of the file.
                self.fill()?;
            }
            let input = &self.chunk[self.begin..self.end];
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut self.row[length..], &mut self.ends[cells..]);
            self.line += line_ends(&input[..read]);
            self.begin += read;
            length += written;
            cells += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => return Err(TableError::LongRow { line }),
                ReadRecordResult::OutputEndsFull => return Err(TableError::ManyCells { line }),
                ReadRecordResult::Record => {
                    let (text, ends) = (&self.row[..length], &self.ends[..cells]);
                    return Ok(Some(Row { line, text, ends }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Skips line ends. The parser would skip them too, but without counting them in the row's line
    /// number.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let unread = &self.chunk[self.begin..self.end];
            let skipped = unread.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.line += line_ends(&unread[..skipped]);
            self.begin += skipped;
            if self.begin < self.end {
                return Ok(());
            }
            self.begin = 0;
            self.end = 0;
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Reads more bytes. Returns `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            match self.source.read(&mut self.chunk[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.end += read;
                    return Ok(read > 0);
                }
            }
        }
    }
}

fn line_ends(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that returns one byte at a time, as a slow pipe may.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(1);
            self.0.read(&mut buffer[..count])
        }
    }

    fn rows_of(source: impl Read) -> Result<Vec<(u64, Vec<String>)>, TableError> {
        let mut table = Table::new(source)?;
        let mut rows = Vec::new();
        while let Some(row) = table.next_row()? {
            rows.push((row.line, row.cells().unwrap().into_iter().map(str::to_owned).collect()));
        }
        Ok(rows)
    }

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        let whole = rows_of(text.as_bytes()).unwrap();
        assert_eq!(whole, rows_of(Slow(text.as_bytes())).unwrap(), "{text:?}");
        whole
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn quotes_hold_commas_quotes_and_line_breaks() {
        let expected = [row(1, &["a", "1,2"]), row(2, &["b", "x\"y"]), row(3, &["c", "l\r\nm"])];
        assert_eq!(rows("a,\"1,2\"\r\nb,\"x\"\"y\"\r\nc,\"l\r\nm\"\r\n"), expected);
    }

    #[test]
    fn lines_are_counted_over_breaks_and_empty_lines() {
        let expected = [row(2, &["a", "1\n\n2"]), row(7, &["b", "2"])];
        assert_eq!(rows("\r\na,\"1\n\n2\"\r\n\n\nb,2"), expected);
    }

    #[test]
    fn mark_and_missing_final_newline_change_nothing() {
        for text in ["a,b", "a,b\n", "a,b\r\n", "\u{feff}a,b", "\u{feff}\u{feff}\"a\",b\r\n\r\n"] {
            assert_eq!(rows(text).last().unwrap().1, ["a", "b"], "{text:?}");
        }
        for text in ["", "\u{feff}", "\u{feff}\u{feff}", "\n", "\r\n\r\n"] {
            assert_eq!(rows(text), [], "{text:?}");
        }
    }

    #[test]
    fn utf_16_is_named() {
        for text in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0,\0", b"\0a\0,"] {
            assert!(matches!(rows_of(text), Err(TableError::Utf16)), "{text:?}");
        }
    }

    #[test]
    fn endless_line_is_refused_after_few_bytes() {
        let endless = b"a,b\n".chain(io::repeat(b'x'));
        assert!(matches!(rows_of(endless), Err(TableError::LongRow { line: 2 })));
        let open_quote = b"a,b\na,\"".chain(io::repeat(b'\n'));
        assert!(matches!(rows_of(open_quote), Err(TableError::LongRow { line: 2 })));
        let cells = io::repeat(b',');
        assert!(matches!(rows_of(cells), Err(TableError::ManyCells { line: 1 })));
    }
}
