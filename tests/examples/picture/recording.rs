//! A program's recorded output as a terminal shows it at the end.

use std::num::NonZeroU16;

use vt100::{Parser, Screen};

const ROWS: NonZeroU16 = NonZeroU16::new(60).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// The width of the other terminals.
const SHORT: NonZeroU16 = NonZeroU16::new(80).unwrap();

/// Hides the cursor, since the program has ended.
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";

/// Returns the last rows of the recording.
pub(crate) fn screen(recording: &str) -> Screen {
    screen_of(recording, ROWS, COLUMNS)
}

/// Returns the whole recording, at the width of the other terminals.
pub(crate) fn short_screen(recording: &str) -> Screen {
    // A long line goes on in the next row.
    let rows_of = |line: &str| line.chars().count().max(1).div_ceil(usize::from(SHORT.get()));
    let rows = recording.trim_end().lines().map(rows_of).sum::<usize>();
    let rows = u16::try_from(rows).ok().and_then(NonZeroU16::new).unwrap_or(ROWS);
    screen_of(recording, rows, SHORT)
}

fn screen_of(recording: &str, rows: NonZeroU16, columns: NonZeroU16) -> Screen {
    let mut terminal = Parser::new(rows, columns, 0);
    // A final line end would add an empty row.
    terminal.process(recording.trim_end().replace('\n', "\r\n").as_bytes());
    terminal.process(HIDE_CURSOR);
    terminal.screen().clone()
}
