//! A text with a cursor, edited by grapheme.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use super::MAX_TEXT_BYTES;

/// The maximum number of edits to undo.
const MAX_UNDO: usize = 100;

/// The text of the line being typed. It may contain line ends.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    text: String,
    /// An offset between two graphemes.
    cursor: usize,
    /// The last killed text.
    killed: String,
    undo: Vec<(String, usize)>,
    /// True after a typed letter, so that the next one joins its undo step.
    is_typing: bool,
}

/// A movement of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    Back,
    Forward,
    WordBack,
    WordForward,
    /// To the blank before the word.
    BlankBack,
    LineStart,
    LineEnd,
}

impl Buffer {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Takes the text and leaves the buffer empty.
    pub(super) fn take(&mut self) -> String {
        self.undo.clear();
        self.is_typing = false;
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Replaces the text, and moves the cursor to the end.
    pub(super) fn set(&mut self, text: &str) {
        self.replace(0, self.text.len(), text);
    }

    /// Inserts a text at the cursor. Returns false if it does not fit.
    pub(super) fn insert(&mut self, text: &str) -> bool {
        if self.text.len() + text.len() > MAX_TEXT_BYTES {
            return false;
        }
        let is_letter = !text.chars().any(char::is_whitespace) && text.chars().count() == 1;
        if !(is_letter && self.is_typing) {
            self.remember();
        }
        self.text.insert_str(self.cursor, text);
        self.put_cursor(self.cursor + text.len());
        self.is_typing = is_letter;
        true
    }

    /// Replaces a range, and moves the cursor behind it.
    pub(super) fn replace(&mut self, start: usize, end: usize, text: &str) {
        if self.text[start..end] == *text {
            return self.put_cursor(start + text.len());
        }
        self.remember();
        self.text.replace_range(start..end, text);
        self.put_cursor(start + text.len());
    }

    pub(super) fn go(&mut self, motion: Motion) {
        self.is_typing = false;
        self.cursor = self.end_of(motion);
    }

    pub(super) fn delete(&mut self, motion: Motion) {
        let end = self.end_of(motion);
        self.replace(self.cursor.min(end), self.cursor.max(end), "");
    }

    /// Deletes a range, and keeps it for [`Buffer::yank`].
    pub(super) fn kill(&mut self, motion: Motion) {
        let end = self.end_of(motion);
        let (start, end) = (self.cursor.min(end), self.cursor.max(end));
        if start < end {
            self.killed = self.text[start..end].to_owned();
            self.replace(start, end, "");
        }
    }

    pub(super) fn yank(&mut self) -> bool {
        let killed = self.killed.clone();
        self.insert(&killed)
    }

    /// Swaps the characters on both sides of the cursor; at the end of a line, those before it.
    pub(super) fn transpose(&mut self) {
        let middle = if self.text[self.cursor..].chars().next().is_none_or(|next| next == '\n') {
            self.end_of(Motion::Back)
        } else {
            self.cursor
        };
        let before = self.text[..middle].graphemes(true).next_back().unwrap_or_default();
        let after = self.text[middle..].graphemes(true).next().unwrap_or_default();
        if !before.is_empty() && !after.is_empty() && before != "\n" {
            let (start, end) = (middle - before.len(), middle + after.len());
            let swapped = format!("{after}{before}");
            self.replace(start, end, &swapped);
        }
    }

    /// Undoes the last edit.
    pub(super) fn undo(&mut self) {
        if let Some((text, cursor)) = self.undo.pop() {
            self.text = text;
            self.cursor = cursor;
        }
        self.is_typing = false;
    }

    /// Moves the cursor up a line. Returns false on the first line.
    pub(super) fn up(&mut self) -> bool {
        let start = self.end_of(Motion::LineStart);
        let Some(end_above) = start.checked_sub(1) else { return false };
        let start_above = self.text[..end_above].rfind('\n').map_or(0, |at| at + 1);
        self.go_to_column(start_above, end_above, self.column());
        true
    }

    /// Moves the cursor down a line. Returns false on the last line.
    pub(super) fn down(&mut self) -> bool {
        let end = self.end_of(Motion::LineEnd);
        if end == self.text.len() {
            return false;
        }
        let start_below = end + 1;
        let end_below =
            self.text[start_below..].find('\n').map_or(self.text.len(), |at| start_below + at);
        self.go_to_column(start_below, end_below, self.column());
        true
    }

    fn column(&self) -> usize {
        self.text[self.end_of(Motion::LineStart)..self.cursor].graphemes(true).count()
    }

    fn go_to_column(&mut self, start: usize, end: usize, column: usize) {
        let before = self.text[start..end].graphemes(true).take(column);
        self.cursor = start + before.map(str::len).sum::<usize>();
        self.is_typing = false;
    }

    fn end_of(&self, motion: Motion) -> usize {
        let (before, after) = self.text.split_at(self.cursor);
        let back = |length: usize| self.cursor - length;
        match motion {
            Motion::Back => back(before.graphemes(true).next_back().map_or(0, str::len)),
            Motion::Forward => self.cursor + after.graphemes(true).next().map_or(0, str::len),
            Motion::WordBack => back(length_to(before.graphemes(true).rev(), is_of_word)),
            Motion::WordForward => self.cursor + length_to(after.graphemes(true), is_of_word),
            Motion::BlankBack => back(length_to(before.graphemes(true).rev(), is_no_blank)),
            Motion::LineStart => before.rfind('\n').map_or(0, |at| at + 1),
            Motion::LineEnd => after.find('\n').map_or(self.text.len(), |at| self.cursor + at),
        }
    }

    /// Moves the cursor behind a grapheme that an edit has joined around it.
    fn put_cursor(&mut self, cursor: usize) {
        let mut at = GraphemeCursor::new(cursor, self.text.len(), true);
        let is_between = at.is_boundary(&self.text, 0).unwrap_or(true);
        self.cursor = match at.next_boundary(&self.text, 0) {
            Ok(Some(next)) if !is_between => next,
            _ => cursor,
        };
        self.is_typing = false;
    }

    fn remember(&mut self) {
        if self.undo.len() == MAX_UNDO {
            self.undo.remove(0);
        }
        self.undo.push((self.text.clone(), self.cursor));
    }
}

/// Returns the offset of the end of the first run of these graphemes.
fn length_to<'a>(graphemes: impl Iterator<Item = &'a str>, is_in: fn(&str) -> bool) -> usize {
    let mut has_begun = false;
    graphemes
        .take_while(|grapheme| {
            has_begun |= is_in(grapheme);
            !has_begun || is_in(grapheme)
        })
        .map(str::len)
        .sum()
}

