//! Line breaking between words that indents continuation rows, so that none can pass for a line of
//! its own.

use std::iter;

use unicode_segmentation::UnicodeSegmentation as _;

/// The additional indentation of continuation rows.
const INDENT: usize = 2;

/// Breaks each line that may be wider than the terminal, and indents its continuation rows.
/// Untrusted text can therefore not start a line of its own. Rows of a table continue below their
/// second column. A word longer than a line is broken anywhere. With `columns` 0 the width is
/// unknown and nothing is broken.
///
/// Terminals disagree about a character's width, so [`most_columns`] decides.
pub fn wrap(text: &str, columns: usize) -> String {
    wrap_by(text, columns, most_columns)
}

/// Breaks lines as [`wrap`] does, with this measure of a text's columns.
pub fn wrap_by(text: &str, columns: usize, width: fn(&str) -> usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, columns, width)).collect();
    lines.join("\n")
}

/// Indents all lines of a text but the first, so that untrusted text can't start a line of its own.
pub fn moved_in(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut moved = String::from(first);
    for line in rest.split('\n').take(text.matches('\n').count()) {
        let is_in = line.starts_with("  ");
        moved.push_str(if is_in { "\n" } else { "\n  " });
        moved.push_str(line);
    }
    moved
}

/// Returns the most columns that any terminal gives a text. Escape sequences for styles have none.
///
/// A character outside of ASCII counts for two, even a mark. Terminals differ in their version of
/// Unicode and in their treatment of ambiguous East Asian widths.
pub fn most_columns(text: &str) -> usize {
    let mut columns = 0;
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        columns += letters_columns(before);
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    columns + letters_columns(rest)
}

fn letters_columns(text: &str) -> usize {
    text.chars().map(letter_columns).sum()
}

fn letter_columns(letter: char) -> usize {
    match letter {
        '\0'..='\u{1f}' | '\u{7f}' => 0,
        ' '..='~' => 1,
        // Some terminals give this sign, made of three letters, three columns.
        '\u{17d8}' => 3,
        _ => 2,
    }
}

fn wrap_line(line: &str, columns: usize, width: fn(&str) -> usize) -> String {
    if columns == 0 || width(line) <= columns {
        return line.to_owned();
    }
    let fits = |indent: &usize| indent * 2 <= columns;
    let begins = line.len() - line.trim_start_matches(' ').len();
    let indents = [second_column(line, width), Some(begins + INDENT), Some(INDENT), Some(1)];
    let indent = indents.into_iter().flatten().find(fits).unwrap_or(0);
    let text = String::new();
    let mut rows = Rows { columns, indent, width, text, column: 0, blank: true };
    for word in line.split_inclusive(' ') {
        rows.push(word);
    }
    rows.text
}

/// The rows of one broken line.
struct Rows {
    columns: usize,
    indent: usize,
    width: fn(&str) -> usize,
    text: String,
    /// The column of the last row at which writing continues.
    column: usize,
    /// True while the last row has only spaces.
    blank: bool,
}

impl Rows {
    /// Adds a word and the spaces after it, which may exceed the width.
    fn push(&mut self, word: &str) {
        let letters = word.trim_end_matches(' ');
        // A word too long for a row of its own begins in the current row.
        let fits_below = self.indent + (self.width)(letters) <= self.columns;
        if !letters.is_empty() && !self.fits(letters) && !self.blank && fits_below {
            self.go_on();
        }
        if letters.is_empty() || self.fits(letters) {
            self.write(word);
            return;
        }
        for piece in pieces(letters, self.columns - self.indent, self.width) {
            if !self.fits(piece) {
                self.go_on();
            }
            self.write(piece);
        }
        self.write(&word[letters.len()..]);
    }

    fn fits(&self, text: &str) -> bool {
        self.column + (self.width)(text) <= self.columns
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += (self.width)(text);
        self.blank &= text.trim_matches(' ').is_empty();
    }

    fn go_on(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
        self.text.push_str(&" ".repeat(self.indent));
        self.column = self.indent;
        self.blank = true;
    }
}

