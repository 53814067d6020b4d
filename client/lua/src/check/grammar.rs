//! Statements, with the locals that they declare.
//!
//! Whatever is read has been compiled by Luau before, so nothing here says what is wrong with it.
//! `None` means that something is there which is not known here; then nothing is said of the file.

use super::meaning::{Meaning, Notes, Survey};
use super::real::Real;
use super::words::{Placed, Word};

const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Signs after which a word that could begin a statement is a variable.
const AFTER_VARIABLES: &[&str] =
    &["=", ",", ".", "[", "(", ":", "{", "::", "+=", "-=", "*=", "/=", "//=", "%=", "^=", "..="];

/// Reads one file.
pub(super) struct Reader<'a> {
    words: &'a [Placed<'a>],
    at: usize,
    /// The locals that are in sight, the innermost last, by name and number.
    scope: Vec<(&'a str, usize)>,
    /// What each local is, by its number.
    locals: Vec<Meaning>,
    /// How many functions are around.
    pub(super) functions: usize,
    pub(super) real: &'a Real,
    pub(super) survey: &'a Survey,
    /// Locals of this file that are assigned to, where that is known already.
    assigned: &'a Notes,
    pub(super) notes: Notes,
}

/// What can stand on the left of an assignment, or be read.
pub(super) enum Target<'a> {
    Name(&'a str),
    Member(Meaning, Meaning),
    Value(Meaning),
}

