//! What a program has printed, as it stands on a terminal at the end.

use std::num::NonZeroU16;

use vt100::{Parser, Screen};

const ROWS: NonZeroU16 = NonZeroU16::new(60).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// Nobody types there any more.
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";

/// The last rows of it.
pub(crate) fn screen(recording: &str) -> Screen {
    let mut terminal = Parser::new(ROWS, COLUMNS, 0);
    // The last line's end would be one more row.
    terminal.process(recording.trim_end().replace('\n', "\r\n").as_bytes());
    terminal.process(HIDE_CURSOR);
    terminal.screen().clone()
}
