//! What a program has printed, as it stands on a terminal at the end.

use std::num::NonZeroU16;

use vt100::{Parser, Screen};

const ROWS: NonZeroU16 = NonZeroU16::new(60).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// Nobody types there any more.
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";

/// The last rows of it.
pub(crate) fn screen(recording: &str) -> Screen {
    screen_of(recording, ROWS, COLUMNS)
}

/// The whole of it, as wide as the terminals of people.
pub(crate) fn short_screen(recording: &str) -> Screen {
    let rows = recording.trim_end().lines().count();
    let rows = u16::try_from(rows).ok().and_then(NonZeroU16::new).unwrap_or(ROWS);
    screen_of(recording, rows, NonZeroU16::new(80).unwrap_or(COLUMNS))
}

fn screen_of(recording: &str, rows: NonZeroU16, columns: NonZeroU16) -> Screen {
    let mut terminal = Parser::new(rows, columns, 0);
    // The last line's end would be one more row.
    terminal.process(recording.trim_end().replace('\n', "\r\n").as_bytes());
    terminal.process(HIDE_CURSOR);
    terminal.screen().clone()
}
