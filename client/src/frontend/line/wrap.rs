//! Breaks long lines between words, and so that nothing in a line can look like a line of its own.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How far the rest of a broken line is moved in, further than its beginning.
const INDENT: usize = 2;

/// Breaks each line that has more columns than the terminal, and moves its rest in: whoever said
/// it can't have something begin where lines begin. The rows of a table go on below their second
/// column. A word that is longer than a line is broken anywhere. `columns` 0: unknown, nothing is
/// broken.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, columns)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    if columns == 0 || width(line) <= columns {
        return line.to_owned();
    }
    let fits = |indent: &usize| indent * 2 <= columns;
    let begins = line.len() - line.trim_start_matches(' ').len();
    let indents = [second_column(line), Some(begins + INDENT), Some(INDENT)];
    let indent = indents.into_iter().flatten().find(fits).unwrap_or(0);
    let mut rows = Rows { columns, indent, text: String::new(), column: 0, blank: true };
    for word in line.split_inclusive(' ') {
        rows.push(word);
    }
    rows.text
}

/// The rows of one line.
struct Rows {
    columns: usize,
    indent: usize,
    text: String,
    /// The next one to be written in, of the last row.
    column: usize,
    /// Whether there are only spaces in the last row.
    blank: bool,
}

impl Rows {
    /// Adds a word and the spaces after it, which may be beyond the edge.
    fn push(&mut self, word: &str) {
        let letters = word.trim_end_matches(' ');
        // One that would not fit into a row of its own begins where it is.
        let fits_below = self.indent + width(letters) <= self.columns;
        if !letters.is_empty() && !self.fits(letters) && !self.blank && fits_below {
            self.go_on();
        }
        if letters.is_empty() || self.fits(letters) {
            self.write(word);
            return;
        }
        for piece in pieces(letters) {
            if !self.fits(piece) {
                self.go_on();
            }
            self.write(piece);
        }
        self.write(&word[letters.len()..]);
    }

    fn fits(&self, text: &str) -> bool {
        self.column + width(text) <= self.columns
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += width(text);
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

/// The characters of a word, each with what has no columns beside it, styles for instance.
fn pieces(mut word: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (mut end, mut has_letter) = (0, false);
        while let Some(next) = word[end..].chars().next() {
            end += match next {
                '\x1b' => word[end..].find('m').map_or(word.len() - end, |last| last + 1),
                _ if has_letter && next.width() != Some(0) => break,
                _ => {
                    has_letter = true;
                    next.len_utf8()
                }
            };
        }
        let (piece, rest) = word.split_at(end);
        word = rest;
        (end > 0).then_some(piece)
    })
}

/// Where the second column of a table's row begins: after the first gap of two spaces or more.
fn second_column(line: &str) -> Option<usize> {
    let row = line.trim_start_matches(' ');
    let (first, rest) = row.split_once("  ").filter(|(first, _)| !first.is_empty())?;
    let gap = 2 + rest.len() - rest.trim_start_matches(' ').len();
    Some(line.len() - row.len() + width(first) + gap)
}

/// Columns on a screen: escape sequences that set a style have none.
fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        columns += letters_width(before);
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    columns + letters_width(rest)
}

/// Terminals disagree about letters that join into one; none takes more columns than this.
fn letters_width(text: &str) -> usize {
    text.width().max(text.chars().filter_map(|letter| letter.width()).sum())
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
        assert_eq!(wrap("one two", 3), "one\ntwo", "there is no room to be further in");
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
            wrap("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", 4),
            "e\u{301}e\u{301}e\u{301}e\u{301}\n  e\u{301}"
        );
        assert_eq!(wrap("\x1b[1mabcde\x1b[0m", 4), "\x1b[1mabcd\n  e\x1b[0m");
    }

    proptest! {
        #[test]
        fn no_row_is_too_long_and_only_the_first_begins_where_lines_begin(
            line in "[a-z日 :|]{0,200}", columns in 6_usize..100,
        ) {
            let wrapped = wrap(&line, columns);
            for (number, row) in wrapped.split('\n').enumerate() {
                prop_assert!(width(row.trim_end_matches(' ')) <= columns, "{:?}", row);
                prop_assert!(number == 0 || row.starts_with("  "), "{:?}", wrapped);
            }
            let letters = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(letters(&wrapped), letters(&line));
        }
    }

    #[test]
    fn columns_count_and_neither_bytes_nor_styles_do() {
        assert_eq!(wrap("日本 日本", 9), "日本 日本");
        assert_eq!(wrap("日本 日本", 8), "日本\n  日本");
        assert_eq!(wrap("\x1b[1mab\x1b[0m cd", 5), "\x1b[1mab\x1b[0m cd");
    }
}