fn is_of_word(grapheme: &str) -> bool {
    grapheme.starts_with(char::is_alphanumeric)
}

fn is_no_blank(grapheme: &str) -> bool {
    !grapheme.starts_with(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Motion::*;
    use proptest::prelude::*;

    /// A buffer with its cursor at the `|`.
    fn at(text: &str) -> Buffer {
        let cursor = text.find('|').unwrap();
        Buffer { text: text.replacen('|', "", 1), cursor, ..Buffer::default() }
    }

    fn shown(buffer: &Buffer) -> String {
        format!("{}|{}", &buffer.text[..buffer.cursor], &buffer.text[buffer.cursor..])
    }

    #[test]
    fn cursor_moves_by_character_word_and_line() {
        for (before, motion, after) in [
            ("ae\u{301}|b", Back, "a|e\u{301}b"),
            ("|👩\u{200d}💻b", Forward, "👩\u{200d}💻|b"),
            ("one two, |three", WordBack, "one |two, three"),
            ("one| two three", WordForward, "one two| three"),
            ("a /x-y |", BlankBack, "a |/x-y "),
            ("a\nbc|d\ne", LineStart, "a\n|bcd\ne"),
            ("a\nb|cd\ne", LineEnd, "a\nbcd|\ne"),
            ("|", Back, "|"),
            ("|", WordForward, "|"),
        ] {
            let mut buffer = at(before);
            buffer.go(motion);
            assert_eq!(shown(&buffer), after, "{motion:?}");
        }
    }

    #[test]
    fn cursor_keeps_its_column_up_and_down() {
        let mut buffer = at("abc\nd\nef|g");
        assert!(buffer.up());
        assert_eq!(shown(&buffer), "abc\nd|\nefg");
        assert!(buffer.up());
        assert_eq!(shown(&buffer), "a|bc\nd\nefg");
        assert!(!buffer.up());
        assert!(buffer.down() && buffer.down() && !buffer.down());
        assert_eq!(shown(&buffer), "abc\nd\ne|fg");
    }

    #[test]
    fn killed_text_can_be_yanked_and_edits_undone() {
        let mut buffer = at("one two|");
        buffer.kill(BlankBack);
        assert_eq!(shown(&buffer), "one |");
        buffer.go(LineStart);
        assert!(buffer.yank());
        assert_eq!(shown(&buffer), "two|one ");
        buffer.undo();
        buffer.undo();
        assert_eq!(shown(&buffer), "one two|");
        for letter in ["x", "y"] {
            buffer.insert(letter);
        }
        buffer.undo();
        assert_eq!(shown(&buffer), "one two|", "letters in a row are one edit");
    }

    #[test]
    fn characters_are_transposed() {
        for (before, after) in [("ab|c", "acb|"), ("ab|", "ba|"), ("|ab", "|ab"), ("a|", "a|")] {
            let mut buffer = at(before);
            buffer.transpose();
            assert_eq!(shown(&buffer), after);
        }
    }

    #[test]
    fn text_that_has_no_room_is_refused() {
        let mut buffer = at("|");
        assert!(buffer.insert(&"x".repeat(MAX_TEXT_BYTES)));
        assert!(!buffer.insert("x"));
        assert_eq!(buffer.text().len(), MAX_TEXT_BYTES);
    }

    proptest! {
        #[test]
        fn cursor_never_stands_within_a_character(
            edits in proptest::collection::vec((0_u8..12, "[a\u{301}\u{200d}👩🇩 \n]{1,3}"), 0..60),
        ) {
            let mut buffer = Buffer::default();
            let motions = [Back, Forward, WordBack, WordForward, BlankBack, LineStart, LineEnd];
            for (edit, text) in edits {
                match edit {
                    0..3 => drop(buffer.insert(&text)),
                    3 => buffer.delete(Back),
                    4 => buffer.transpose(),
                    5 => buffer.undo(),
                    6 => drop(buffer.up()),
                    7 => drop(buffer.down()),
                    8 => buffer.kill(motions[text.len() % 7]),
                    9 => drop(buffer.yank()),
                    _ => buffer.go(motions[text.len() % 7]),
                }
                let starts = buffer.text.grapheme_indices(true).map(|(start, _)| start);
                let is_between = starts.chain([buffer.text.len()]).any(|at| at == buffer.cursor);
                prop_assert!(is_between, "{:?}", shown(&buffer));
            }
        }
    }
}
