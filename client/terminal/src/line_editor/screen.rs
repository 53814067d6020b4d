//! A prompt and its line as rows of a terminal, with a status above and a list below them.
//!
//! This module breaks the rows itself, never the terminal's edge: each character counts with its largest width
//! in any terminal. To place the cursor, its row is written again up to it. So the output does not depend on the
//! terminal's widths, and no query is needed.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use letschat_protocol::printable::{Printable, escaped};
use letschat_protocol::rows::most_columns;
use nu_ansi_term::Style;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{Candidate, Look};

/// The mark before each further line of a text.
const NEXT_LINE: &str = "| ";

const TAB: &str = "    ";

/// The prompt, its line, and the texts around it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    /// The row above the prompt, cut at its end. Without a text there is no row.
    pub(crate) status: String,
    pub(crate) prompt: String,
    pub(crate) text: String,
    /// An offset in the text.
    pub(crate) cursor: usize,
    /// A known word in the text.
    pub(crate) known: Range<usize>,
    /// The hint behind the text, cut at the end of its row.
    pub(crate) hint: String,
    /// The list below the text, cut at the window's height.
    pub(crate) list: Vec<Candidate>,
    pub(crate) look: Look,
}

/// The size of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// The rows on the terminal, and the cursor in them. Without rows the cursor is in the first
/// column.
#[derive(Debug, Default)]
pub(super) struct Screen {
    drawn: Vec<String>,
    cursor_row: usize,
    window: Option<Window>,
}

/// The rows of a scene.
struct Picture {
    rows: Vec<String>,
    cursor_row: usize,
    /// The text of the cursor's row, up to the cursor.
    before_cursor: String,
}

impl Scene {
    /// Returns the scene with this text in a row above the prompt. A scene that is left on the screen has none.
    pub(crate) fn with_status(self, status: String) -> Scene {
        Scene { status, ..self }
    }
}

impl Screen {
    /// Replaces the drawn scene: at most one row less than the window has, around the
    /// cursor.
    pub(super) fn draw(&mut self, scene: &Scene, window: Window, output: &mut String) {
        let max_rows = window.rows.saturating_sub(1).max(1);
        let mut picture = Picture::new(scene, window.columns, max_rows);
        picture.clip(max_rows);
        self.show(picture, window, output);
    }

    /// Draws the prompt and the whole text, of any height, and leaves them on the screen.
    pub(super) fn leave(&mut self, scene: &Scene, window: Window, output: &mut String) {
        let mut picture = Picture::new(scene, window.columns, 0);
        // A last row for the cursor only.
        picture.rows.pop_if(|row| row.is_empty());
        picture.cursor_row = picture.rows.len().saturating_sub(1);
        picture.before_cursor = picture.rows.last().cloned().unwrap_or_default();
        self.show(picture, window, output);
        output.push_str("\r\n");
        self.forget();
    }

    /// Erases the drawn rows.
    pub(super) fn erase(&mut self, output: &mut String) {
        if !self.drawn.is_empty() {
            move_up(self.cursor_row, output);
            output.push_str("\r\x1b[J");
            self.forget();
        }
    }

    /// Forgets the drawn rows, after another program has used the terminal.
    pub(super) fn forget(&mut self) {
        self.drawn.clear();
        self.cursor_row = 0;
    }

    fn show(&mut self, picture: Picture, window: Window, output: &mut String) {
        let is_resized = self.window.replace(window) != Some(window);
        let pairs = self.drawn.iter().zip(&picture.rows);
        let same = pairs.take_while(|(old, new)| old == new && !is_resized).count();
        let is_changed = same < self.drawn.len().max(picture.rows.len());
        if is_changed {
            // A row that is drawn already and stays.
            let last = self.drawn.len().min(picture.rows.len()).saturating_sub(1);
            let first = same.min(last);
            move_between(self.cursor_row, first, output);
            output.push_str("\r\x1b[J");
            output.push_str(&picture.rows[first..].join("\r\n"));
            self.cursor_row = picture.rows.len() - 1;
        }
        if !(is_changed && picture.has_cursor_at_end()) {
            move_between(self.cursor_row, picture.cursor_row, output);
            output.push('\r');
            output.push_str(&picture.before_cursor);
        }
        self.cursor_row = picture.cursor_row;
        self.drawn = picture.rows;
    }
}

