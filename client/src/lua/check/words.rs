//! A script, word by word.

/// A word of Luau, without what it says if it is a text or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Name(&'a str),
    Sign(char),
    Literal,
}

/// The words of a source that compiles, with their lines.
pub(super) fn words(source: &str) -> Vec<(usize, Word<'_>)> {
    let mut reader = Reader { rest: source, line: 1 };
    std::iter::from_fn(|| reader.next()).collect()
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(usize, Word<'a>)> {
        loop {
            let first = self.rest.chars().next()?;
            let line = self.line;
            if first.is_whitespace() {
                self.skip(first.len_utf8());
            } else if self.rest.starts_with("--") {
                self.skip(2);
                let length = long(self.rest).or_else(|| self.rest.find('\n'));
                self.skip(length.unwrap_or(self.rest.len()));
            } else if let Some(length) = long(self.rest) {
                self.skip(length);
                return Some((line, Word::Literal));
            } else if matches!(first, '"' | '\'') {
                self.skip(quoted(self.rest, first));
                return Some((line, Word::Literal));
            } else if first == '`' {
                return Some((line, self.interpolated()));
            } else if first.is_ascii_digit() {
                let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.');
                self.skip(self.rest.find(end).unwrap_or(self.rest.len()));
                return Some((line, Word::Literal));
            } else if first.is_ascii_alphabetic() || first == '_' {
                let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
                let name = &self.rest[..self.rest.find(end).unwrap_or(self.rest.len())];
                self.skip(name.len());
                return Some((line, Word::Name(name)));
            } else {
                // Two dots are no member.
                let dots = self.rest.len() - self.rest.trim_start_matches('.').len();
                self.skip(dots.max(first.len_utf8()));
                return Some((line, if dots > 1 { Word::Sign('~') } else { Word::Sign(first) }));
            }
        }
    }

    /// What is between braces is left out: a name that is wrong there is found when it runs.
    fn interpolated(&mut self) -> Word<'a> {
        self.skip(quoted(self.rest, '`'));
        Word::Literal
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of `[[…]]` or `[=[…]=]`, if there is one.
fn long(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    inner[level..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    text.find(&close).map(|at| at + close.len())
}

/// The length of a text in quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