impl<'a> Reader<'a> {
    /// Reads a file as far as its last line; `before` are the notes of an earlier reading.
    pub(super) fn notes(
        words: &'a [Placed<'a>],
        real: &'a Real,
        survey: &'a Survey,
        before: &'a Notes,
    ) -> Option<Notes> {
        let (at, scope, locals, notes) = (0, Vec::new(), Vec::new(), Notes::default());
        let mut reader = Reader {
            words,
            at,
            scope,
            locals,
            functions: 0,
            real,
            survey,
            assigned: before,
            notes,
        };
        reader.block()?;
        reader.word().is_none().then_some(reader.notes)
    }

    pub(super) fn word(&self) -> Option<&'a Word<'a>> {
        self.words.get(self.at).map(|(_, word)| word)
    }

    pub(super) fn after(&self, count: usize) -> Option<&'a Word<'a>> {
        self.words.get(self.at + count).map(|(_, word)| word)
    }

    /// The line of the next word.
    pub(super) fn line(&self) -> usize {
        self.words.get(self.at).or(self.words.last()).map_or(1, |(line, _)| *line)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.word(), Some(Word::Name(word) | Word::Sign(word)) if *word == text)
    }

    /// Goes past a word if it is the next one.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let is_it = self.is(text);
        self.at += usize::from(is_it);
        is_it
    }

    pub(super) fn expect(&mut self, text: &str) -> Option<()> {
        self.take(text).then_some(())
    }

    /// A name that is no keyword.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        match self.word() {
            Some(Word::Name(name)) if !KEYWORDS.contains(name) => {
                self.advance();
                Some(name)
            }
            _ => None,
        }
    }

    pub(super) fn declare(&mut self, name: &'a str, meaning: Meaning) {
        let number = self.locals.len();
        let is_fixed = !self.assigned.locals.contains(&number);
        self.locals.push(if is_fixed { meaning.kept() } else { Meaning::Unknown });
        self.scope.push((name, number));
    }

    pub(super) fn local(&self, name: &str) -> Option<(usize, &Meaning)> {
        let (_, number) = self.scope.iter().rev().find(|(known, _)| *known == name)?;
        Some((*number, self.locals.get(*number)?))
    }

    fn block(&mut self) -> Option<()> {
        let outside = self.scope.len();
        self.statements()?;
        self.scope.truncate(outside);
        Some(())
    }

    fn statements(&mut self) -> Option<()> {
        let ends = ["end", "else", "elseif", "until"];
        while self.word().is_some() && !ends.iter().any(|end| self.is(end)) {
            self.statement()?;
        }
        Some(())
    }

    fn statement(&mut self) -> Option<()> {
        match self.word()? {
            Word::Sign(";") | Word::Name("break") => self.advance(),
            Word::Sign("@") => self.attribute()?,
            Word::Name("local") => return self.declaration(),
            Word::Name("if") => return self.conditional(),
            Word::Name("for") => return self.loop_over(),
            Word::Name("return") => return self.result(),
            Word::Name("while") => {
                self.advance();
                self.expression()?;
                self.expect("do")?;
                self.block()?;
                self.expect("end")?;
            }
            Word::Name("do") => {
                self.advance();
                self.block()?;
                self.expect("end")?;
            }
            Word::Name("repeat") => {
                self.advance();
                let outside = self.scope.len();
                self.statements()?;
                self.expect("until")?;
                // The condition sees the locals of the block.
                self.expression()?;
                self.scope.truncate(outside);
            }
            Word::Name("function") => return self.function(),
            Word::Name("continue") if !self.is_variable() => self.advance(),
            Word::Name("type" | "export") if matches!(self.after(1), Some(Word::Name(_))) => {
                return self.type_declaration();
            }
            _ => return self.assignment_or_call(),
        }
        Some(())
    }

    /// Whether the next word is a variable, though it could begin a statement.
    fn is_variable(&self) -> bool {
        match self.after(1) {
            Some(Word::Sign(sign)) => AFTER_VARIABLES.contains(sign),
            Some(Word::Text(_)) => true,
            _ => false,
        }
    }

    fn declaration(&mut self) -> Option<()> {
        self.advance();
        if self.take("function") {
            let name = self.name()?;
            self.declare(name, Meaning::Plain);
            return self.body(None);
        }
        let names = self.names()?;
        let values = if self.take("=") { self.expressions()? } else { Vec::new() };
        let mut values = values.into_iter().map(|(_, value)| value);
        for name in names {
            let value = values.next().unwrap_or(Meaning::Unknown);
            self.declare(name, value);
        }
        Some(())
    }

    /// Names with commas between them, perhaps with types.
    fn names(&mut self) -> Option<Vec<&'a str>> {
        let mut names = Vec::new();
        loop {
            names.push(self.name()?);
            if self.take(":") {
                self.type_of()?;
            }
            if !self.take(",") {
                return Some(names);
            }
        }
    }

    fn conditional(&mut self) -> Option<()> {
        self.advance();
        loop {
            self.expression()?;
            self.expect("then")?;
            self.block()?;
            if !self.take("elseif") {
                break;
            }
        }
        if self.take("else") {
            self.block()?;
        }
        self.expect("end")
    }

    fn loop_over(&mut self) -> Option<()> {
        self.advance();
        let names = self.names()?;
        if !self.take("=") {
            self.expect("in")?;
        }
        self.expressions()?;
        self.expect("do")?;
        let outside = self.scope.len();
        for name in names {
            self.declare(name, Meaning::Unknown);
        }
        self.block()?;
        self.scope.truncate(outside);
        self.expect("end")
    }

    fn result(&mut self) -> Option<()> {
        self.advance();
        let ends = ["end", "else", "elseif", "until", ";"];
        let is_empty = self.word().is_none() || ends.iter().any(|end| self.is(end));
        let values = if is_empty { Vec::new() } else { self.expressions()? };
        self.take(";");
        if self.functions == 0 && self.word().is_none() && self.notes.result.is_none() {
            self.notes.result = values.into_iter().next().map(|(_, value)| value);
        } else if self.functions == 0 {
            // It returns one thing or another.
            self.notes.result = Some(Meaning::Unknown);
        }
        Some(())
    }

    fn function(&mut self) -> Option<()> {
        self.advance();
        let mut target = Target::Name(self.name()?);
        let mut own = None;
        while self.is(".") || self.is(":") {
            let line = self.line();
            own = self.is(":").then_some("self");
            self.advance();
            let name = self.name()?.to_owned();
            let base = self.read(target, line);
            target = Target::Member(base, Meaning::Text(name));
        }
        let line = self.line();
        self.assign(target, line);
        self.body(own)
    }

    /// What follows the name of a function, or stands for one that has none.
    pub(super) fn body(&mut self, own: Option<&'a str>) -> Option<()> {
        if self.is("<") {
            self.type_arguments()?;
        }
        self.expect("(")?;
        let outside = self.scope.len();
        if let Some(own) = own {
            self.declare(own, Meaning::Unknown);
        }
        while !self.take(")") {
            if !self.take("...") {
                let name = self.name()?;
                self.declare(name, Meaning::Unknown);
            }
            if self.take(":") {
                self.type_of()?;
            }
            self.take(",");
        }
        if self.take(":") {
            self.type_of()?;
        }
        self.functions += 1;
        self.block()?;
        self.functions -= 1;
        self.scope.truncate(outside);
        self.expect("end")
    }

    fn assignment_or_call(&mut self) -> Option<()> {
        let line = self.line();
        let mut targets = vec![self.suffixed()?];
        while self.take(",") {
            targets.push(self.suffixed()?);
        }
        let Some(Word::Sign(sign)) = self.word() else { return self.call_alone(targets) };
        if !sign.ends_with('=') || matches!(*sign, "==" | "~=" | "<=" | ">=") {
            return self.call_alone(targets);
        }
        self.advance();
        self.expressions()?;
        for target in targets {
            self.assign(target, line);
        }
        Some(())
    }

    /// A call is the only expression that is a statement.
    fn call_alone(&self, mut targets: Vec<Target<'a>>) -> Option<()> {
        let is_call = matches!(targets.pop(), Some(Target::Value(_)));
        (is_call && targets.is_empty()).then_some(())
    }
}