fn move_between(from: usize, to: usize, output: &mut String) {
    move_up(from.saturating_sub(to), output);
    move_down(to.saturating_sub(from), output);
}

fn move_up(rows: usize, output: &mut String) {
    if rows > 0 {
        // Writing to a String can't fail.
        let _ = write!(output, "\x1b[{rows}A");
    }
}

fn move_down(rows: usize, output: &mut String) {
    if rows > 0 {
        let _ = write!(output, "\x1b[{rows}B");
    }
}

impl Picture {
    /// Lays out a scene, with its status and as much of its list as fit into this number of rows.
    fn new(scene: &Scene, columns: usize, max_rows: usize) -> Picture {
        let look = &scene.look;
        let mut rows = Rows::new(columns);
        rows.write(&scene.prompt, look.prompt);
        let mut cursor = None;
        for (at, piece) in pieces(&scene.text) {
            if piece == "\n" {
                cursor = cursor.or((at >= scene.cursor).then(|| rows.place()));
                rows.begin_row();
                rows.write(NEXT_LINE, look.prompt);
                continue;
            }
            let is_known = scene.known.contains(&at);
            rows.make_room(&piece);
            cursor = cursor.or((at >= scene.cursor).then(|| rows.place()));
            rows.write(&piece, if is_known { look.known } else { Style::new() });
        }
        let (cursor_row, before_cursor) = cursor.unwrap_or_else(|| {
            rows.make_room(" ");
            rows.place()
        });
        let room = columns.saturating_sub(rows.column);
        rows.write(&cut(&scene.hint, room), look.hint);
        let mut picture = Picture { rows: rows.finish(), cursor_row, before_cursor };
        picture.put_status(scene, columns, max_rows);
        let room = max_rows.saturating_sub(picture.rows.len());
        picture.rows.extend(list(scene, columns, room));
        picture
    }

    /// Puts the status above the other rows, unless these or a list need its place.
    fn put_status(&mut self, scene: &Scene, columns: usize, max_rows: usize) {
        let status = cut(&scene.status, columns);
        let needed = self.rows.len() + usize::from(!scene.list.is_empty());
        if !status.is_empty() && needed < max_rows {
            let status = scene.look.hint.paint(status.as_str()).to_string();
            self.rows.insert(0, status);
            self.cursor_row += 1;
        }
    }

    fn has_cursor_at_end(&self) -> bool {
        self.cursor_row + 1 == self.rows.len() && self.rows.last() == Some(&self.before_cursor)
    }

    /// Keeps at most this number of rows, around the cursor.
    fn clip(&mut self, max_rows: usize) {
        let hidden = self.rows.len().saturating_sub(max_rows);
        let above = self.cursor_row.saturating_sub(max_rows / 2).min(hidden);
        self.rows.drain(..above);
        self.rows.truncate(max_rows);
        self.cursor_row -= above;
    }
}

/// A writer of rows.
struct Rows {
    columns: usize,
    rows: Vec<String>,
    /// The next column in the last row.
    column: usize,
    style: Style,
}

impl Rows {
    fn new(columns: usize) -> Rows {
        Rows { columns, rows: vec![String::new()], column: 0, style: Style::new() }
    }

    fn begin_row(&mut self) {
        self.set_style(Style::new());
        self.rows.push(String::new());
        self.column = 0;
    }

    /// Begins a row if this piece does not fit into the present one.
    fn make_room(&mut self, piece: &str) {
        if self.column + most_columns(piece).min(self.columns) > self.columns {
            self.begin_row();
        }
    }

    fn write(&mut self, text: &str, style: Style) {
        for grapheme in text.graphemes(true) {
            if most_columns(grapheme) <= self.columns {
                self.put(grapheme, style);
                continue;
            }
            for letter in grapheme.chars() {
                let letter = if most_columns(letter.encode_utf8(&mut [0; 4])) > self.columns {
                    '?'
                } else {
                    letter
                };
                self.put(letter.encode_utf8(&mut [0; 4]), style);
            }
        }
    }

