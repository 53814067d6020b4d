//! Breaks long lines between words.

use unicode_width::UnicodeWidthStr as _;

/// Breaks each line that has more columns than the terminal, as far as there are spaces. The rows
/// of a table go on below their second column. A word that is longer than a line is left to the
/// terminal. `columns` 0: unknown, nothing is broken.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, columns)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    if columns == 0 || width(line) <= columns {
        return line.to_owned();
    }
    let indent = second_column(line).filter(|indent| indent * 2 <= columns).unwrap_or(0);
    let mut wrapped = String::with_capacity(line.len() + 8);
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let letters = width(word.trim_end_matches(' '));
        if column + letters > columns && column > indent {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        }
        wrapped.push_str(word);
        column += width(word);
        if letters > columns {
            // The terminal broke it.
            column %= columns;
        }
    }
    wrapped
}

/// Where the second column of a table's row begins: after the first gap of two spaces or more.
fn second_column(line: &str) -> Option<usize> {
    let (first, rest) = line.split_once("  ").filter(|(first, _)| !first.is_empty())?;
    let gap = 2 + rest.len() - rest.trim_start_matches(' ').len();
    Some(width(first) + gap)
}

/// Columns on a screen: escape sequences that set a style have none.
fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        columns += before.width();
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    columns + rest.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 8), "one two\nthree");
        assert_eq!(wrap("one two three", 7), "one two\nthree");
        assert_eq!(wrap("one two\nthree four", 5), "one\ntwo\nthree\nfour");
        assert_eq!(wrap("  indented", 80), "  indented");
        assert_eq!(wrap("anything", 0), "anything");
    }

    #[test]
    fn rows_of_a_table_go_on_below_their_second_column() {
        assert_eq!(wrap("go    one two three", 14), "go    one two\n      three");
        assert_eq!(wrap("far too wide  one two", 15), "far too wide\none two");
    }

    #[test]
    fn a_word_that_is_too_long_is_left_to_the_terminal() {
        assert_eq!(wrap("a bbbbbbbbbbbb c", 5), "a\nbbbbbbbbbbbb c");
    }

    #[test]
    fn columns_count_and_neither_bytes_nor_styles_do() {
        assert_eq!(wrap("日本 日本", 9), "日本 日本");
        assert_eq!(wrap("日本 日本", 8), "日本\n日本");
        assert_eq!(wrap("\x1b[1mab\x1b[0m cd", 5), "\x1b[1mab\x1b[0m cd");
    }
}
