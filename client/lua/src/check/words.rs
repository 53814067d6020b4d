//! A script, word by word.

/// A word of Luau.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// A name or a keyword.
    Name(&'a str),
    /// An operator or a bracket. A text with expressions in it is a backquote, then each expression
    /// in braces, then another backquote.
    Sign(&'a str),
    /// What is between quotes; `None` if there are escapes in it.
    Text(Option<&'a str>),
    Number,
}

/// The signs of more than one character, the longest first.
const LONG_SIGNS: &[&str] = &[
    "...", "..=", "//=", "..", "//", "::", "->", "==", "~=", "<=", ">=", "+=", "-=", "*=", "/=",
    "%=", "^=",
];

/// A word, and its line.
pub(super) type Placed<'a> = (usize, Word<'a>);

/// The words of a source that compiles.
pub(super) fn words(source: &str) -> Vec<Placed<'_>> {
    let mut lexer = Lexer { rest: source, line: 1, words: Vec::new() };
    lexer.run();
    lexer.words
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    words: Vec<Placed<'a>>,
}

impl<'a> Lexer<'a> {
    /// Reads to the end, or to the brace that ends an expression inside a text.
    fn run(&mut self) {
        let mut braces = 0;
        while let Some(first) = self.rest.chars().next() {
            match first {
                c if c.is_whitespace() => self.skip(c.len_utf8()),
                '-' if self.rest.starts_with("--") => self.comment(),
                '[' if long(self.rest).is_some() => self.long_text(),
                '"' | '\'' => self.quoted(first),
                '`' => self.interpolated(),
                '{' => {
                    braces += 1;
                    self.sign(1);
                }
                '}' if braces == 0 => return,
                '}' => {
                    braces -= 1;
                    self.sign(1);
                }
                c if c.is_ascii_digit() => self.number(),
                '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
                c if c.is_ascii_alphabetic() || c == '_' => {
                    let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
                    self.words.push((self.line, Word::Name(name)));
                }
                c => {
                    let sign = LONG_SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
                    self.sign(sign.map_or(c.len_utf8(), |sign| sign.len()));
                }
            }
        }
    }

    fn comment(&mut self) {
        self.skip(2);
        let length = match long(self.rest) {
            Some((length, _)) => Some(length),
            None => self.rest.find('\n'),
        };
        self.skip(length.unwrap_or(self.rest.len()));
    }

    fn long_text(&mut self) {
        if let Some((length, inside)) = long(self.rest) {
            self.words.push((self.line, Word::Text(Some(inside))));
            self.skip(length);
        }
    }

    fn quoted(&mut self, quote: char) {
        let length = quoted(self.rest, quote);
        let inside = &self.rest[1..length.saturating_sub(1).max(1)];
        self.words.push((self.line, Word::Text(Some(inside).filter(|text| !text.contains('\\')))));
        self.skip(length);
    }

    /// A text between backquotes: its expressions are read, and what is around them is not.
    fn interpolated(&mut self) {
        self.sign(1);
        while let Some(first) = self.rest.chars().next() {
            match first {
                '`' => {
                    self.sign(1);
                    return;
                }
                '\\' => {
                    let escaped = self.rest[1..].chars().next().map_or(0, char::len_utf8);
                    self.skip(1 + escaped);
                }
                '{' => {
                    self.sign(1);
                    self.run();
                    self.sign(self.rest.len().min(1));
                }
                c => self.skip(c.len_utf8()),
            }
        }
    }

    /// Digits, perhaps an exponent with its sign, and whatever letters follow, as Luau reads it.
    fn number(&mut self) {
        self.words.push((self.line, Word::Number));
        self.take(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
        if self.rest.starts_with(['e', 'E']) {
            self.skip(1);
            self.skip(usize::from(self.rest.starts_with(['+', '-'])));
        }
        self.take(|c| c.is_ascii_alphanumeric() || c == '_');
    }

    fn sign(&mut self, length: usize) {
        self.words.push((self.line, Word::Sign(&self.rest[..length])));
        self.skip(length);
    }

    /// Takes what fits.
    fn take(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let taken = &self.rest[..self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len())];
        self.skip(taken.len());
        taken
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of `[[…]]` or `[=[…]=]`, if there is one, and what it says.
fn long(text: &str) -> Option<(usize, &str)> {
    let inner = text.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    let inner = inner[level..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    let inside = &inner[..inner.find(&close)?];
    Some((inside.len() + 2 * close.len(), inside))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        let show = |(line, word): &Placed<'_>| match word {
            Word::Name(text) | Word::Sign(text) => format!("{line}:{text}"),
            Word::Text(text) => format!("{line}:'{}'", text.unwrap_or("?")),
            Word::Number => format!("{line}:0"),
        };
        words(source).iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_are_told_apart_and_have_their_lines() {
        assert_eq!(shown("a.b = 1e-5-0x1E-5 ..c"), "1:a 1:. 1:b 1:= 1:0 1:- 1:0 1:- 1:0 1:.. 1:c");
        assert_eq!(
            shown("-- x\n--[[\n]] 'a' \"b\\n\"\n[=[c\n]]]=] d"),
            "3:'a' 3:'?' 4:'c\n]]' 5:d"
        );
        assert_eq!(shown("x ..= 1 y //= .5 :: ->"), "1:x 1:..= 1:0 1:y 1://= 1:0 1::: 1:->");
        assert_eq!(shown("a[b[1]]"), "1:a 1:[ 1:b 1:[ 1:0 1:] 1:]");
    }

    #[test]
    fn the_expressions_inside_a_text_are_words_too() {
        assert_eq!(
            shown("`a {b .. `{c}`} \\{ d` {e}"),
            "1:` 1:{ 1:b 1:.. 1:` 1:{ 1:c 1:} 1:` 1:} 1:` 1:{ 1:e 1:}"
        );
        assert_eq!(shown("`{ {x}[1] }`"), "1:` 1:{ 1:{ 1:x 1:} 1:[ 1:0 1:] 1:} 1:`");
    }
}