    fn put(&mut self, piece: &str, style: Style) {
        self.make_room(piece);
        self.set_style(style);
        self.last().push_str(piece);
        self.column += most_columns(piece);
    }

    fn set_style(&mut self, style: Style) {
        if style != self.style {
            let change = format!("{}{}", self.style.suffix(), style.prefix());
            self.last().push_str(&change);
            self.style = style;
        }
    }

    /// Returns the index of the present row, and its text so far.
    fn place(&self) -> (usize, String) {
        let text = self.rows.last().cloned().unwrap_or_default();
        (self.rows.len() - 1, format!("{text}{}", self.style.suffix()))
    }

    fn finish(mut self) -> Vec<String> {
        self.set_style(Style::new());
        self.rows
    }

    fn last(&mut self) -> &mut String {
        if self.rows.is_empty() {
            self.rows.push(String::new());
        }
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }
}

/// Returns the characters of a text with their offsets, in a form that is safe for a terminal.
fn pieces(text: &str) -> impl Iterator<Item = (usize, Cow<'_, str>)> {
    let mut escaped = escaped(text).peekable();
    text.grapheme_indices(true).map(move |(at, grapheme)| {
        let end = at + grapheme.len();
        if grapheme == "\n" || escaped.peek().is_none_or(|(next, _)| *next >= end) {
            escaped.next_if(|(next, _)| *next < end);
            return (at, Cow::Borrowed(grapheme));
        }
        let mut shown = String::new();
        for (offset, letter) in grapheme.char_indices() {
            match escaped.next_if(|(next, _)| *next == at + offset) {
                Some(_) => shown.push_str(&symbol(letter)),
                None => shown.push(letter),
            }
        }
        (at, Cow::Owned(shown))
    })
}

/// Returns the symbol that stands for a control character in a typed line.
pub(crate) fn symbol(letter: char) -> String {
    match letter {
        '\t' => TAB.to_owned(),
        '\u{7f}' => '\u{2421}'.to_string(),
        '\0'..=' ' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('?').to_string(),
        letter => format!("\\u{{{:x}}}", u32::from(letter)),
    }
}

/// Returns as many rows of a list as fit.
fn list(scene: &Scene, columns: usize, room: usize) -> Vec<String> {
    let candidates = &scene.list;
    let width = candidates.iter().map(|candidate| most_columns(&candidate.value)).max();
    let width = width.unwrap_or(0) + 2;
    let whole = if candidates.len() > room { room.saturating_sub(1) } else { candidates.len() };
    let mut rows: Vec<String> = Vec::new();
    for Candidate { value, description, .. } in &candidates[..whole] {
        let value = Printable(value).to_string();
        let Some(description) = description else {
            rows.push(shorten(&value, columns));
            continue;
        };
        let gap = " ".repeat(width.saturating_sub(most_columns(&value)));
        let description = Printable(description).to_string();
        let description = shorten(&description, columns.saturating_sub(width));
        let description = scene.look.hint.paint(description);
        rows.push(format!("{}{description}", cut(&format!("{value}{gap}"), columns)));
    }
    if whole < candidates.len() && room > 0 {
        rows.push(shorten(&format!("and {} more", candidates.len() - whole), columns));
    }
    rows
}

/// Shortens a text to these columns, with a mark if it is cut.
fn shorten(text: &str, columns: usize) -> String {
    if most_columns(text) <= columns {
        return text.to_owned();
    }
    format!("{}{}", cut(text, columns.saturating_sub(3)), cut("...", columns))
}

/// Cuts a text to these columns.
fn cut(text: &str, columns: usize) -> String {
    let mut column = 0;
    let fitting = Printable(text).to_string();
    let fitting = fitting.graphemes(true).take_while(|grapheme| {
        column += most_columns(grapheme);
        column <= columns
    });
    fitting.collect()
}

#[cfg(test)]
mod tests;