/// Splits a word into graphemes, each with the styles before it. A grapheme wider than a row is
/// split into its characters.
fn pieces(word: &str, room: usize, width: fn(&str) -> usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    iter::from_fn(move || {
        let mut start = 0;
        while let Some(sequence) = rest[start..].strip_prefix("\x1b[") {
            let length = sequence.find('m').map_or(sequence.len(), |last| last + 1);
            start += "\x1b[".len() + length;
        }
        let seen = rest[start..].graphemes(true).next().unwrap_or("");
        let letter = seen.chars().next().map_or(0, char::len_utf8);
        let length = if width(seen) <= room { seen.len() } else { letter };
        let (piece, after) = rest.split_at(start + length);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Returns the column at which a table row's second column begins: after the first gap of two
/// spaces or more.
fn second_column(line: &str, width: fn(&str) -> usize) -> Option<usize> {
    let row = line.trim_start_matches(' ');
    let (first, rest) = row.split_once("  ").filter(|(first, _)| !first.is_empty())?;
    let gap = 2 + rest.len() - rest.trim_start_matches(' ').len();
    Some(line.len() - row.len() + width(first) + gap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words_and_go_on_further_in() {
        assert_eq!(wrap("one two three", 8), "one two\n  three");
        assert_eq!(wrap("one two three", 7), "one two\n  three");
        assert_eq!(wrap("one two\nthree four", 6), "one\n  two\nthree\n  four");
        assert_eq!(wrap("  | one two", 8), "  | one\n    two");
        assert_eq!(wrap("  indented", 80), "  indented");
        assert_eq!(wrap("  indented", 6), "  inde\n  nted");
        assert_eq!(wrap("one two", 3), "one\n tw\n o", "there is little room to be further in");
        assert_eq!(wrap("anything", 0), "anything");
    }

    #[test]
    fn rows_of_a_table_go_on_below_their_second_column() {
        assert_eq!(wrap("go    one two three", 14), "go    one two\n      three");
        assert_eq!(wrap("  go  one two three", 14), "  go  one two\n      three");
        assert_eq!(wrap("far too wide  one two", 15), "far too wide\n  one two");
    }

    #[test]
    fn a_word_that_is_too_long_is_broken_anywhere() {
        assert_eq!(wrap("a bbbbbbbbbbb c", 5), "a bbb\n  bbb\n  bbb\n  bb\n  c");
        assert_eq!(wrap("bbbbbbbb c d", 5), "bbbbb\n  bbb\n  c d");
        assert_eq!(wrap("日本日本", 5), "日本\n  日\n  本");
        assert_eq!(
            wrap("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", 8),
            "e\u{301}e\u{301}\n  e\u{301}e\u{301}\n  e\u{301}"
        );
        assert_eq!(wrap("a👩\u{200d}💻👩\u{200d}💻", 8), "a👩\u{200d}💻\n  👩\u{200d}💻");
        assert_eq!(wrap("\x1b[1mabcde\x1b[0m", 4), "\x1b[1mabcd\n  e\x1b[0m");
    }

    proptest! {
        #[test]
        fn no_row_is_too_long_and_only_the_first_begins_a_line(
            line in "[a-z日é\u{301}م\u{302e}\u{70f}👩 :|]{0,200}", columns in 6_usize..100,
        ) {
            let wrapped = wrap(&line, columns);
            for (number, row) in wrapped.split('\n').enumerate() {
                prop_assert!(most_columns(row.trim_end_matches(' ')) <= columns, "{:?}", row);
                prop_assert!(number == 0 || row.starts_with("  "), "{:?}", wrapped);
            }
            let letters = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(letters(&wrapped), letters(&line));
        }
    }

    #[test]
    fn no_terminal_is_taken_to_draw_narrowly() {
        for c in ['é', 'я', '\u{301}', '\u{302e}', '\u{70f}', '日', '…'] {
            assert_eq!(most_columns(&c.to_string()), 2, "{c:?}");
        }
        assert_eq!(wrap("\u{302e}\u{302e}\u{302e}332", 8), "\u{302e}\u{302e}\u{302e}33\n  2");
    }

    #[test]
    fn blanks_carry_nothing_over_the_edge() {
        let blanks = " ".repeat(78);
        assert_eq!(wrap(&format!("hi{blanks}332 Your password?"), 80), "hi\n  332 Your password?");
        assert_eq!(wrap(&format!("{blanks}  332"), 80), "\n  332");
    }

    #[test]
    fn lines_of_a_foreign_text_are_moved_in() {
        assert_eq!(moved_in("bob: hi\n332 what\n  x\n"), "bob: hi\n  332 what\n  x\n  ");
        assert_eq!(moved_in("bob: hi"), "bob: hi");
    }

    #[test]
    fn columns_count_and_neither_bytes_nor_styles_do() {
        assert_eq!(wrap("日本 日本", 9), "日本 日本");
        assert_eq!(wrap("日本 日本", 8), "日本\n  日本");
        assert_eq!(wrap("\x1b[1mab\x1b[0m cd", 5), "\x1b[1mab\x1b[0m cd");
    }
}
